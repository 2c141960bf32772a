"""``rotate adopt`` without a name: tokens that nobody rotates are listed, and chosen ones configured."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import Any

import pytest
import yaml

from rotator.marker import Marker
from rotator.testing.state import Holder, State
from tests.cli.lab import USER, Time, only
from tests.cli.shape import adapter
from tests.doctor.clinic import GROUP, OPERATOR, Clinic

HAND = f"{USER}!hand"


def listed(clinic: Clinic, *arguments: str) -> list[dict[str, Any]]:
    """Run it with --json and return what it found; its shape is checked."""
    result = clinic.call("adopt", *arguments, "--json")
    adapter("adopt (without a name)").validate_json(result.stdout, strict=True)
    return list(json.loads(result.stdout)["results"])


def found(clinic: Clinic, token: str = HAND) -> dict[str, Any]:
    """Return what it says of one token."""
    return dict(only([it for it in listed(clinic) if it["token"] == token]))


@pytest.fixture
def stray(clinic: Clinic) -> Clinic:
    """Return a clinic with a token that somebody made by hand."""
    clinic.pve.add_token(USER, "hand", privsep=False, comment="by hand")
    return clinic


def test_what_nobody_rotates_is_listed(stray: Clinic) -> None:
    """The hand-made token and the rotator's own; what is ours is not."""
    assert [it["token"] for it in listed(stray)] == [f"{OPERATOR}!op", HAND]
    assert "operator" in found(stray, f"{OPERATOR}!op")["remarks"]


def test_a_token_is_told_with_all_that_speaks_for_taking_it_over(stray: Clinic) -> None:
    """Its age is not known, it never ends, it may do all that its user may."""
    assert found(stray) == {
        "cluster": "one",
        "token": HAND,
        "expires": None,
        "privsep": False,
        "comment": "by hand",
        "remarks": ["age-unknown", "never-expires", "privsep-off"],
        "risks": [],
        "credential": "",
        "name": "",
        "added": False,
    }


@pytest.mark.parametrize(
    ("role", "path", "risk"),
    [
        ("Administrator", "/", "may change every permission"),
        ("PVEUserAdmin", "/access", "may make tokens of root@pam"),
        ("PVEVMAdmin", "/", "may delete every guest"),
        ("PVEDatastoreAdmin", "/", "may delete every storage"),
    ],
)
def test_a_token_that_may_do_too_much_is_told_by_what(stray: Clinic, role: str, path: str, risk: str) -> None:
    """In words, for the privileges behind them say little."""
    stray.pve.grant(path, role, user=USER)
    it = found(stray)
    assert "over-privileged" in it["remarks"]
    assert risk in it["risks"]


def test_an_ordinary_role_is_no_risk(stray: Clinic) -> None:
    """What works on guests alone is what tokens are for."""
    stray.pve.grant("/vms", "PVEVMAdmin", user=USER)
    assert found(stray)["risks"] == []


def test_other_states_are_told_too(stray: Clinic) -> None:
    """Expired, of a disabled user, with privilege separation, of another installation, of no credential any more."""
    now = Time().now()
    stray.pve.add_user("off@pve", groups=[GROUP], enable=False)
    stray.pve.add_token("off@pve", "old", expire=1)
    stray.pve.add_token(USER, "foreign", comment=Marker("elsewhere", "x", "r", now).comment())
    stray.pve.add_token(USER, "left", comment=Marker("lab", "gone", "r", now).comment())
    by_token = {it["token"]: set(it["remarks"]) for it in listed(stray)}
    assert by_token["off@pve!old"] == {"age-unknown", "expired", "user-disabled"}
    assert by_token[f"{USER}!left"] == {"never-expires", "unconfigured"}
    assert f"{USER}!foreign" not in by_token


@pytest.mark.parametrize(
    ("token", "change"),
    [
        (f"{USER}!build-3-aaaaa", {}),
        (f"{USER}!ci-3-aaaaa", {"strategy": "regenerate"}),
        ("other@pve!ci-3-aaaaa", {}),
    ],
    ids=["base", "strategy", "user"],
)
def test_what_its_credential_does_not_know_any_more_is_told(clinic: Clinic, token: str, change: dict[str, str]) -> None:
    """Its base, strategy or user was changed since: it may live for ever, and nothing retires it."""
    clinic.pve.add_user("other@pve", groups=[GROUP])
    clinic.credentials[0].update(change)
    clinic.write()
    comment = Marker("lab", "ci", "r", Time().now(), published=True).comment()
    clinic.pve.add_token(*token.split("!"), comment=comment)
    assert found(clinic, token)["remarks"] == ["never-expires", "unconfigured"]


def test_what_is_ours_or_named_by_one_of_ours_is_not_told(clinic: Clinic) -> None:
    """The current token, and the one before it that was made before the credential was renamed."""
    now = Time().now()
    clinic.pve.add_token(USER, "build-3-aaaaa", comment=Marker("lab", "build", "r", now).comment())
    successor = Marker("lab", "ci", "r", now, "build-3-aaaaa", published=True)
    clinic.pve.add_token(USER, "ci-4-aaaaa", comment=successor.comment())
    assert [it["token"] for it in listed(clinic)] == [f"{OPERATOR}!op"]


def test_what_permissions_it_has_is_not_guessed(stray: Clinic) -> None:
    """Without Sys.Audit on /access the operator is not told."""
    stray.pve.cluster.plant(without_sight)
    assert "permissions-unknown" in found(stray)["remarks"]
    assert "not known" in stray.call("adopt").output


def without_sight(state: State) -> State:
    """Take the operator's sight away."""
    return state.without_grant("/", Holder("user", OPERATOR), "Looker")


def test_a_token_that_a_record_holds_leads_to_its_credential(clinic: Clinic) -> None:
    """It is configured, and only waits for `rotate adopt NAME`."""
    clinic.plant("ci", HAND, clinic.pve.add_token(USER, "hand", privsep=False))
    assert found(clinic)["credential"] == "ci"
    result = clinic.call("adopt", "--token", HAND, "--destination", "path=/srv/x.json", "--yes")
    assert result.exit_code == 2
    assert "rotate adopt ci" in result.output


def test_people_see_a_table(stray: Clinic) -> None:
    """With what it does not say, and how to go on."""
    lines = stray.call("adopt").output.splitlines()
    assert lines[0].split() == ["cluster", "token", "expires", "privsep", "remarks"]
    assert lines[2].split()[:4] == ["one", HAND, "never", "off"]
    assert "does not tell how old" in lines[3]
    assert lines[4].startswith("To take some over: rotate adopt --token")


def test_nothing_left_alone_is_said(clinic: Clinic) -> None:
    """Where the operator is rotated, and the rest is ours."""
    clinic.plant("op", f"{OPERATOR}!op", clinic.environ["ROTATE_TEST_OPERATOR"])
    marker = Marker("lab", "op", "r", clinic.time.now(), published=True).comment()
    clinic.pve.cluster.plant(lambda state: marked(state, marker))
    clinic.operators["one"] = {"path": str(clinic.folder / "op.json")}
    clinic.add("op", user=OPERATOR, operator=True)
    assert clinic.call("adopt").output.startswith("no token that the operator sees")


def marked(state: State, comment: str) -> State:
    """Give the operator's token a marker."""
    return state.with_token(OPERATOR, "op", replace(state.users[OPERATOR].tokens["op"], comment=comment))


def test_a_chosen_token_is_written_into_the_configuration(stray: Clinic) -> None:
    """And nothing else is touched: not a byte of what was there, and nothing at PVE."""
    text, state = stray.config.read_text(), stray.pve.cluster.newest()
    place = f"path={stray.folder}/{{name}}.json"
    result = listed(stray, "--token", HAND, "--destination", place, "--yes")
    assert [(it["name"], it["added"]) for it in result] == [("svc-hand", True)]
    assert stray.config.read_text().startswith(text.rstrip("\n"))
    assert yaml.safe_load(stray.config.read_text())["credentials"][1] == {
        "name": "svc-hand",
        "cluster": "one",
        "user": USER,
        "privsep": False,
        "adopt": True,
        "destination": {"path": f"{stray.folder}/svc-hand.json"},
    }
    assert stray.pve.cluster.newest() is state


def test_what_was_written_takes_the_token_over(stray: Clinic) -> None:
    """Once its record holds it: the whole way from a hand-made token to one that is rotated."""
    secret = stray.pve.cluster.newest().users[USER].tokens["hand"].secret
    place = f"path={stray.folder}/{{name}}.json"
    out = stray.call("adopt", "--token", HAND, "--destination", place, "--name", "web", "--yes").output
    assert "next: put each token's id and secret into its record" in out
    stray.plant("web", HAND, secret)
    assert stray.call("adopt", "web", "--yes").exit_code == 0
    published = json.loads((stray.folder / "web.json").read_text())["token_id"]
    assert published.startswith(f"{USER}!web-1-")
    assert HAND not in [it["token"] for it in listed(stray)]


def test_a_dry_run_shows_it_and_writes_nothing(stray: Clinic) -> None:
    """The lines as they would be."""
    before = stray.config.read_text()
    out = stray.call("adopt", "--token", HAND, "--destination", "path=/srv/{name}.json", "--dry-run").output
    assert "    + - name: svc-hand" in out
    assert "    +   destination: {path: /srv/svc-hand.json}" in out
    assert stray.config.read_text() == before


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--token", "x@pve!y", "--destination", "path=/x"), "no token x@pve!y that nobody rotates"),
        (("--token", HAND), "where does its record go?"),
        (("--token", HAND, "--destination", "path"), "where does its record go?"),
        (("--token", HAND, "--token", f"{OPERATOR}!op", "--name", "x"), "--name is for one token"),
        (("ci", "--token", HAND), "go without names of credentials"),
        (("--token", HAND, "--destination", "path=/srv/x.json"), "nobody is there to be asked"),
    ],
)
def test_what_cannot_be_meant_is_refused(stray: Clinic, arguments: tuple[str, ...], complaint: str) -> None:
    """Before anything is written."""
    before = stray.config.read_text()
    result = stray.call("adopt", *arguments)
    assert result.exit_code == 2
    assert complaint in result.output
    assert stray.config.read_text() == before


@pytest.mark.parametrize("more", [("--name", "Not A Name"), ("--destination", "frobnicate=yes")])
def test_a_configuration_that_would_be_wrong_is_not_written(stray: Clinic, more: tuple[str, ...]) -> None:
    """It is checked as a whole first, by the name that people know; no other file is left behind."""
    before, files = stray.config.read_text(), sorted(stray.folder.iterdir())
    arguments = ("--token", HAND, "--destination", "path=/srv/x.json", *more, "--yes")
    result = stray.call("adopt", *arguments)
    assert result.exit_code == 3
    assert str(stray.config) in result.output
    assert stray.config.read_text() == before
    assert sorted(stray.folder.iterdir()) == files


@pytest.mark.parametrize(("answer", "count"), [("y", 2), ("n", 1)])
def test_on_a_terminal_it_asks_before_it_writes(stray: Clinic, answer: str, count: int) -> None:
    """It shows the lines first."""
    ours, theirs = os.openpty()
    arguments = ("adopt", "--token", HAND, "--destination", "path=/srv/{name}.json")
    with stray.process(*arguments, stdin=theirs) as process:
        os.write(ours, f"{answer}\n".encode())
        out, err = process.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)
    assert process.returncode == 0, err
    assert "+ - name: svc-hand" in err
    assert ("nothing was written" in out) is (answer == "n")
    assert len(yaml.safe_load(stray.config.read_text())["credentials"]) == count


def test_a_cluster_that_is_down_is_a_failure_and_not_an_empty_list(stray: Clinic) -> None:
    """Exit code 4, and why."""
    stray.pve.nodes[0].down = True
    result = stray.call("adopt")
    assert result.exit_code == 4
    assert result.output.startswith("one  failed  ")
    found = stray.json("adopt")
    assert (found["exit_code"], found["results"]) == (4, [])
    assert [it["message"].partition(": ")[0] for it in found["errors"]] == ["one"]


@pytest.mark.parametrize("option", [("--cluster", "two"), ("--name", "ci"), ("--destination", "path=/srv/ci.json")])
def test_what_a_token_is_to_become_is_not_said_without_the_token(stray: Clinic, option: tuple[str, str]) -> None:
    """A list that pays no attention to it would be taken for the answer."""
    result = stray.call("adopt", *option)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--destination, --name and --cluster go with --token" in result.stderr
