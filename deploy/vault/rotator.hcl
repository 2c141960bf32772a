# What rotate needs. One line of the first kind for each record, one of the second for each operator.
path "secret/data/pve/ci" { capabilities = ["create", "update", "read"] }
path "secret/data/pve/operator" { capabilities = ["read"] }
path "sys/capabilities-self" { capabilities = ["update"] }
