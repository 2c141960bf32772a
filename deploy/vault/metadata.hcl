# Beside rotator.hcl, with `metadata: true` in the configuration. One line for each record.
path "secret/metadata/pve/ci" { capabilities = ["update"] }
