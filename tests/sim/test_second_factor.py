"""Logging in with TOTP and recovery codes."""

from __future__ import annotations

from typing import Any

import pytest

from rotator.testing.pve import SimulatedPve
from rotator.testing.second_factor import Totp, is_base32
from tests.sim.world import NOW, PASSWORD, World, with_ticket

KEY = "JBSWY3DPEHPK3PXP"
URI = f"otpauth://totp/PVE:plain@pve?secret={KEY}&issuer=PVE"


@pytest.fixture
def guarded(world: World) -> World:
    """Return the cluster with a user whose logins need a second factor."""
    world.pve.add_user("totp@pve", password=PASSWORD, totp_secret=KEY)
    return world


def code(at: float) -> str:
    """Compute what the authenticator shows."""
    return Totp(KEY).code(at)


def login(world: World, **form: str) -> dict[str, Any]:
    """Log in as the guarded user; {} when refused."""
    data: dict[str, Any] | None = world.ask(
        "POST", "/access/ticket", form={"username": "totp@pve", "password": PASSWORD} | form
    ).json()["data"]
    return data or {}


def test_the_code_is_that_of_rfc_6238() -> None:
    """The vectors of the RFC, their last six digits."""
    key = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    assert [Totp(key).code(at) for at in (59, 1111111109, 1234567890, 2000000000)] == [
        "287082",
        "081804",
        "005924",
        "279037",
    ]


def test_the_password_alone_makes_half_a_ticket(guarded: World) -> None:
    """NeedTFA is set, there are no capabilities, and the ticket opens nothing."""
    half = login(guarded)
    assert half["NeedTFA"] == 1
    assert "cap" not in half
    assert half["ticket"].startswith("PVE:!tfa!%7B%22totp%22%3Atrue%7D:")
    assert guarded.ask("GET", "/version", with_ticket(half)).status_code == 401


def test_the_code_completes_the_login(guarded: World) -> None:
    """In a second call, as totp:CODE in the place of the password."""
    half = login(guarded)
    whole = login(guarded, **{"tfa-challenge": half["ticket"], "password": f"totp:{code(NOW)}"})
    assert guarded.ask("GET", "/version", with_ticket(whole)).status_code == 200
    assert "vms" in whole["cap"]


def test_the_code_may_come_with_the_password(guarded: World) -> None:
    """As otp, in one call."""
    whole = login(guarded, otp=f"totp:{code(NOW)}")
    assert guarded.ask("GET", "/version", with_ticket(whole)).status_code == 200


def test_a_code_is_good_once(guarded: World) -> None:
    """The next one, thirty seconds later, is good again."""
    assert login(guarded, otp=f"totp:{code(NOW)}")
    assert not login(guarded, otp=f"totp:{code(NOW)}")
    guarded.clock.now = NOW + 30
    assert login(guarded, otp=f"totp:{code(NOW + 30)}")


@pytest.mark.parametrize(("seconds", "accepted"), [(-60, False), (-30, True), (30, True), (60, False)])
def test_a_code_may_be_one_step_off(guarded: World, seconds: int, *, accepted: bool) -> None:
    """Clocks differ."""
    assert bool(login(guarded, otp=f"totp:{code(NOW + seconds)}")) is accepted


@pytest.mark.parametrize("response", ["totp:000000", "recovery:nope", "nonsense", ""])
def test_anything_else_is_refused(guarded: World, response: str) -> None:
    """With the same 401 as a wrong password."""
    challenge = login(guarded)["ticket"]
    assert not login(guarded, **{"tfa-challenge": challenge, "password": response})
    assert not login(guarded, otp=response)


def test_a_challenge_belongs_to_its_user(guarded: World) -> None:
    """And is signed."""
    guarded.pve.add_user("other@pve", password=PASSWORD, totp_secret=KEY)
    half = login(guarded)["ticket"]
    answer = {"tfa-challenge": half, "password": f"totp:{code(NOW)}"}
    assert not login(guarded, username="other@pve", **answer)
    assert not login(guarded, **answer | {"tfa-challenge": half[:-4] + "AAA="})
    assert not login(guarded, **answer | {"tfa-challenge": "nonsense"})


def test_a_token_needs_no_second_factor(guarded: World) -> None:
    """Tokens of users with TOTP log in as any other (measured)."""
    assert guarded.ask("GET", "/version", guarded.token("totp@pve")).status_code == 200


def test_factors_are_set_up_through_the_api(world: World) -> None:
    """The user confirms with its password and a first code; recovery codes are shown once and are good once."""
    ticket, path = world.ticket("plain@pve"), "/access/tfa/plain@pve"
    form = {"type": "totp", "totp": URI, "value": code(NOW), "description": "phone"}
    assert world.ask("POST", path, ticket, form).status_code == 400
    assert world.ask("POST", path, ticket, {**form, "password": PASSWORD, "value": "000000"}).status_code == 500
    assert world.ask("POST", path, ticket, {**form, "password": PASSWORD, "totp": "x"}).status_code == 400
    assert world.ask("POST", path, ticket, {**form, "password": PASSWORD}).json()["data"] == {"id": "totp-1"}
    made = world.ask("POST", path, ticket, {"type": "recovery", "password": PASSWORD}).json()["data"]
    entries = world.ask("GET", path, ticket).json()["data"]
    assert [(entry["id"], entry["type"], entry["description"]) for entry in entries] == [
        ("totp-1", "totp", "phone"),
        ("recovery", "recovery", ""),
    ]
    assert [row["userid"] for row in world.ask("GET", "/access/tfa", ticket).json()["data"]] == ["plain@pve"]
    spare = f"recovery:{made['recovery'][1].partition(': ')[2]}"
    first = f"recovery:{made['recovery'][0].partition(': ')[2]}"
    assert login(world, username="plain@pve", otp=first)
    assert not login(world, username="plain@pve", otp=first)
    assert world.ask("DELETE", f"{path}/recovery?password={PASSWORD}", ticket).status_code == 200
    assert not login(world, username="plain@pve", otp=spare)


def test_factors_are_listed_and_removed(guarded: World) -> None:
    """By an Administrator, with its own password; afterwards the password is enough again."""
    admin, path = guarded.admin, "/access/tfa/totp@pve/totp-1"
    listed = guarded.ask("GET", "/access/tfa", admin).json()["data"]
    assert [row["userid"] for row in listed] == ["totp@pve"]
    assert guarded.ask("GET", "/access/tfa", guarded.ticket("plain@pve")).json()["data"] == []
    assert guarded.ask("DELETE", f"{path}?password={PASSWORD}", admin).status_code == 200
    assert guarded.ask("DELETE", f"{path}?password={PASSWORD}", admin).status_code == 404
    assert "NeedTFA" not in login(guarded)


def test_without_quorum_no_code_is_taken(guarded: World) -> None:
    """A used code could not be remembered."""
    guarded.pve.nodes[0].quorate = False
    assert not login(guarded, otp=f"totp:{code(NOW)}")


def test_what_is_no_key_is_recognised() -> None:
    """Base32, padded or not."""
    assert is_base32(KEY)
    assert not is_base32("0189")
    assert not is_base32("")
    with pytest.raises(ValueError, match="base32"):
        SimulatedPve().add_user("u@pve", totp_secret="0189")
