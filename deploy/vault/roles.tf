resource "vault_auth_backend" "approle" {
  count = var.approle.create && length(local.by_approle) > 0 ? 1 : 0

  type = "approle"
  path = var.approle.path
}

resource "vault_approle_auth_backend_role" "this" {
  for_each   = local.by_approle
  depends_on = [vault_auth_backend.approle]

  backend               = var.approle.path
  role_name             = each.key
  token_policies        = [each.key]
  token_ttl             = each.value.token_ttl
  token_max_ttl         = each.value.token_ttl
  token_bound_cidrs     = each.value.approle.cidrs
  secret_id_bound_cidrs = each.value.approle.cidrs
  secret_id_ttl         = each.value.approle.secret_id_ttl
}

resource "vault_auth_backend" "kubernetes" {
  count = var.kubernetes.create && length(local.by_kubernetes) > 0 ? 1 : 0

  type = "kubernetes"
  path = var.kubernetes.path
}

resource "vault_kubernetes_auth_backend_config" "this" {
  count = length(vault_auth_backend.kubernetes)

  backend            = vault_auth_backend.kubernetes[0].path
  kubernetes_host    = var.kubernetes.host
  kubernetes_ca_cert = var.kubernetes.ca_cert
}

resource "vault_kubernetes_auth_backend_role" "this" {
  for_each   = local.by_kubernetes
  depends_on = [vault_auth_backend.kubernetes]

  backend                          = var.kubernetes.path
  role_name                        = each.key
  token_policies                   = [each.key]
  token_ttl                        = each.value.token_ttl
  token_max_ttl                    = each.value.token_ttl
  bound_service_account_names      = [each.value.kubernetes.service_account]
  bound_service_account_namespaces = [each.value.kubernetes.namespace]
  audience                         = each.value.kubernetes.audience
}

resource "vault_jwt_auth_backend" "this" {
  count = var.jwt.create && length(local.by_jwt) > 0 ? 1 : 0

  type                   = "jwt"
  path                   = var.jwt.path
  oidc_discovery_url     = var.jwt.discovery_url
  jwt_validation_pubkeys = try([for key in var.jwt.public_keys : trimspace(key)], null)
  bound_issuer           = var.jwt.issuer
}

resource "vault_jwt_auth_backend_role" "this" {
  for_each   = local.by_jwt
  depends_on = [vault_jwt_auth_backend.this]

  backend         = var.jwt.path
  role_type       = "jwt"
  role_name       = each.key
  token_policies  = [each.key]
  token_ttl       = each.value.token_ttl
  token_max_ttl   = each.value.token_ttl
  bound_audiences = [each.value.jwt.audience]
  bound_claims    = each.value.jwt.claims
  user_claim      = each.value.jwt.user_claim
}
