# The policies are those of the files beside this one, for other paths. Each rule there is a line.

locals {
  rotator_rules  = [for line in split("\n", file("${path.module}/rotator.hcl")) : line if startswith(line, "path ")]
  metadata_rules = [for line in split("\n", file("${path.module}/metadata.hcl")) : line if startswith(line, "path ")]
  consumer_rules = [for line in split("\n", file("${path.module}/consumer.hcl")) : line if startswith(line, "path ")]

  records = setunion(var.records, [for it in values(var.consumers) : it.record])

  rotator_policy = join("\n", flatten([
    for rule in concat(local.rotator_rules, var.metadata ? local.metadata_rules : []) : [
      for record in(strcontains(rule, "/pve/ci\"") ? local.records : strcontains(rule, "/pve/operator\"") ? var.operators : [""]) :
      replace(replace(rule, "\"secret/", "\"${var.mount}/"), strcontains(rule, "/pve/ci\"") ? "/pve/ci\"" : "/pve/operator\"", "/${record}\"")
    ]
  ]))

  consumer_policies = {
    for name, it in var.consumers : name => join("\n", [
      for rule in local.consumer_rules :
      replace(replace(rule, "\"secret/", "\"${var.mount}/"), "/pve/ci\"", "/${it.record}\"")
    ])
  }

  logins = merge(
    { for name, it in var.consumers : name => it },
    { (var.rotator.name) = merge(var.rotator, { record = null }) },
  )
  by_approle    = { for name, it in local.logins : name => it if it.approle != null }
  by_kubernetes = { for name, it in local.logins : name => it if it.kubernetes != null }
  by_jwt        = { for name, it in local.logins : name => it if it.jwt != null }
}

resource "vault_mount" "kv" {
  count = var.create_mount ? 1 : 0

  path        = var.mount
  type        = "kv"
  options     = { version = "2" }
  description = "Tokens of Proxmox VE"
}

resource "vault_policy" "rotator" {
  name   = var.rotator.name
  policy = local.rotator_policy

  lifecycle {
    precondition {
      condition     = !contains(keys(var.consumers), var.rotator.name)
      error_message = "A consumer is called like the rotator."
    }

    precondition {
      condition     = length(setintersection(local.records, var.operators)) == 0
      error_message = "A record cannot be an operator's that is only read: one that rotates itself stands under records alone."
    }
  }
}

resource "vault_policy" "consumer" {
  for_each = local.consumer_policies

  name   = each.key
  policy = each.value
}
