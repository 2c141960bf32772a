"""proxmoxer as Python programs use it, with what was written for it."""

from __future__ import annotations

import json

import pytest
from proxmoxer import ProxmoxAPI

from tests.consumers.lab import Lab


@pytest.mark.parametrize("file", ["consumer.json", "other.json"])
def test_the_record_is_what_a_client_is_made_of(lab: Lab, file: str) -> None:
    """Its keys are the arguments, all of them, also after a rotation."""
    path = lab.publish(file, preset="proxmoxer")
    for _ in range(2):
        api = ProxmoxAPI(**json.loads(path.read_text()), verify_ssl=str(lab.ca))
        assert [node["node"] for node in api.nodes.get()] == ["pve1"]
        assert lab.callers() == {lab.token(): {200}}
        lab.rotate()
    assert lab.token().startswith("consumer@pve!consumer-3-")
