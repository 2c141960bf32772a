#!/bin/sh
# A shell script with curl, as in many a wiki: shell.sh FILE, a line for each credential:
#   endpoint ca operator-secret user store-address store-ca store-token path
# It shows secrets in the arguments of curl, which whoever is on the machine can read, and checks what it must. A crash
# leaves a token that nobody knows of, and two at one time write over each other.
set -eu
while read -r endpoint ca secret user store storeca token path; do
  api="https://$endpoint/api2/json"
  operator="Authorization: PVEAPIToken=operator@pve!bench=$secret"
  old=$(curl -sS --cacert "$storeca" -H "X-Vault-Token: $token" "$store/v1/secret/data/$path" |
    sed -n 's/.*"token_id": *"[^!"]*!\([^"]*\)".*/\1/p')
  name="s-$(od -An -N4 -tx1 /dev/urandom | tr -d ' \n')"
  new=$(curl -sSf --cacert "$ca" -H "$operator" -d privsep=1 "$api/access/users/$user/token/$name" |
    sed -n 's/.*"value": *"\([^"]*\)".*/\1/p')
  curl -sSf --cacert "$ca" -H "$operator" -X PUT -d path=/vms -d roles=PVEAuditor \
    --data-urlencode "tokens=$user!$name" "$api/access/acl" >/dev/null
  consumer="Authorization: PVEAPIToken=$user!$name=$new"
  curl -sSf --cacert "$ca" -H "$consumer" "$api/version" >/dev/null
  curl -sSf --cacert "$ca" -H "$consumer" "$api/access/permissions" | grep -q VM.Audit
  curl -sSf --cacert "$storeca" -H "X-Vault-Token: $token" -X PUT \
    -d "{\"data\":{\"token_id\":\"$user!$name\",\"token_secret\":\"$new\"}}" "$store/v1/secret/data/$path" >/dev/null
  curl -sSf --cacert "$storeca" -H "X-Vault-Token: $token" "$store/v1/secret/data/$path" | grep -q "$new"
  if [ -n "$old" ]; then
    curl -sSf --cacert "$ca" -H "$operator" -X PUT -d "expire=$(($(date +%s) + 3600))" \
      "$api/access/users/$user/token/$old" >/dev/null
  fi
done <"$1"
