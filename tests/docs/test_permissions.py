"""What the page on permissions claims beyond what it tells to type."""

from __future__ import annotations

import pytest

from tests.docs.bench import Bench
from tests.docs.pages import blocks, commands

PAGE = "guides/permissions.md"
NOW = ["rotate", "now", "guests"]
USER = "monitoring@pve"
GRANTS = "grants: [{path: /vms, role: PVEAuditor}]"


@pytest.fixture
def reader(bench: Bench) -> Bench:
    """Do what the page does at PVE and in the configuration, and publish a token with grants of its own."""
    for block in blocks(PAGE):
        if block.language == "yaml":
            bench.configure(block.text)
        for command in commands(block) if block.language == "console" else ():
            if command.is_root:
                bench.type(command)
    assert bench.run(NOW)[1] == 0
    return bench


def change(reader: Bench, grants: str) -> None:
    """Write other grants into the configuration."""
    text = reader.config.read_text(encoding="utf-8")
    assert GRANTS in text
    reader.config.write_text(text.replace(GRANTS, grants), encoding="utf-8")


def test_a_token_without_entries_logs_in_and_may_do_nothing(reader: Bench) -> None:
    """While its user, and a token without privilege separation, may."""
    secret = reader.pve.add_token(USER, "empty", privsep=True)
    reader.pve.add_token(USER, "whole", privsep=False)
    assert reader.pve.accepts(f"{USER}!empty", secret)
    assert reader.pve.permissions(f"{USER}!empty") == {}
    assert reader.pve.permissions(f"{USER}!whole") == reader.pve.permissions(USER) != {}


def test_an_empty_list_of_grants_is_refused(reader: Bench) -> None:
    """Before anything is contacted."""
    change(reader, "grants: []")
    reader.pve.calls.clear()
    assert reader.run(["rotate", "config", "check"])[1] == 3
    assert reader.pve.calls == []


def test_a_role_that_the_user_lacks_is_noticed(reader: Bench) -> None:
    """PVE grants it and it has no effect: the new token is deleted again, and the old one is left."""
    before = reader.pve.tokens(USER)
    change(reader, "grants: [{path: /vms, role: PVEVMAdmin}]")
    said, exit_code = reader.run(NOW)
    assert (exit_code, "not effective" in said) == (4, True)
    assert reader.pve.tokens(USER) == before


def test_what_cannot_be_seen_whole_is_not_inherited(reader: Bench) -> None:
    """Nothing is issued until the operator may see the whole list; then the successor has what its predecessor had."""
    (old,) = (name for name in reader.pve.tokens(USER) if name.startswith("guests-"))
    change(reader, "")
    assert reader.run(NOW)[1] == 4
    assert sum(name.startswith("guests-") for name in reader.pve.tokens(USER)) == 1
    reader.pve.grant("/access", "PVEAuditor", user="rotator@pve")
    said, exit_code = reader.run(NOW)
    assert exit_code == 0, said
    (new,) = (name for name in reader.pve.tokens(USER) if name.startswith("guests-2-"))
    assert reader.pve.permissions(f"{USER}!{new}") == reader.pve.permissions(f"{USER}!{old}") != {}


def test_doctor_warns_of_an_operator_that_may_manage_everybody(reader: Bench) -> None:
    """With User.Modify on all groups it could make tokens of root@pam."""
    reader.as_root("pveum acl modify /access/groups --users rotator@pve --roles TokenRotator")
    said, exit_code = reader.run(["rotate", "doctor"])
    assert exit_code == 4, said
    assert "root@pam" in said
