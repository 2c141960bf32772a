"""The examples do what they are copied for: not only are they valid, their first run succeeds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docs.bench import Bench
from tests.docs.pages import ROOT, read

EXAMPLES = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "examples").glob("*.yaml"))
TRIED = ("examples/minimal.yaml", "examples/shapes.yaml")
"""Those of one cluster, of which nothing is configured that only exists elsewhere."""


def credentials(example: str) -> list[dict[str, Any]]:
    """List the credentials of an example with what holds for all of them; those that are paused are left out."""
    whole = yaml.safe_load(read(example))
    merged = [{**whole.get("defaults", {}), **it} for it in whole["credentials"]]
    return [it for it in merged if not it.get("paused")]


def in_a_backend(settings: Mapping[str, Any], operator: Mapping[str, str]) -> bool:
    """Put the operator's token below the root of a store of files."""
    if "backend" not in settings:
        return False
    path = Path(settings["backends"][settings["backend"]]["root"]) / settings["path"]
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.touch(mode=0o600)
    path.write_text(json.dumps(operator), encoding="utf-8")
    return True


@pytest.mark.parametrize("example", TRIED)
def test_whoever_copies_an_example_gets_every_token(bench: Bench, example: str) -> None:
    """With the operator of the README and a user for each consumer, the first run issues all, and each works."""
    bench.seeds.insert(0, in_a_backend)
    for user in {it["user"] for it in credentials(example)}:
        bench.as_root(f"pveum user add {user} --groups rotated")
        bench.as_root(f"pveum acl modify / --users {user} --roles PVEAuditor")
    bench.configure(read(example))
    for it in credentials(example):
        for place in it.get("destinations", [it.get("destination")]):
            (bench.path("/etc/rotate/records") / place["path"]).parent.mkdir(parents=True, exist_ok=True)
    for command in ("due", "verify"):
        said, exit_code = bench.run(["rotate", command])
        assert exit_code == 0, said


@pytest.mark.parametrize("example", EXAMPLES)
def test_no_example_has_a_first_token_that_may_do_nothing(example: str) -> None:
    """It is granted something, has what its user has, or takes over one that is there; an operator does both."""
    for it in credentials(example):
        ways = {"grants": bool(it.get("grants")), "user": it.get("privsep") is False, "adopts": bool(it.get("adopt"))}
        assert any(ways.values()), it["name"]
        assert not it.get("operator") or (ways["adopts"] and ways["user"]), it["name"]
