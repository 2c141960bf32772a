# What a consumer needs: to read its own record.
path "secret/data/pve/ci" { capabilities = ["read"] }
