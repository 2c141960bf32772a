"""The guide for Ansible, followed from the top with Ansible and its collection. ``make consumers`` runs this."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.docs.stages import WITH_CONSUMERS, shells
from tests.system.guides.terminal import Terminal, sitting_at

BIN = Path(os.environ.get("CONSUMERS", "run make consumers"))
PLAY = """\
- hosts: localhost
  gather_facts: false
  tasks:
    - community.proxmox.proxmox_node_info:
      register: found
    - ansible.builtin.debug: {msg: "{{ found.proxmox_nodes | map(attribute='node') | join(' ') }}"}
"""


@pytest.fixture
def terminal(tmp_path: Path, watch: Callable[[str], None]) -> Iterator[Terminal]:
    """Give a reader who has Ansible, and a play."""
    with sitting_at(tmp_path, watch) as made:
        made.variables |= {
            "PATH": f"{BIN}:{made.variables['PATH']}",
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
            "ANSIBLE_NOCOLOR": "1",
        }
        made.keep("site.yml", PLAY)
        yield made


@pytest.mark.parametrize("page", WITH_CONSUMERS)
def test_the_guide_can_be_followed(terminal: Terminal, page: str) -> None:
    """The play and the module alone ask PVE as the token that the guide has published."""
    wrong = terminal.follow(page)
    assert wrong == [], "\n".join(wrong)
    play, module = terminal.said
    assert len(shells(page)) == 2
    assert '"msg": "pve1 pve2"' in play
    assert '"node": "pve1"' in module
    assert any(call.who.startswith("ansible@pve!ansible-1-") and call.status == 200 for call in terminal.pve.calls)
