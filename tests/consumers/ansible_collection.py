"""Ansible's community.proxmox collection itself, with the environment that was written for it.

Not found by ``make test``: the collection comes only inside the package ``ansible``, which has half a gigabyte.
``make consumers`` installs that in an environment of its own, and runs this.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.consumers.lab import USER, Lab, sourcing

BIN = Path(os.environ.get("CONSUMERS", "run make consumers"))
MODULE = ("-m", "community.proxmox.proxmox_user_info", "-e", f"ansible_python_interpreter={BIN / 'python'}")


def run(lab: Lab, record: Path, program: str, *arguments: str) -> str:
    """Run a program of Ansible in the environment that a record holds; returns what it printed."""
    environ = {
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "HOME": str(lab.folder),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        "REQUESTS_CA_BUNDLE": str(lab.ca),
        "LC_ALL": "C.UTF-8",
    }
    command = sourcing(record, str(BIN / program), *arguments)
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)  # noqa: S603 - our own
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("checked", [True, False], ids=["certificate checked", "not checked"])
def test_a_module_lists_users_as_the_published_token(lab: Lab, *, checked: bool) -> None:
    """User, bare name and secret are where its modules look; also after a rotation."""
    tls = None if checked else {"unsafe_skip_verification": True}
    record = lab.publish("ansible.env", tls=tls, preset="ansible")
    for _ in range(2):
        said = run(lab, record, "ansible", "localhost", *MODULE)
        assert f'"userid": "{USER}"' in said
        assert lab.callers() == {lab.token(): {200}}
        lab.rotate()


def test_the_inventory_reads_the_same_environment(lab: Lab) -> None:
    """Its plug-in takes the address from PROXMOX_URL."""
    record = lab.publish("ansible.env", preset="ansible")
    inventory = lab.folder / "home.proxmox.yml"
    inventory.write_text("plugin: community.proxmox.proxmox\nvalidate_certs: true\n")
    listed = json.loads(run(lab, record, "ansible-inventory", "-i", str(inventory), "--list"))
    assert listed["proxmox_nodes"]["hosts"] == ["pve1"]
    assert set(lab.callers()) == {lab.token()}
