"""Let each rival do what the product does, on the same clusters and the same store."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tests.bench.lab import Lab, Taken, secret
from tests.bench.product import run

HERE = Path(__file__).parent
ANSIBLE = "ansible-playbook"
"""``make bench`` puts it on the path."""


def world(lab: Lab, number: int) -> Path:
    """Tell in a file what a rival must know: the same clusters, users and records."""
    clusters: dict[str, Any] = {
        f"c{each}": {**told, "ca_file": str(lab.folder / f"ca-{each}.pem")} for each, told in enumerate(lab.clusters)
    }
    wide = len(clusters)
    credentials = [
        {"cluster": f"c{each % wide}", "user": f"u{each // wide}@pve", "path": f"r{each}"} for each in range(number)
    ]
    for it in clusters.values():
        secret(Path(it["ca_file"]), it["ca"])
    secret(lab.folder / "vault-ca.pem", lab.store.told["ca"])
    store = {**lab.store.told, "ca_file": str(lab.folder / "vault-ca.pem")}
    path = lab.folder / "world.json"
    secret(path, json.dumps({"clusters": clusters, "store": store, "credentials": credentials}))
    return path


def sequential(lab: Lab, number: int) -> Taken:
    """Measure the careful script; the first time it has nothing to replace, so it runs twice."""
    command = [sys.executable, "-m", "tests.bench.rivals.sequential", str(world(lab, number))]
    return measured(lab, command)


def shell(lab: Lab, number: int) -> Taken:
    """Measure the shell script."""
    told = json.loads(world(lab, number).read_text(encoding="utf-8"))
    store, lines = told["store"], []
    for it in told["credentials"]:
        pve = told["clusters"][it["cluster"]]
        lines.append(
            f"{pve['endpoint']} {pve['ca_file']} {pve['secret']} {it['user']} "
            f"{store['address']} {store['ca_file']} {store['token']} {it['path']}"
        )
    path = lab.folder / "world.txt"
    secret(path, "\n".join(lines) + "\n")
    return measured(lab, ["/bin/sh", str(HERE / "shell.sh"), str(path)])


def ansible(lab: Lab, number: int) -> Taken:
    """Measure the playbook."""
    command = [ANSIBLE, "-i", "localhost,", "-c", "local", "-e", f"@{world(lab, number)}"]
    command += ["-e", f"ansible_python_interpreter={sys.executable}"]
    return measured(lab, [*command, str(HERE / "playbook.yaml")], {"ANSIBLE_LOCALHOST_WARNING": "False"})


def measured(lab: Lab, command: list[str], environment: dict[str, str] | None = None) -> Taken:
    """Run it twice and measure the second time."""
    taken: list[Taken] = []
    run(command, environment=environment)
    with lab.measured(taken, is_child=True):
        run(command, environment=environment)
    return taken[0]
