"""As whom the clusters are worked on: a record, a token, a user with a password and a second factor."""

from __future__ import annotations

import json

import pytest

from rotator.cli.main import rotate
from rotator.errors import ConfigError
from rotator.model import Secret
from rotator.wiring import one_time_code
from tests.cli.lab import OPERATOR, Lab, only

KEY = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"


def put_operator(lab: Lab, **fields: str) -> None:
    """Write the operator's record."""
    path = lab.folder / "operator.json"
    path.write_text(json.dumps(fields), encoding="utf-8")
    path.chmod(0o600)
    lab.operators["one"] = {"backend": "file", "path": str(path)}


def secret_of_operator(lab: Lab) -> str:
    """Return the operator's secret."""
    return lab.environ["ROTATE_TEST_OPERATOR_ONE"]


def test_an_operator_in_a_record(lab: Lab) -> None:
    """The record is read where it lies."""
    put_operator(lab, token_id=OPERATOR, token_secret=secret_of_operator(lab))
    lab.add("ci")
    assert lab.call("due").exit_code == 0
    assert lab.works("ci")


def test_an_operator_that_is_half_a_record_is_a_wrong_configuration(lab: Lab, canary: str) -> None:
    """Exit code 3, which place it is, and what belongs there; not what is there."""
    put_operator(lab, token_secret=canary)
    lab.add("ci")
    result = lab.call("due")
    assert result.exit_code == 3
    assert "does not hold the operator of cluster one: it has only one of token_id and token_secret" in result.stdout
    assert "store a token of the operator there" in result.stdout


def test_an_operator_that_pve_does_not_accept_is_a_failure(lab: Lab, canary: str) -> None:
    """Nothing was touched, and it says so."""
    put_operator(lab, token_id=OPERATOR, token_secret=canary)
    lab.add("ci")
    found = lab.json("due")
    assert found["exit_code"] == 4
    assert only(found["results"])["live"] == "nothing was touched"


def test_an_operator_that_rotates_itself(lab: Lab) -> None:
    """Its own credential is one like any other; the run goes on with the new token."""
    put_operator(lab, token_id=OPERATOR, token_secret=secret_of_operator(lab))
    where = lab.operators["one"]
    lab.add("operator", user="op@pve", operator=True, adopt=True, destination=where, overlap="1h")
    lab.add("ci")
    assert lab.call("due").exit_code == 0
    assert lab.record("operator")["token_id"].startswith("op@pve!operator-1-")
    lab.time.pass_by(hours=2)
    assert lab.json("due")["exit_code"] == 0
    assert lab.pve.tokens("op@pve") == [lab.record("operator")["token_id"].removeprefix("op@pve!")]


@pytest.mark.parametrize("totp", [None, KEY])
def test_an_operator_with_a_password(lab: Lab, canary: str, totp: str | None) -> None:
    """With and without a second factor."""
    lab.pve.add_user("admin@pve", password=canary, totp_secret=totp)
    lab.pve.grant("/", "Administrator", user="admin@pve")
    lab.environ |= {"PASSWORD_OF_ADMIN": canary, "KEY_OF_ADMIN": totp or ""}
    operator = {"user": "admin@pve", "password": {"env": "PASSWORD_OF_ADMIN"}}
    lab.operators["one"] = operator | ({"totp": {"env": "KEY_OF_ADMIN"}} if totp else {})
    lab.add("ci")
    assert lab.call("due").exit_code == 0
    assert lab.works("ci")


def test_a_wrong_password_is_a_failure(lab: Lab, canaries: tuple[str, ...]) -> None:
    """Neither password is in what is printed."""
    lab.pve.add_user("admin@pve", password=canaries[0])
    lab.environ |= {"PASSWORD_OF_ADMIN": canaries[1]}
    lab.operators["one"] = {"user": "admin@pve", "password": {"env": "PASSWORD_OF_ADMIN"}}
    lab.add("ci")
    assert lab.call("due", "--verbose").exit_code == 4


def test_a_password_is_read_once_for_all_credentials(lab: Lab, canary: str) -> None:
    """One login for each cluster, however many threads work on it."""
    lab.pve.add_user("admin@pve", password=canary)
    lab.pve.grant("/", "Administrator", user="admin@pve")
    lab.environ |= {"PASSWORD_OF_ADMIN": canary}
    lab.operators["one"] = {"user": "admin@pve", "password": {"env": "PASSWORD_OF_ADMIN"}}
    for name in ("ci", "backup", "cron"):
        lab.add(name)
    assert lab.call("due").exit_code == 0
    assert [call.path for call in lab.pve.calls].count("/access/ticket") == 1


@pytest.mark.parametrize(("at", "code"), [(59, "287082"), (1111111109, "081804"), (20000000000, "353130")])
def test_one_time_codes_are_those_of_the_standard(at: int, code: str) -> None:
    """The examples of RFC 6238, six digits of them."""
    assert one_time_code(Secret(KEY), at).reveal() == code


@pytest.mark.parametrize("key", [KEY.lower(), f"{KEY[:4]} {KEY[4:]}", f"{KEY}===="])
def test_keys_are_taken_as_people_copy_them(key: str) -> None:
    """Small letters, blanks and padding mean nothing."""
    assert one_time_code(Secret(key), 59).reveal() == "287082"


@pytest.mark.parametrize("key", ["287082!", "", "1", "ÄBCDEFGH"])
def test_what_is_no_key_is_a_wrong_configuration(key: str) -> None:
    """And is not repeated."""
    with pytest.raises(ConfigError, match="the key of the one-time passwords is") as caught:
        one_time_code(Secret(key), 59)
    assert not key or key not in str(caught.value)


def test_the_command_is_the_one_that_is_installed() -> None:
    """What the tests call is what people call."""
    assert rotate.name == "rotate"
