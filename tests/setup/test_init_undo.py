"""``rotate init --undo`` takes away what was made here, and nothing that was there before or that others use."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from rotator.marker import Marker
from rotator.testing.pve import SimulatedPve
from rotator.testing.state import State
from tests.setup.lab import CI, MADE, OPERATOR, Lab, changing, names


def undo(lab: Lab, *more: str) -> list[dict[str, str]]:
    """Undo and return what became of each thing."""
    found = lab.json("init", "--undo", "--yes", *more, *lab.login())
    assert found["exit_code"] == 0
    return list(found["results"])


def test_all_that_was_made_goes(new: Lab) -> None:
    """PVE is as it was after its installation; what rotations wrote is the consumer's and stays."""
    new.init()
    new.rotate_now()
    result = new.call("init", "--undo", "--yes", *new.login())
    assert result.exit_code == 0
    assert new.is_fresh()
    assert new.files() == [".ci.json.lock", "ci.json"]
    assert f"    record file:{new.folder}/ci.json stays: rotations write it; the token in it ends" in result.stdout


def test_without_a_rotation_no_record_is_left(new: Lab) -> None:
    """What was never written is not named, nor what goes."""
    new.init()
    for more in ("--dry-run",), ():
        assert [it for it in undo(new, *more) if it["state"] == "left"] == []


def test_a_record_stays_as_good_as_its_user(new: Lab) -> None:
    """Where others use the user, the token in the record goes on working, and that is said."""
    new.init()
    new.rotate_now()
    new.watch(new.pve.add_token(CI, "by-others", privsep=False))
    (record,) = [it for it in undo(new) if it["state"] == "left"]
    assert "the token in it goes on working" in record["message"]
    assert new.works()


def test_what_others_keep_beside_the_operator_stays(new: Lab) -> None:
    """A file with keys of others is theirs, too; it is named with what is left in it."""
    new.init()
    path = new.folder / "operator.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "note": "ours"}))
    (record,) = [it for it in undo(new) if it["state"] == "left"]
    assert record["thing"] == f"record file:{path}"
    assert path.exists()


def test_it_says_which_tokens_end(new: Lab) -> None:
    """Whoever reads them cannot log in any more: that is to be known before."""
    new.init()
    new.rotate_now()
    result = new.call("init", "--undo", "--dry-run", *new.login())
    shown = new.json("init", "--undo", "--dry-run", *new.login())["results"]
    (user,) = [it for it in shown if it["thing"] == f"user {CI}"]
    assert "these tokens end with it, whoever reads them: ci@pve!ci-1-" in user["message"]
    assert f"to-remove  pveum user delete {CI}" in result.stdout
    assert f"    user {CI}: {user['message']}" in result.stdout.splitlines()
    assert new.works()


def test_nobody_is_there_and_nothing_is_said(new: Lab) -> None:
    """It is asked for, like everything else."""
    new.init()
    calls = changing(new.pve)
    result = new.call("init", "--undo", *new.login())
    assert (result.exit_code, "say --yes" in result.stderr, changing(new.pve)) == (2, True, calls)


def test_a_second_undo_has_nothing_to_do(new: Lab) -> None:
    """And one without a first set-up neither."""
    assert "nothing to undo" in new.call("init", "--undo", "--yes", *new.login()).stdout
    new.init()
    undo(new)
    assert "nothing to undo" in new.call("init", "--undo", "--yes", *new.login()).stdout


def test_what_was_there_before_stays(new: Lab) -> None:
    """Group, role, user and permissions of others, and the user's other groups."""
    new.pve.add_group("rotated")
    new.pve.add_group("other")
    new.pve.add_role("TokenRotator", ["User.Modify"])
    new.pve.add_user(CI, groups=["other"])
    new.pve.grant("/vms", "PVEVMUser", user=CI)
    before = new.state
    new.init()
    assert new.state.users[CI].groups == {"rotated", "other"}
    undo(new)
    assert new.state == before


def several(*doing: Callable[[SimulatedPve], object]) -> Callable[[SimulatedPve], None]:
    """Do one after the other."""

    def happens(pve: SimulatedPve) -> None:
        for do in doing:
            do(pve)

    return happens


def joined(state: State) -> State:
    """Put the consumer's user into a group of theirs."""
    return state.with_user(CI, replace(state.users[CI], groups=state.users[CI].groups | {"theirs"}))


def commented(state: State) -> State:
    """Give the consumer's user a comment of theirs."""
    return state.with_user(CI, replace(state.users[CI], profile={"comment": "theirs"}))


def with_role(state: State) -> State:
    """Give the operator's role more privileges."""
    return replace(state, roles={**state.roles, "TokenRotator": frozenset({"User.Modify", "Sys.Audit"})})


CONSUMER, MANAGER = {*MADE[4:], MADE[0]}, {*MADE[:4]}
SOMEBODY = "bob@pve"
OTHERS: dict[str, tuple[Callable[[SimulatedPve], object], set[str]]] = {
    "a token of the consumer's user": (lambda pve: pve.add_token(CI, "byhand"), CONSUMER),
    "a token of the operator": (lambda pve: pve.add_token(OPERATOR, "byhand"), MANAGER),
    "a permission of the consumer's user": (lambda pve: pve.grant("/pool", "PVEAuditor", user=CI), CONSUMER),
    "another group of the user": (
        several(lambda pve: pve.add_group("theirs"), lambda pve: pve.cluster.plant(joined)),
        CONSUMER,
    ),
    "another member of the group": (lambda pve: pve.add_user(SOMEBODY, groups=["rotated"]), {MADE[0]}),
    "a permission of the group": (lambda pve: pve.grant("/vms", "PVEAuditor", group="rotated"), {MADE[0]}),
    "a permission on the group": (
        several(
            lambda pve: pve.add_user(SOMEBODY),
            lambda pve: pve.grant("/access/groups/rotated", "PVEAuditor", user=SOMEBODY),
        ),
        {MADE[0]},
    ),
    "the role for somebody else": (
        several(
            lambda pve: pve.add_user(SOMEBODY),
            lambda pve: pve.grant("/access/groups", "TokenRotator", user=SOMEBODY),
        ),
        {MADE[1]},
    ),
    "the role with other privileges": (lambda pve: pve.cluster.plant(with_role), {MADE[1]}),
    "a comment of their own at the group": (
        lambda pve: pve.cluster.plant(lambda state: replace(state, groups={**state.groups, "rotated": "theirs"})),
        {MADE[0]},
    ),
    "a comment of their own at the user": (lambda pve: pve.cluster.plant(commented), CONSUMER),
}
"""What others do, and what therefore stays."""


@pytest.mark.parametrize("what", OTHERS)
def test_what_others_use_stays_with_all_that_it_needs(new: Lab, what: str) -> None:
    """And the rest goes; the configuration stays too, with the notes that a later undo needs."""
    happens, stays = OTHERS[what]
    new.init()
    happens(new.pve)
    new.look_at_secrets()
    results = undo(new)
    assert set(names(results, "kept")) == stays
    assert all(it["message"] for it in results if it["state"] == "kept")
    assert {it for it in names(results, "removed") if not it.startswith(("file", "token"))} == {*MADE} - stays
    assert "rotate.yaml" in new.files()


def test_a_token_that_others_gave_the_same_name_stays(new: Lab) -> None:
    """What its comment does not say to be ours was not made here."""
    new.init()
    (name,) = new.pve.tokens(OPERATOR)
    new.pve.delete_token(f"{OPERATOR}!{name}")
    new.watch(new.pve.add_token(OPERATOR, name, comment="byhand"))
    assert f"token {OPERATOR} {name}" not in names(undo(new), "removed")
    assert new.pve.tokens(OPERATOR) == [name]
    refused = new.call("init", "--yes", *new.login())
    assert (refused.exit_code, "was not made here" in refused.stderr) == (4, True)


def test_an_operator_that_stays_keeps_its_record(new: Lab) -> None:
    """Who calls the installation otherwise has made the token strange: without its record nobody could use it."""
    new.init()
    (name,) = new.pve.tokens(OPERATOR)
    text = new.config.read_text(encoding="utf-8")
    new.config.write_text(re.sub("(?m)^owner: .*", "owner: others", text), encoding="utf-8")
    results = undo(new)
    assert f"token {OPERATOR} {name}" in names(results, "kept")
    assert new.pve.tokens(OPERATOR) == [name]
    (record,) = [it for it in results if it["state"] == "left"]
    assert record["thing"] == f"record file:{new.folder}/operator.json"
    assert record["message"].startswith("the operator's token was kept there, and stays;")
    assert (new.folder / "operator.json").exists()
    new.rotate_now()


def test_an_operator_that_was_rotated_and_stays_keeps_its_record(new: Lab) -> None:
    """Its token is another one than was made here, and lives on where its user does."""
    new.init()
    (name,) = new.pve.tokens(OPERATOR)
    new.pve.delete_token(f"{OPERATOR}!{name}")
    comment = Marker("lab", "operator", "planted", new.time.now(), published=True).comment()
    new.watch(secret := new.pve.add_token(OPERATOR, "operator-1-abcde", privsep=False, comment=comment))
    record = new.folder / "operator.json"
    record.write_text(json.dumps({"token_id": f"{OPERATOR}!operator-1-abcde", "token_secret": secret}))
    new.watch(new.pve.add_token(OPERATOR, "byhand"))
    for more in ("--dry-run",), ():
        (left,) = [it for it in undo(new, *more) if it["state"] == "left"]
        assert (left["thing"], "and stays;" in left["message"]) == (f"record file:{record}", True)
    assert new.works("operator")
    new.pve.delete_token(f"{OPERATOR}!byhand")
    undo(new)
    assert (new.is_fresh(), record.exists()) == (True, False)


def test_a_second_set_up_of_the_same_name_keeps_its_operator(new: Lab) -> None:
    """Both have the machine's name; the first made the user whose token the second works with."""
    new.init()
    second = replace(new, folder=new.folder.parent / "second")
    second.folder.mkdir()
    assert second.init("--name", "second").exit_code == 0
    undone = undo(new)
    assert set(names(undone, "kept")) == {*MADE[:4]}
    assert f"others made tokens of it: {second.record('operator')['token_id'].partition('!')[2]}" in str(undone)
    assert second.call("now", "second").exit_code == 0
    undo(second)
    undo(new)
    assert new.is_fresh()


def test_a_configuration_that_was_changed_stays(new: Lab) -> None:
    """Somebody has put work into it; a record with other keys in it, and another schema, too."""
    new.init()
    new.config.write_text(new.config.read_text(encoding="utf-8") + "# mine\n", encoding="utf-8")
    (new.folder / "rotate.schema.json").write_text("{}", encoding="utf-8")
    record = new.folder / "operator.json"
    record.write_text(record.read_text(encoding="utf-8").replace("{", '{"mine": "x",', 1), encoding="utf-8")
    left = [it["thing"] for it in undo(new) if it["state"] == "left"]
    assert left == [f"record file:{record}", f"file {new.config}"]
    assert new.is_fresh()
    assert [it for it in new.files() if not it.startswith(".")] == [
        "operator.json",
        "rotate.schema.json",
        "rotate.yaml",
    ]


def test_a_record_that_cannot_be_read_stays(new: Lab) -> None:
    """Who knows what it is."""
    new.init()
    (new.folder / "operator.json").write_text("{", encoding="utf-8")
    undo(new)
    assert "operator.json" in new.files()
