# A rotator in Kubernetes and by hand, a pipeline that reads what it rotates, and a program in Kubernetes.

provider "vault" {}

module "rotate" {
  source = "../"

  mount     = "secret"
  operators = ["pve/operator"]

  rotator = {
    approle    = { secret_id_ttl = 7776000 }
    kubernetes = { namespace = "rotate", service_account = "rotate" }
  }

  consumers = {
    ci = {
      record = "pve/ci"
      jwt = {
        audience = "https://vault.example.com"
        claims   = { project_path = "infra/proxmox", ref_protected = "true" }
      }
    }
    exporter = {
      record     = "pve/exporter"
      kubernetes = { namespace = "monitoring", service_account = "pve-exporter" }
    }
  }

  jwt = {
    discovery_url = "https://gitlab.example.com"
  }
}

output "backend" {
  value = module.rotate.backend
}
