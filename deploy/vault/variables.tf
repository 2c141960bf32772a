variable "mount" {
  description = "Where the KV secrets engine, version 2, is mounted."
  type        = string
  default     = "secret"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$", var.mount))
    error_message = "The mount is a path of letters, digits and . _ - with no slash at its ends."
  }
}

variable "create_mount" {
  description = "Whether the engine is mounted here; false: it is there."
  type        = bool
  default     = false
  nullable    = false
}

variable "operators" {
  description = "Records that hold an operator's token, which the rotator reads and does not rotate."
  type        = set(string)
  default     = ["pve/operator"]
  nullable    = false

  validation {
    condition     = alltrue([for path in var.operators : can(regex("^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$", path))])
    error_message = "A record is a path in the mount, without data/, of letters, digits and . _ - with no slash at its ends."
  }
}

variable "records" {
  description = "Records that are rotated, beside those of the consumers: mirrors, an operator that rotates itself."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for path in var.records : can(regex("^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$", path))])
    error_message = "A record is a path in the mount, without data/, of letters, digits and . _ - with no slash at its ends."
  }
}

variable "metadata" {
  description = "Whether the configuration has `metadata: true`: the rotator writes custom metadata."
  type        = bool
  default     = false
  nullable    = false
}

variable "rotator" {
  description = <<-EOT
    How the rotator is called, and how it logs in: by any of the methods that are set. Names of service accounts, claims
    and address ranges are exact. Times are in seconds.
  EOT
  type = object({
    name      = optional(string, "rotate")
    token_ttl = optional(number, 1200)
    approle = optional(object({
      cidrs         = optional(list(string), [])
      secret_id_ttl = optional(number, 0)
    }))
    kubernetes = optional(object({
      namespace       = string
      service_account = string
      audience        = optional(string)
    }))
    jwt = optional(object({
      audience   = string
      claims     = map(string)
      user_claim = optional(string, "sub")
    }))
  })
  nullable = false

  validation {
    condition     = var.rotator.approle != null || var.rotator.kubernetes != null || var.rotator.jwt != null
    error_message = "The rotator has no way to log in: set approle, kubernetes or jwt."
  }

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]*$", var.rotator.name))
    error_message = "The name is the policy's and the roles': small letters, digits and hyphens."
  }

  validation {
    condition     = var.rotator.token_ttl >= 60
    error_message = "A login lives for a minute at least: a rotation takes some seconds."
  }

  validation {
    condition     = try(length(var.rotator.jwt.claims) > 0, var.rotator.jwt == null)
    error_message = "Without claims, whoever has a token of the issuer would be the rotator."
  }
}

variable "consumers" {
  description = <<-EOT
    Who reads which record, by the name of the policy and the roles. Each is logged in as the rotator is; without a
    method there is only the policy.
  EOT
  type = map(object({
    record    = string
    token_ttl = optional(number, 1200)
    approle = optional(object({
      cidrs         = optional(list(string), [])
      secret_id_ttl = optional(number, 0)
    }))
    kubernetes = optional(object({
      namespace       = string
      service_account = string
      audience        = optional(string)
    }))
    jwt = optional(object({
      audience   = string
      claims     = map(string)
      user_claim = optional(string, "sub")
    }))
  }))
  nullable = false

  validation {
    condition     = alltrue([for it in values(var.consumers) : can(regex("^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$", it.record))])
    error_message = "A record is a path in the mount, without data/, of letters, digits and . _ - with no slash at its ends."
  }

  validation {
    condition     = alltrue([for name in keys(var.consumers) : can(regex("^[a-z0-9][a-z0-9-]*$", name))])
    error_message = "A name is the policy's and the roles': small letters, digits and hyphens."
  }

  validation {
    condition     = alltrue([for it in values(var.consumers) : try(length(it.jwt.claims) > 0, it.jwt == null)])
    error_message = "Without claims, whoever has a token of the issuer would be this consumer."
  }
}

variable "approle" {
  description = "The auth method AppRole: where it is, and whether it is enabled here."
  type = object({
    path   = optional(string, "approle")
    create = optional(bool, true)
  })
  default  = {}
  nullable = false
}

variable "kubernetes" {
  description = <<-EOT
    The auth method of Kubernetes: where it is, and whether it is enabled here. `host` is the API server's address; in a
    pod of that cluster the rest is found, elsewhere `ca_cert` is needed, and clients that may review tokens.
  EOT
  type = object({
    path    = optional(string, "kubernetes")
    create  = optional(bool, true)
    host    = optional(string, "https://kubernetes.default.svc")
    ca_cert = optional(string)
  })
  default  = {}
  nullable = false

  validation {
    condition     = startswith(var.kubernetes.host, "https://")
    error_message = "The API server is asked over https."
  }
}

variable "jwt" {
  description = <<-EOT
    The auth method JWT, for CI systems: where it is, and whether it is enabled here, with the issuer's
    `discovery_url` or, where Vault cannot reach that, its public keys.
  EOT
  type = object({
    path          = optional(string, "jwt")
    create        = optional(bool, true)
    discovery_url = optional(string)
    public_keys   = optional(list(string))
    issuer        = optional(string)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.jwt.discovery_url == null || var.jwt.public_keys == null
    error_message = "Either discovery_url or public_keys."
  }
}
