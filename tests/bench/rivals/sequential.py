"""The careful script that many have: proxmoxer and hvac, one credential after the other.

``python -m tests.bench.rivals.sequential FILE``. It lists, issues, grants, logs in with the new token and looks at its
permissions, stores it, reads it back, and gives the old one an end. A crash in between leaves a token that nobody knows
of, or a record whose token nobody tried; two at one time write over each other.
"""

from __future__ import annotations

import json
import secrets
import sys
import time
from pathlib import Path
from typing import Any

import hvac
from proxmoxer import ProxmoxAPI

OVERLAP = 3600


def rotate(pve: Any, vault: Any, it: dict[str, str], cluster: dict[str, str]) -> None:  # noqa: ANN401 - neither has types
    """Rotate one."""
    user, place = it["user"], it["path"]
    try:
        held = vault.secrets.kv.v2.read_secret_version(place, mount_point="secret", raise_on_deleted_version=False)
        old = held["data"]["data"].get("token_id", "").partition("!")[2]
    except hvac.exceptions.InvalidPath:
        old = ""
    tokens = {row["tokenid"] for row in pve.access.users(user).token.get()}
    name = f"r-{secrets.token_hex(4)}"
    made = pve.access.users(user).token(name).post(privsep=1, comment="rotated by a script")
    new = f"{user}!{name}"
    pve.access.acl.put(path="/vms", roles="PVEAuditor", tokens=new)
    seen = ProxmoxAPI(
        cluster["endpoint"], user=user, token_name=name, token_value=made["value"], verify_ssl=cluster["ca_file"]
    )
    seen.version.get()
    if "VM.Audit" not in seen.access.permissions.get().get("/vms", {}):
        raise SystemExit(f"{new} may not do what it should")
    content = {"token_id": new, "token_secret": made["value"]}
    vault.secrets.kv.v2.create_or_update_secret(place, content, mount_point="secret")
    back = vault.secrets.kv.v2.read_secret_version(place, mount_point="secret", raise_on_deleted_version=False)
    if back["data"]["data"] != content:
        raise SystemExit(f"{place} holds something else")
    if old in tokens:
        pve.access.users(user).token(old).put(expire=int(time.time()) + OVERLAP)


def main(world: dict[str, Any]) -> None:
    """Rotate all, one after the other, with one connection to each cluster and one to the store."""
    store = world["store"]
    vault = hvac.Client(url=store["address"], token=store["token"], verify=store["ca_file"])
    clusters = {
        name: ProxmoxAPI(
            it["endpoint"],
            user="operator@pve",
            token_name="bench",
            token_value=it["secret"],
            verify_ssl=it["ca_file"],
        )
        for name, it in world["clusters"].items()
    }
    for it in world["credentials"]:
        rotate(clusters[it["cluster"]], vault, it, world["clusters"][it["cluster"]])


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
