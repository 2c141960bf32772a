"""No command shows a secret, whatever goes wrong and however much it is asked to tell."""

from __future__ import annotations

import json

import pytest

from rotator.testing.pve import AnswerInstead, HangUpBefore
from tests.cli.lab import OPERATOR, USER, Lab

COMMANDS = (
    ("due",),
    ("due", "--dry-run"),
    ("now", "ci"),
    ("now", "--all", "--compromised", "--yes"),
    ("plan",),
    ("status",),
    ("verify",),
    ("adopt", "ci", "--dry-run"),
    ("adopt", "ci", "--yes"),
    ("pause", "ci"),
    ("resume", "ci"),
    ("config", "check"),
    ("config", "schema"),
    ("completion", "fish"),
)
WAYS: tuple[tuple[str, ...], ...] = ((), ("--json",), ("--verbose",), ("--json", "--verbose"))


def texts(lab: Lab, command: tuple[str, ...], way: tuple[str, ...]) -> str:
    """Run a command in this process and return all that it said."""
    result = lab.call(*command, *way)
    return f"{result.stdout}\n{result.stderr}\n{result.exception!r}"


def secrets(lab: Lab) -> set[str]:
    """Collect every secret that the laboratory knows of."""
    records = [json.loads(path.read_text(encoding="utf-8")) for path in lab.folder.glob("*.json")]
    return {*lab.environ.values(), *(record["token_secret"] for record in records)}


@pytest.mark.parametrize("way", WAYS, ids=" ".join)
def test_no_secret_when_all_is_well(lab: Lab, canary: str, way: tuple[str, ...]) -> None:
    """An operator with a password, tokens that are issued, replaced, revoked."""
    lab.pve.add_user("admin@pve", password=canary)
    lab.pve.grant("/", "Administrator", user="admin@pve")
    lab.environ["PASSWORD_OF_ADMIN"] = canary
    lab.operators["one"] = {"user": "admin@pve", "password": {"env": "PASSWORD_OF_ADMIN"}}
    lab.add("ci")
    lab.add("backup", overlap="0s")
    for command in COMMANDS:
        known = secrets(lab)
        said = texts(lab, command, way)
        assert not [secret for secret in known | secrets(lab) if secret in said]


@pytest.mark.parametrize("way", WAYS, ids=" ".join)
@pytest.mark.parametrize("fault", ["refused", "hang-up", "dead-record", "wrong-operator", "half-a-record"])
def test_no_secret_when_something_is_wrong(lab: Lab, canary: str, way: tuple[str, ...], fault: str) -> None:
    """PVE refuses or hangs up, a record does not log in or is damaged, the operator is not accepted."""
    lab.add("ci")
    if fault == "refused":
        lab.pve.intercept = lambda request: AnswerInstead(500, "no") if request.method != "GET" else None
    elif fault == "hang-up":
        lab.pve.intercept = lambda request: HangUpBefore() if request.method != "GET" else None
    elif fault == "dead-record":
        lab.plant("ci", f"{USER}!hand", canary)
    elif fault == "wrong-operator":
        lab.environ["ROTATE_TEST_OPERATOR_ONE"] = canary
    else:
        (lab.folder / "ci.json").write_text(json.dumps({"token_secret": canary}), encoding="utf-8")
        (lab.folder / "ci.json").chmod(0o600)
    for command in COMMANDS:
        known = secrets(lab)
        said = texts(lab, command, way)
        assert not [secret for secret in known | secrets(lab) if secret in said]


def test_no_secret_in_what_the_configuration_is_told_to_be(lab: Lab, canary: str) -> None:
    """A secret that somebody wrote into the file itself is complained of and not repeated."""
    lab.operators["one"] = {"token_id": OPERATOR, "token_secret": canary}
    lab.add("ci")
    for way in WAYS:
        said = texts(lab, ("config", "check"), way)
        assert "token_secret" in said
        assert canary not in said
