"""``rotate adopt``: tokens that somebody else made become ours, once somebody has agreed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.lab import OPERATOR, USER, Lab, only
from tests.setup.terminal import CTRL_C, Sitting, sit


@pytest.fixture
def foreign(lab: Lab) -> str:
    """Return a token that somebody else made and put into the record of ci."""
    lab.add("ci", overlap="1h")
    secret = lab.pve.add_token(USER, "hand", privsep=False, comment="made by \x1b[31mhand", expire=1800000000)
    lab.plant("ci", f"{USER}!hand", secret)
    return f"{USER}!hand"


def test_dry_run_shows_the_token_and_what_would_be_done(lab: Lab, foreign: str) -> None:
    """What PVE says of it, whether it works, the steps; nothing is changed."""
    result = lab.call("adopt", "ci", "--dry-run")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[:4] == [
        f"ci  would take over {foreign}",
        f"    in file:{lab.folder}/ci.json",
        "    logs in, expires 2027-01-15 08:00:00Z, may do all that its user may",
        "    comment: made by  [31mhand",
    ]
    assert [line.partition(". ")[0].strip() for line in lines[4:]] == [str(n) for n in range(1, len(lines) - 3)]
    assert any(line.endswith(f". retire {foreign}: PVE ends it 1h later") for line in lines)
    assert lab.pve.tokens(USER) == ["hand"]


def test_dry_run_tells_a_script_the_same(lab: Lab, foreign: str) -> None:
    """As values."""
    adopted = only(lab.json("adopt", "ci", "--dry-run")["results"])
    assert adopted["found"] == {
        "token": foreign,
        "destination": f"file:{lab.folder}/ci.json",
        "privsep": False,
        "expires": "2027-01-15T08:00:00Z",
        "comment": "made by \x1b[31mhand",
        "works": True,
        "exists": True,
        "stays": False,
        "also_in": [],
    }
    assert "retire" in [step["step"] for step in adopted["steps"]]
    assert adopted["run"] is None


def test_yes_takes_over(lab: Lab, foreign: str) -> None:
    """A token of ours takes its place, the old one works on for the overlap."""
    old = lab.record("ci")
    found = lab.json("adopt", "ci", "--yes")
    assert found["exit_code"] == 0
    assert only(found["results"])["run"]["done"] == ["forced"]
    assert lab.record("ci")["token_id"].startswith(f"{USER}!ci-1-")
    assert lab.works("ci")
    assert lab.pve.accepts(foreign, old["token_secret"])
    assert lab.ends_after(foreign, hours=1)


def test_afterwards_the_configuration_needs_no_adopt(lab: Lab, foreign: str) -> None:
    """It says so, and it is true: further runs revoke the old token and go on."""
    assert "`adopt: true` is not needed" in lab.call("adopt", "ci", "--yes").stdout
    lab.time.pass_by(hours=2)
    assert only(lab.json("due")["results"])["done"] == ["overlap-passed"]
    assert foreign not in lab.pve.tokens(USER)
    assert lab.works("ci")


def test_what_is_ours_already_is_left_alone(lab: Lab) -> None:
    """A second adopt is no rotation."""
    lab.add("ci")
    lab.call("due")
    before = lab.record("ci")
    adopted = only(lab.json("adopt", "ci", "--yes")["results"])
    assert (adopted["reason"], adopted["exit_code"], adopted["found"]) == ("nothing-to-adopt", 0, None)
    assert "is ours already; nothing was done" in adopted["message"]
    assert lab.record("ci") == before


def test_an_empty_record_has_nothing_to_adopt(lab: Lab) -> None:
    """It is not filled in passing: that is what other commands are for."""
    lab.add("ci")
    result = lab.call("adopt", "ci", "--yes")
    assert result.exit_code == 0
    assert "holds no token; `rotate now ci` issues the first" in result.stdout
    assert lab.pve.tokens(USER) == []


def test_a_foreign_token_that_is_gone_is_replaced(lab: Lab, foreign: str) -> None:
    """`rotate due` refuses such a record and names this command, so this command must be the way out."""
    lab.pve.delete_token(foreign)
    assert lab.call("due").exit_code == 5
    shown = only(lab.json("adopt", "ci", "--dry-run")["results"])
    assert (shown["found"]["exists"], shown["found"]["works"]) == (False, None)
    assert "    PVE does not know it" in lab.call("adopt", "ci", "--dry-run").stdout
    assert lab.call("adopt", "ci", "--yes").exit_code == 0
    assert lab.works("ci")
    assert lab.call("due").exit_code == 0


def test_a_token_of_another_credential_is_replaced_and_stays_valid(lab: Lab) -> None:
    """Somebody has copied a record to split it in two: whose token it is goes on with it."""
    lab.add("ci")
    lab.call("due")
    lab.add("copy")
    lab.plant("copy", *lab.record("ci").values())
    shown = only(lab.json("adopt", "copy", "--dry-run")["results"])
    assert (shown["found"]["stays"], shown["found"]["also_in"]) == (True, [])
    assert "retire" not in [step["step"] for step in shown["steps"]]
    before = lab.record("ci")
    assert lab.call("adopt", "copy", "--yes").exit_code == 0
    assert (lab.record("ci"), lab.works("ci"), lab.works("copy")) == (before, True, True)
    assert lab.record("copy") != before
    assert (lab.pve.token(before["token_id"]) or {})["expire"] == 0


def test_a_foreign_token_in_a_mirror_is_replaced_and_stays_valid(lab: Lab) -> None:
    """The refusal of `rotate due` is about the mirror; nobody asked to end a token that no primary held."""
    mirror = lab.folder / "other.json"
    lab.add("ci")
    lab.call("due")
    lab.plant("other", f"{USER}!hand", lab.pve.add_token(USER, "hand", privsep=False))
    del lab.credentials[0]["destination"]
    lab.credentials[0]["destinations"] = [{"path": str(lab.folder / "ci.json")}, {"path": str(mirror)}]
    lab.write()
    assert lab.call("now", "ci").exit_code == 4
    shown = only(lab.json("adopt", "ci", "--dry-run")["results"])["found"]
    assert (shown["destination"], shown["stays"]) == (f"file:{mirror}", True)
    assert "    it stays valid: a mirror alone held it" in lab.call("adopt", "ci", "--dry-run").stdout
    assert lab.call("adopt", "ci", "--yes").exit_code == 0
    assert "hand" in lab.pve.tokens(USER)
    assert lab.record("other") == lab.record("ci")


def test_the_record_is_read_even_when_the_list_looks_well(lab: Lab) -> None:
    """Somebody changed the record by hand after we had published: the list alone would say that all is well."""
    lab.add("ci")
    lab.call("due")
    lab.plant("ci", f"{USER}!hand", lab.pve.add_token(USER, "hand", privsep=False))
    assert only(lab.json("adopt", "ci", "--dry-run")["results"])["found"]["token"] == f"{USER}!hand"


def test_who_else_has_the_token_is_told_before_and_after(lab: Lab, foreign: str) -> None:
    """One token in two places was copied by hand: once it ends, the other place locks its consumers out."""
    lab.add("copy", paused=True)
    lab.plant("copy", foreign, lab.record("ci")["token_secret"])
    lab.add("apart")
    place = f"file:{lab.folder}/copy.json"
    assert only(lab.json("adopt", "ci", "--dry-run")["results"])["found"]["also_in"] == [place]
    warning = f"    warning: {place} has it, too, and is locked out when it ends"
    for mode in "--dry-run", "--yes":
        assert any(it.startswith(warning) for it in lab.call("adopt", "ci", mode).stdout.splitlines())
    assert (lab.works("ci"), lab.works("copy")) == (True, True)


def test_an_operator_that_is_taken_over_is_told(lab: Lab) -> None:
    """The rotator itself would be locked out, where its secret is in a record of its own."""
    secret = lab.environ["ROTATE_TEST_OPERATOR_ONE"]
    lab.add("op", user="op@pve")
    for name in ("op", "operator"):
        lab.plant(name, OPERATOR, secret)
    lab.operators["one"] = {"path": str(lab.folder / "operator.json")}
    lab.write()
    found = only(lab.json("adopt", "op", "--dry-run")["results"])["found"]
    assert (found["stays"], found["also_in"]) == (False, [f"file:{lab.folder}/operator.json"])


def test_an_operator_that_is_in_the_configuration_is_replaced_and_stays_valid(lab: Lab) -> None:
    """One token did everything; nothing could be rotated any more after its end, and nobody was asked."""
    lab.add("op", user="op@pve", adopt=True, overlap="0s")
    lab.plant("op", OPERATOR, lab.environ["ROTATE_TEST_OPERATOR_ONE"])
    found = only(lab.json("adopt", "op", "--dry-run")["results"])["found"]
    assert (found["stays"], found["also_in"]) == (True, [])
    shown = lab.call("plan").stdout
    assert f"{OPERATOR} is a token of the cluster's operator, which goes on with it" in " ".join(shown.split())
    assert lab.call("due").exit_code == 0
    assert lab.record("op")["token_id"].startswith("op@pve!op-1-")
    lab.time.pass_by(days=20)
    assert lab.call("now", "op").exit_code == 0
    assert (lab.pve.token(OPERATOR) or {})["expire"] == 0


def test_a_token_of_another_user_is_not_taken(lab: Lab) -> None:
    """The configuration is about somebody else: a person must look."""
    lab.pve.add_user("other@pve")
    lab.add("ci")
    lab.plant("ci", "other@pve!hand", lab.pve.add_token("other@pve", "hand"))
    found = lab.json("adopt", "ci", "--yes")
    assert found["exit_code"] == 4
    assert only(found["results"])["reason"] == "other-token"
    assert lab.pve.tokens("other@pve") == ["hand"]


def test_a_cluster_that_is_down_is_a_failure(lab: Lab, foreign: str) -> None:
    """Nothing is known, nothing is done."""
    assert foreign
    lab.pve.nodes[0].down = True
    found = lab.json("adopt", "ci", "--yes")
    assert found["exit_code"] == 4
    assert only(found["results"])["reason"] == "failed"


def test_a_failed_take_over_says_what_is_live(lab: Lab, tmp_path: Path) -> None:
    """The foreign token stays published; three lines as with every failure."""
    lab.add("ci", privsep=True)
    lab.plant("ci", f"{USER}!hand", lab.pve.add_token(USER, "hand", privsep=False))
    result = lab.call("adopt", "ci", "--yes")
    assert result.exit_code == 4
    assert "    live now: svc@pve!hand is still published" in result.stdout
    assert "not needed" not in result.stdout
    assert tmp_path == lab.folder


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_without_anybody_to_ask_it_refuses(lab: Lab, foreign: str, more: tuple[str, ...]) -> None:
    """A script says --yes, or it means nothing."""
    result = lab.call("adopt", "ci", *more)
    assert result.exit_code == 2
    assert "nobody is there to be asked" in result.stderr
    assert lab.pve.tokens(USER) == [foreign.removeprefix(f"{USER}!")]


@pytest.mark.parametrize(("answer", "left"), [("y", 2), ("n", 1)])
def test_on_a_terminal_it_asks(lab: Lab, foreign: str, answer: str, left: int) -> None:
    """It shows the token first, on stderr, and does what the answer says."""
    ours, theirs = os.openpty()
    with lab.process("adopt", "ci", stdin=theirs) as process:
        os.write(ours, f"{answer}\n".encode())
        out, err = process.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)
    lab.look_at_secrets()
    assert process.returncode == 0
    assert f"would take over {foreign}" in err
    assert "Take over? [y/N]: " in err
    assert ("nothing was done" in out) is (answer == "n")
    assert len(lab.pve.tokens(USER)) == left


def test_a_pinned_token_that_is_in_no_record_is_shown(lab: Lab) -> None:
    """Terraform made it under the name that the credential pins; only PVE knows it."""
    lab.add("ci", strategy="regenerate")
    lab.watch(lab.pve.add_token(USER, "ci", privsep=False))
    adopted = only(lab.json("adopt", "ci", "--dry-run")["results"])
    assert adopted["found"]["destination"] == ""
    assert adopted["found"]["works"] is None
    assert "    in no record" in lab.call("adopt", "ci", "--dry-run").stdout


def test_a_pinned_token_is_taken_over_in_place(lab: Lab) -> None:
    """Its name stays, its secret becomes ours, and the next run has nothing to adopt."""
    lab.add("ci", strategy="regenerate")
    lab.watch(lab.pve.add_token(USER, "ci", privsep=False))
    assert lab.call("due").exit_code == 4
    assert lab.call("adopt", "ci", "--yes").exit_code == 0
    assert lab.record("ci")["token_id"] == f"{USER}!ci"
    assert lab.works("ci")
    assert lab.call("due").exit_code == 0


def test_what_is_ours_is_not_rotated_beside_what_is_not(lab: Lab, foreign: str) -> None:
    """One call for two credentials changes only the one that has something to take over."""
    lab.add("backup")
    lab.call("due", "backup")
    before = lab.record("backup")
    found = lab.json("adopt", "ci", "backup", "--yes")
    assert [it["reason"] for it in found["results"]] == ["up-to-date", "nothing-to-adopt"]
    assert lab.record("backup") == before
    assert lab.record("ci")["token_id"] != foreign


def at_the_terminal(lab: Lab, answer: str) -> Sitting:
    """Adopt where somebody is asked, on a terminal that can do everything."""
    env = {"ROTATE_CONFIG": str(lab.config), **lab.environ, "TERM": "xterm"}
    return sit(["adopt", "ci"], [("Take over? [y/N]:", answer)], env)


def test_ctrl_c_at_the_question_leaves(lab: Lab, foreign: str) -> None:
    """Nothing is under way that could be finished, and nobody wants to answer any more."""
    sitting = at_the_terminal(lab, CTRL_C)
    assert (sitting.exit_code, "finishing what is under way" in sitting.screen) == (130, False)
    assert "rotate: interrupted; nothing more was begun" in sitting.screen
    assert lab.record("ci")["token_id"] == foreign


def test_nothing_is_drawn_over_the_question(lab: Lab, foreign: str) -> None:
    """A live display would wipe the line that somebody types into, with the cursor hidden."""
    refused = at_the_terminal(lab, "n")
    assert (refused.exit_code, "\x1b[" in refused.screen) == (0, False)
    assert lab.record("ci")["token_id"] == foreign
    agreed = at_the_terminal(lab, "y")
    before, _, after = agreed.screen.partition("Take over?")
    assert (agreed.exit_code, "\x1b[" in before, "publish it" in after) == (0, False, True)
    assert lab.record("ci")["token_id"] != foreign
