"""What ``rotate init`` does when PVE or a store fails in the middle: it says what is there, and a repeat finishes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from rotator.cli.main import rotate
from rotator.errors import ConfigError, ConflictError, OutcomeUnknownError, RefusedError, UnavailableError
from rotator.model import Destination, Secret, Token, TokenId
from rotator.proxmox import TicketLogin, TlsTrust
from rotator.setup import files
from rotator.setup.operator_place import OperatorPlace
from rotator.setup.proxmox_access import ProxmoxAccess
from rotator.setup.things import OperatorToken, comment_of
from rotator.setup.work import Worker
from rotator.testing.faulty_backend import After, Before, Fault, FaultyBackend, Operation, nth
from rotator.testing.pve import AnswerAfter, AnswerInstead, AnswerLate, Request
from rotator.testing.pve import Fault as PveFault
from tests.another_user import SOMEBODY
from tests.contract.memory import MemoryBackend
from tests.setup.lab import OPERATOR, ROOT, Lab
from tests.wire.lab import Rogue, answer

LOCK = AnswerInstead(500, "cfs-lock 'file-user_cfg' error: got lock request timeout")
CHANGES = 8


def once(lab: Lab, number: int, fault: PveFault) -> None:
    """Let one of the changing calls after the login fail."""
    seen = 0

    def disturb(asked: Request) -> PveFault | None:
        nonlocal seen
        if asked.method == "GET" or asked.path == "/access/ticket":
            return None
        seen += 1
        return fault if seen - 1 == number else None

    lab.pve.intercept = disturb


@pytest.mark.parametrize("number", range(CHANGES))
def test_a_lock_that_is_held_ends_the_run_and_a_repeat_finishes(new: Lab, number: int) -> None:
    """What failed, how far it came, what to do; then all is made, once."""
    once(new, number, LOCK)
    result = new.init()
    assert result.exit_code == 4
    assert f"live now: {number + 2} of 10 steps are done" in result.stderr
    assert "run `rotate init` again to go on" in result.stderr
    new.pve.intercept = None
    assert new.init().exit_code == 0
    assert new.is_set_up()


@pytest.mark.parametrize("number", range(CHANGES - 1))
def test_an_answer_that_got_lost_is_looked_for(new: Lab, number: int) -> None:
    """596, and it was made: the run goes on as if nothing had been."""
    once(new, number, AnswerAfter(596))
    assert new.init().exit_code == 0
    assert new.is_set_up()


def test_a_token_whose_answer_got_lost_is_replaced_by_the_next_run(new: Lab) -> None:
    """Its secret is known to nobody; when it comes into being late, it meets a name that is taken."""
    once(new, CHANGES - 1, AnswerAfter(596))
    assert new.init().exit_code == 4
    assert len(new.pve.tokens(OPERATOR)) == 1
    new.pve.intercept = None
    assert new.init().exit_code == 0
    assert new.is_set_up()


def test_a_token_that_comes_late_changes_nothing_any_more(new: Lab) -> None:
    """The next run has made one of that name."""
    once(new, CHANGES - 1, AnswerLate(596))
    assert new.init().exit_code == 4
    new.pve.intercept = None
    assert new.init().exit_code == 0
    new.pve.apply_late()
    assert new.is_set_up()


def test_a_failed_set_up_is_told_to_scripts(new: Lab) -> None:
    """What is made, what is missing, and why."""
    once(new, 2, LOCK)
    found = new.json("init", *new.options("--yes"))
    assert [it["state"] for it in found["results"]] == ["made"] * 4 + ["missing"] * 6
    assert "run `rotate init` again" in found["errors"][0]["hint"]


def test_an_undo_that_fails_goes_on_the_next_time(new: Lab) -> None:
    """What it could not take away is still noted; an answer that got lost is looked for there, too."""
    new.init()
    once(new, 4, LOCK)
    failed = new.call("init", "--undo", "--yes", *new.login())
    assert (failed.exit_code, "run `rotate init --undo` again" in failed.stderr) == (4, True)
    once(new, 0, AnswerAfter(596))
    assert new.call("init", "--undo", "--yes", *new.login()).exit_code == 0
    assert new.is_fresh()


def test_a_change_that_was_not_answered_and_did_not_happen_is_told(new: Lab) -> None:
    """It was looked for and not found; it may still come, so nothing is claimed."""
    once(new, 0, AnswerInstead(596))
    result = new.init()
    assert (result.exit_code, "live now: 2 of 10 steps are done" in result.stderr) == (4, True)
    new.pve.intercept = None
    assert new.init().exit_code == 0
    once(new, 1, AnswerInstead(596))
    undone = new.call("init", "--undo", "--yes", *new.login())
    assert (undone.exit_code, "live now: 1 of 12 steps are done" in undone.stderr) == (4, True)


def test_a_folder_that_is_not_there_is_told(new: Lab) -> None:
    """Before anything was made at PVE."""
    elsewhere = new.folder / "missing" / "rotate.yaml"
    place = ["--place", f"path={new.folder}/ci.json", "--operator-place", f"path={new.folder}/operator.json"]
    result = CliRunner().invoke(rotate, ["init", *new.options("--yes", *place), "--config", str(elsewhere)])
    assert (result.exit_code, "cannot be written: No such file" in result.stderr) == (3, True)
    assert new.is_fresh()


def test_a_configuration_that_is_written_anew_stays_whose_it_is_and_where_it_is(tmp_path: Path) -> None:
    """Root finishes a set-up, and the service that reads the file by its group, through a link, goes on reading it."""
    real, link = tmp_path / "real.yaml", tmp_path / "rotate.yaml"
    real.write_text("old")
    real.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(real, SOMEBODY, SOMEBODY)
    link.symlink_to(real)
    before = real.stat()
    files.rewrite(link, "new")
    after = real.stat()
    assert (link.is_symlink(), real.read_text()) == (True, "new")
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert sorted(tmp_path.iterdir()) == [real, link]


def test_a_file_that_cannot_be_removed_is_told(tmp_path: Path) -> None:
    """With the command that does it."""
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigError, match="cannot be removed"):
        files.remove(tmp_path / "folder")


def test_an_operator_that_vanished_meanwhile_is_told(access: ProxmoxAccess) -> None:
    """Somebody cleared the record between its writing and its proof."""
    with pytest.raises(RefusedError, match="is not where it was stored"):
        Worker(access, place()).prove([OPERATOR])


@pytest.mark.parametrize("path", ["groups", "roles", "users", "acl", "domains"])
@pytest.mark.parametrize("name", ["null", "7", "[]", "{}"])
def test_a_list_of_what_has_no_names_is_no_pves(path: str, name: str) -> None:
    """They are searched, sorted and written in sentences later."""
    keys = ("groupid", "roleid", "userid", "realm", "path", "type", "ugid")
    row = ",".join(f'"{key}":{name}' for key in keys).encode()

    def listing(rogue: Rogue, link: Any) -> None:  # noqa: ANN401 - a socket, plain or not
        while request := rogue.read(link):
            is_odd = f"/access/{path}".encode() in request.split(b" ")[1]
            link.sendall(answer(b'{"data":[%s]}' % (b"{%s}" % row if is_odd else b"")))

    with Rogue(listing) as rogue:
        operator = Token(TokenId(OPERATOR, "op"), Secret("0" * 8))
        trust = TlsTrust(fingerprint=rogue.fingerprint)
        access = ProxmoxAccess("odd", [rogue.endpoint], login=lambda: operator, trust=trust)
        with closing(access), pytest.raises(UnavailableError, match="answered with something unexpected"):
            access.present()


# the operator's place, in a store that fails


@pytest.fixture
def access(new: Lab) -> Iterator[ProxmoxAccess]:
    """Open the cluster as root, with a user for the operator."""
    new.pve.add_user(OPERATOR)
    login = TicketLogin(ROOT, Secret(new.password))
    opened = ProxmoxAccess(
        "home", [new.pve.nodes[0].endpoint], login=login, trust=TlsTrust(fingerprint=new.pve.fingerprint)
    )
    yield opened
    opened.close()


THING = OperatorToken(OPERATOR, "operator-abcde")


def place(*faults: Fault) -> OperatorPlace:
    """Make a place in a store that fails as planned."""
    return OperatorPlace(FaultyBackend(MemoryBackend(), faults), Destination("memory", "op", "memory:op"))


def issue(where: OperatorPlace, access: ProxmoxAccess) -> None:
    """Issue the token and store it."""
    where.issue(access, THING, comment_of("lab"))


@pytest.mark.parametrize("error", [UnavailableError("down"), RefusedError("no"), ConflictError("changed")])
def test_a_token_that_cannot_be_stored_is_revoked_again(new: Lab, access: ProxmoxAccess, error: Exception) -> None:
    """It says so, with what the store said."""
    where = place(Before(nth(Operation.WRITE, 1), error))
    with pytest.raises(RefusedError, match="operator-abcde, which was issued for it, was revoked again"):
        issue(where, access)
    assert new.pve.tokens(OPERATOR) == []
    issue(where, access)
    assert len(new.pve.tokens(OPERATOR)) == 1


def test_a_store_that_will_not_take_it_is_asked_before_pve(new: Lab, access: ProxmoxAccess) -> None:
    """No token is issued for nothing."""
    with pytest.raises(RefusedError, match=r"^no$"):
        issue(place(Before(nth(Operation.PREFLIGHT, 1), RefusedError("no"))), access)
    assert [call.path for call in new.pve.calls] == []


def test_a_write_whose_answer_got_lost_is_looked_for(new: Lab, access: ProxmoxAccess) -> None:
    """What can be read there was written."""
    issue(place(After(nth(Operation.WRITE, 1), OutcomeUnknownError("lost"))), access)
    assert len(new.pve.tokens(OPERATOR)) == 1


def test_a_write_of_which_nothing_is_known_leaves_the_token(new: Lab, access: ProxmoxAccess) -> None:
    """It may be read by now, or soon; the next run finds out."""
    with pytest.raises(OutcomeUnknownError, match="operator-abcde was issued for it") as caught:
        issue(place(Before(nth(Operation.WRITE, 1), OutcomeUnknownError("lost"))), access)
    assert "run it again" in caught.value.hint
    assert new.pve.tokens(OPERATOR) == ["operator-abcde"]


def test_a_token_that_can_neither_be_stored_nor_revoked_is_named(new: Lab, access: ProxmoxAccess) -> None:
    """The next run replaces it."""
    new.pve.intercept = lambda asked: LOCK if asked.method == "DELETE" else None
    with pytest.raises(RefusedError, match=r"could not be revoked again: .*lock") as caught:
        issue(place(Before(nth(Operation.WRITE, 1), RefusedError("no"))), access)
    assert "it replaces that token" in caught.value.hint
    assert new.pve.tokens(OPERATOR) == ["operator-abcde"]


def test_a_record_whose_token_pve_does_not_take_is_no_operator(new: Lab, access: ProxmoxAccess, canary: str) -> None:
    """The name is right, the secret is another one: it costs one refused login to know."""
    where = place()
    new.watch(new.pve.add_token(OPERATOR, "xx"))
    fields = where.destination.shape.render(token_with(canary), None)
    where.backend.write("op", fields, expected=None)
    assert where.look(access, access.present()).is_accepted is False


def token_with(secret: str) -> Token:
    """Make a token of the operator."""
    return Token(TokenId(OPERATOR, "xx"), Secret(secret))
