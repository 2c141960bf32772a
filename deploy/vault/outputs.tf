output "policies" {
  description = "All policies, by name: the rotator's, and one for each consumer."
  value       = merge({ (vault_policy.rotator.name) = vault_policy.rotator.policy }, { for name, it in vault_policy.consumer : name => it.policy })
}

output "role_ids" {
  description = "The role id of each AppRole, by name; its secret id is made by hand: `vault write -f auth/approle/role/NAME/secret-id`."
  value       = { for name, it in vault_approle_auth_backend_role.this : name => it.role_id }
}

output "backend" {
  description = "What belongs under `auth` of the backend in rotate's configuration, for each method that the rotator has."
  value = {
    for method, settings in {
      approle    = { method = "approle", mount = var.approle.path, role_id = try(vault_approle_auth_backend_role.this[var.rotator.name].role_id, null) }
      kubernetes = { method = "kubernetes", mount = var.kubernetes.path, role = var.rotator.name }
      jwt        = { method = "jwt", mount = var.jwt.path, role = var.rotator.name }
    } : method => settings if var.rotator[method] != null
  }
}
