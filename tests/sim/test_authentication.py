"""Logging in: what PVE 9.2 was measured to accept and to refuse."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread

import pytest
import requests

from rotator.testing.pve import SimulatedPve
from tests.sim.conftest import people
from tests.sim.world import NOW, PASSWORD, Clock, World, shown, with_ticket


def assert_refused(answer: requests.Response, reason: str = "Authentication failed!") -> None:
    """Compare with the one form that refusals have: 401, no body, no type, the connection closed."""
    assert (answer.status_code, answer.reason, answer.content) == (401, reason, b"")
    assert "Content-Type" not in answer.headers
    assert answer.headers["Connection"] == "close"


def wrong_secret(world: World) -> dict[str, str]:
    """Show an existing token with another secret."""
    world.token("svc@pve")
    return shown("svc@pve!t1", "00000000-0000-0000-0000-000000000000")


def unknown_token(_world: World) -> dict[str, str]:
    """Show a token that never existed."""
    return shown("svc@pve!never", "00000000-0000-0000-0000-000000000000")


def deleted_token(world: World) -> dict[str, str]:
    """Show a token that was deleted just before."""
    headers = world.token("svc@pve")
    world.pve.delete_token("svc@pve!t1")
    return headers


def expired_token(world: World) -> dict[str, str]:
    """Show a token whose end has passed."""
    return world.token("svc@pve", expire=int(NOW) - 1)


def token_of_disabled_user(world: World) -> dict[str, str]:
    """Show a token whose user is disabled."""
    world.pve.add_user("off@pve", enable=False)
    return world.token("off@pve")


def token_of_expired_user(world: World) -> dict[str, str]:
    """Show a token whose user has expired."""
    world.pve.add_user("old@pve", expire=int(NOW) - 1)
    return world.token("old@pve")


@pytest.mark.parametrize(
    "shows",
    [wrong_secret, unknown_token, deleted_token, expired_token, token_of_disabled_user, token_of_expired_user],
)
def test_every_bad_token_is_refused_alike_after_three_seconds(
    world: World, shows: Callable[[World], dict[str, str]]
) -> None:
    """401 with an empty body after 3.0 s, whatever is wrong: only the node's log tells it apart (measured)."""
    assert_refused(world.ask("GET", "/version", shows(world)))
    assert world.slept == [3.0]


def test_no_credential_is_told_from_a_bad_one(world: World) -> None:
    """The reason is 'No ticket' when nothing was shown, also on a path that does not exist (measured)."""
    assert_refused(world.ask("GET", "/version"), "No ticket")
    assert_refused(world.ask("GET", "/nope"), "No ticket")


def test_a_refusal_does_not_slow_good_requests(watch: Callable[[str], None], tmp_path: Path) -> None:
    """The 3 s are a timer: a good request beside a refused one is answered at once (measured)."""
    waiting, over = Event(), Event()

    def sleep(_seconds: float) -> None:
        waiting.set()
        over.wait(10)

    with SimulatedPve(refusal_delay=3.0, sleep=sleep) as pve:
        people(pve)
        secret = pve.add_token("svc@pve", "t1")
        watch(secret)
        ca = tmp_path / "ca.pem"
        ca.write_bytes(pve.ca_pem)
        world = World(pve, Clock(), ca, watch)
        refused = Thread(target=world.ask, args=("GET", "/version", shown("svc@pve!t1", "wrong")))
        refused.start()
        assert waiting.wait(10)
        assert world.ask("GET", "/version", shown("svc@pve!t1", secret)).status_code == 200
        over.set()
        refused.join()


def test_a_failed_login_has_a_body(world: World) -> None:
    """POST /access/ticket is refused with JSON, after 3 s, for a wrong password as for an unknown user (measured)."""
    for user in ("svc@pve", "nobody@pve", "svc@nowhere", "svc", "svc@pve!t1"):
        answer = world.ask("POST", "/access/ticket", form={"username": user, "password": "wrong"})
        assert (answer.status_code, answer.reason) == (401, "authentication failure")
        assert answer.json() == {"data": None, "message": "authentication failure\n"}
    assert world.slept == [3.0] * 5


@pytest.mark.parametrize("csrf", ["", "00000000:AAAA"])
def test_a_changing_call_of_a_ticket_needs_its_csrf_token(world: World, csrf: str) -> None:
    """A missing or wrong CSRF token is 401 'invalid csrf token', not 403 as articles say (measured)."""
    headers = world.admin | {"CSRFPreventionToken": csrf}
    assert_refused(world.create(headers, "nc"), "Permission denied - invalid csrf token")
    assert world.pve.tokens("svc@pve") == []


def test_the_csrf_token_of_somebody_else_is_refused(world: World) -> None:
    """A CSRF token belongs to its user (measured)."""
    headers = world.admin | {"CSRFPreventionToken": world.ticket("plain@pve")["CSRFPreventionToken"]}
    assert_refused(world.create(headers, "nc"), "Permission denied - invalid csrf token")


def test_a_cookie_hides_the_token(world: World) -> None:
    """With a PVEAuthCookie the token header is ignored: a stale cookie beside a good token is 401 (measured)."""
    token = world.token("svc@pve")
    assert_refused(world.ask("GET", "/version", token | {"Cookie": "PVEAuthCookie=garbage"}))
    assert world.ask("GET", "/version", token | {"Cookie": "theme=dark"}).status_code == 200


@pytest.mark.parametrize(
    ("spelling", "accepted"),
    [
        ("PVEAPIToken={id}={secret}", True),
        ("PVEAPIToken {id}={secret}", True),
        ("PVEAPIToken=svc%40pve%21t1={secret}", True),
        ("PVEAPIToken={id}={secret};junk", True),
        ("PVEAPIToken={id}:{secret}", False),
        ('PVEAPIToken="{id}={secret}"', False),
        ("pveapitoken={id}={secret}", False),
        ("Bearer {id}={secret}", False),
        ("PVEAPIToken=svc!t1={secret}", False),
        ("PVEAPIToken=svc@pve!T1={secret}", False),
        ("PVEAPIToken={id}={secret}0", False),
        ("PVEAPIToken=", False),
    ],
)
def test_spellings_of_the_header(world: World, spelling: str, *, accepted: bool) -> None:
    """A space after the scheme, percent signs and ';junk' pass; ':', quotes and lower case do not (measured)."""
    secret = world.token("svc@pve")["Authorization"].rpartition("=")[2]
    header = spelling.format(id="svc@pve!t1", secret=secret)
    assert (world.ask("GET", "/version", {"Authorization": header}).status_code == 200) is accepted


def test_the_case_of_a_secret_matters(world: World) -> None:
    """A secret in upper case is refused (measured)."""
    secret = world.token("svc@pve")["Authorization"].rpartition("=")[2]
    assert_refused(world.ask("GET", "/version", shown("svc@pve!t1", secret.upper())))


def test_a_token_works_during_the_second_it_expires_in(world: World) -> None:
    """The check is expire < now, in whole seconds (measured)."""
    token = world.token("svc@pve", expire=int(NOW))
    world.clock.now = NOW + 0.9
    assert world.ask("GET", "/version", token).status_code == 200
    world.clock.now = NOW + 1
    assert_refused(world.ask("GET", "/version", token))


def test_the_offset_of_the_clock_counts(world: World) -> None:
    """A token ends by PVE's clock, and the Date header tells that clock."""
    token = world.token("svc@pve", expire=int(NOW) + 60)
    assert world.ask("GET", "/version", token).headers["Date"] == "Fri, 15 Jan 2027 08:00:00 GMT"
    world.pve.clock_offset = 61.0
    answer = world.ask("GET", "/version", token)
    assert_refused(answer)
    assert answer.headers["Date"] == "Fri, 15 Jan 2027 08:01:01 GMT"


def test_an_end_in_the_past_is_allowed_and_zero_revives(world: World) -> None:
    """Creating with a passed expire is 200; PUT expire=0 revives the token, regenerate does not (measured)."""
    created = world.create(world.admin, "past", expire=int(NOW) - 3600)
    token = shown("svc@pve!past", created.json()["data"]["value"])
    assert_refused(world.ask("GET", "/version", token))
    path = "/access/users/svc@pve/token/past"
    again = world.ask("PUT", path, world.admin, {"regenerate": "1"}).json()["data"]
    token = shown("svc@pve!past", again["value"])
    assert_refused(world.ask("GET", "/version", token))
    world.ask("PUT", path, world.admin, {"expire": "0"})
    assert world.ask("GET", "/version", token).status_code == 200


def test_a_token_cannot_log_in_or_change_passwords(world: World) -> None:
    """/access/ticket and /access/password refuse any token header with 403, the first unseen (measured)."""
    login = {"username": "svc@pve", "password": PASSWORD}
    reason = "Permission check failed (URI '/access/ticket' not available with API token, need proper ticket."
    answer = world.ask("POST", "/access/ticket", shown("svc@pve!t1", "wrong"), login)
    assert (answer.status_code, answer.reason, answer.json()["message"]) == (403, reason, f"{reason}\n)\n")
    change = {"userid": "svc@pve", "password": PASSWORD, "confirmation-password": PASSWORD}
    answer = world.ask("PUT", "/access/password", world.token("admin@pve", privsep=False), change)
    assert (answer.status_code, answer.reason) == (403, reason.replace("ticket'", "password'"))


def test_a_token_without_any_acl_still_gets_in(world: World) -> None:
    """/version, /nodes and empty lists: 200 proves the secret and nothing else (measured)."""
    token = world.token("svc@pve")
    empty: dict[str, object] = {"/access/acl": [], "/access/users": [], "/access/permissions": {}}
    assert {path: world.ask("GET", path, token).json()["data"] for path in empty} == empty
    assert world.ask("GET", "/nodes", token).status_code == 200
    assert world.ask("GET", "/version", token).json()["data"]["version"] == "9.2.11"


def test_a_ticket_ends_after_two_hours(world: World) -> None:
    """A ticket is good for 2 hours of PVE's clock."""
    ticket = world.ticket("svc@pve")
    world.clock.now = NOW + 7200
    assert world.ask("GET", "/version", ticket).status_code == 200
    world.clock.now = NOW + 7201
    assert_refused(world.ask("GET", "/version", ticket))


def test_a_ticket_is_as_good_as_the_password(world: World) -> None:
    """A ticket given for a password makes a new ticket (measured); somebody else's does not."""
    first = world.ask("POST", "/access/ticket", form={"username": "svc@pve", "password": PASSWORD}).json()["data"]
    world.clock.now = NOW + 7000
    again = world.ask("POST", "/access/ticket", form={"username": "svc@pve", "password": first["ticket"]}).json()[
        "data"
    ]
    world.clock.now = NOW + 8000
    assert world.ask("GET", "/version", with_ticket(again)).status_code == 200
    other = world.ask("POST", "/access/ticket", form={"username": "plain@pve", "password": first["ticket"]})
    assert other.status_code == 401


@pytest.mark.parametrize(
    "garbage", ["garbage", "PVE:x", "PVE:svc@pve:00000000:x:AAAA", "XYZ:svc@pve:00000000::AAAA", "::::"]
)
def test_what_is_no_ticket_is_refused(world: World, garbage: str) -> None:
    """Whatever it looks like (measured for a word and for a broken signature)."""
    assert_refused(world.ask("GET", "/version", {"Cookie": f"PVEAuthCookie={garbage}"}))


def test_a_forged_ticket_is_refused(world: World) -> None:
    """The signature of a ticket covers its user."""
    ticket = world.ask("POST", "/access/ticket", form={"username": "svc@pve", "password": PASSWORD}).json()["data"]
    forged = {**ticket, "ticket": ticket["ticket"].replace("svc@pve", "admin@pve")}
    assert_refused(world.ask("GET", "/version", with_ticket(forged)))


def test_a_disabled_user_cannot_log_in(world: World) -> None:
    """The right password of a disabled user is refused like a wrong one (measured)."""
    world.pve.add_user("off@pve", password=PASSWORD, enable=False)
    answer = world.ask("POST", "/access/ticket", form={"username": "off@pve", "password": PASSWORD})
    assert (answer.status_code, answer.reason) == (401, "authentication failure")


def test_passwords_change_only_with_the_old_one(world: World) -> None:
    """A user confirms with its own password; the old ticket goes on working (measured)."""
    ticket = world.ticket("plain@pve")
    change = {"userid": "plain@pve", "password": "another password"}
    bare = world.ask("PUT", "/access/password", ticket, change)
    assert bare.json()["errors"] == {"confirmation-password": "password is required to modify user"}
    wrong = world.ask("PUT", "/access/password", ticket, change | {"confirmation-password": "wrong one"})
    assert wrong.status_code == 401
    good = world.ask("PUT", "/access/password", ticket, change | {"confirmation-password": PASSWORD})
    assert good.status_code == 200
    assert world.ask("GET", "/version", ticket).status_code == 200
    login = {"username": "plain@pve", "password": "another password"}
    assert world.ask("POST", "/access/ticket", form=login).status_code == 200
