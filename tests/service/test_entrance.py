"""Who is let in over HTTP: by which name, with which token, from which site."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from rotator.clock import SystemClock
from rotator.errors import ConfigError
from rotator.model import Request, Secret
from rotator.service.gate import Gate
from rotator.service.hosts import is_ours
from rotator.service.standing import LeadershipStanding
from rotator.settings import ListenSettings
from tests.service.house import LOOPBACK, Found, House, ask

DATA = ("/", "/api/v1/status", "/metrics")
LOGIN, LOGOUT, SESSION, ROTATE = "/api/v1/login", "/api/v1/logout", "/api/v1/session", "/api/v1/rotate"
JSON = "application/json"


def guarded(house: House, token: str) -> ListenSettings:
    """Return where everything is offered to whoever shows a token."""
    return ListenSettings(port=0, token=house.keep(token), offers_rotation=True, hosts=("rotate.example",))


def place(url: str) -> str:
    """Return host and port of an address."""
    return url.partition("://")[2]


def post(url: str, path: str, body: object, **headers: str) -> Found:
    """Send JSON, as a page of ours does."""
    usual = {"Content_Type": JSON, "Origin": url}
    return ask(url, path, "POST", None, body, **{**usual, **headers})


def logged_in(url: str, token: str) -> tuple[str, str]:
    """Log in; return the cookie, and what goes with each wish."""
    found = post(url, LOGIN, {"token": token})
    assert found.status == 204
    cookie = found.headers["set-cookie"].partition(";")[0]
    return cookie, ask(url, SESSION, Cookie=cookie).json["csrf"]


@pytest.mark.parametrize(
    ("host", "is_known"),
    [
        ("localhost:9105", True),
        ("LOCALHOST", True),
        ("127.0.0.1:9105", True),
        ("[::1]:9105", True),
        ("192.0.2.7:9105", True),
        ("rotate.example", True),
        ("Rotate.Example:443", True),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example:9105", False),
        ("rotate.example.evil.example", False),
        ("", False),
        ("[::1", False),
    ],
)
def test_only_names_of_ours_are_answered(host: str, is_known: bool) -> None:  # noqa: FBT001 - pytest's
    """A name that somebody else has pointed at our address is none; an address has no name to be pointed."""
    assert is_ours(host, ("rotate.example",)) is is_known


def test_a_site_that_has_taken_our_address_reads_nothing(house: House) -> None:
    """Neither page nor data nor what the page is made of; probes show no more than a word."""
    url = house.open(replace(LOOPBACK, hosts=("rotate.example",)))
    for path in (*DATA, "/page/main.js", "/login"):
        assert ask(url, path, Host="evil.example").status == 421
        assert ask(url, path, Host="rotate.example").status == 200
    assert ask(url, "/healthz", Host="evil.example").status == 200


def test_without_a_token_on_loopback_everything_can_be_read_and_nothing_done(house: House) -> None:
    """There is no way to log in, and none to rotate."""
    url = house.open()
    assert [ask(url, path).status for path in DATA] == [200, 200, 200]
    assert [post(url, path, {}).status for path in (LOGIN, LOGOUT, ROTATE)] == [404, 404, 404]


def test_with_a_token_a_browser_is_led_to_the_door_and_a_script_is_refused(house: House, canary: str) -> None:
    """What the page is made of is no secret."""
    url = house.open(guarded(house, canary))
    found = ask(url, "/")
    assert (found.status, found.headers["location"]) == (303, "login")
    assert [ask(url, path).status for path in ("/api/v1/status", "/metrics", SESSION)] == [401, 401, 401]
    assert [ask(url, path).status for path in ("/login", "/page/login.js", "/healthz")] == [200, 200, 200]
    assert [ask(url, path, Authorization=f"Bearer {canary}").status for path in DATA] == [200, 200, 200]


def test_the_cookie_of_a_session_is_locked_down_and_opens_what_the_token_opens(house: House, canary: str) -> None:
    """Scripts cannot read it, other sites cannot make a browser send it, and no other host gets it."""
    url = house.open(guarded(house, canary))
    found = post(url, LOGIN, {"token": canary})
    cookie, _, rest = found.headers["set-cookie"].partition("; ")
    assert set(rest.split("; ")) == {"Path=/", "Secure", "HttpOnly", "SameSite=Strict"}
    assert re.fullmatch(r"__Host-rotate=[\w-]{43}", cookie)
    assert canary not in found.headers["set-cookie"]
    assert [ask(url, path, Cookie=cookie).status for path in DATA] == [200, 200, 200]
    assert ask(url, "/metrics", Cookie=cookie[:-1]).status == 401
    assert ask(url, "/metrics", Cookie=cookie, Authorization="Bearer wrong").status == 401


@pytest.mark.parametrize(
    "body", [{"token": "wrong"}, {"token": ""}, {"token": 7}, {}, [], b"{", b"", b'{"token": "\\ud800"}']
)
def test_what_is_not_the_token_opens_nothing(house: House, canary: str, body: object) -> None:
    """And gets no cookie."""
    url = house.open(guarded(house, canary))
    found = post(url, LOGIN, body)
    assert found.status == 401
    assert "set-cookie" not in found.headers
    assert house.bugs == []


def test_a_token_that_is_empty_opens_nothing() -> None:
    """Or whoever shows nothing at all had shown it."""
    gate = Gate(lambda: Secret(""), SystemClock())
    assert not any((gate.knows(b""), gate.admits("Bearer "), gate.admits("Bearer")))


def test_guesses_are_told_once_and_shut_nobody_out(house: House, canary: str, caplog: pytest.LogCaptureFixture) -> None:
    """After ten wrong ones comes 429, at either door; the right one is let in at each moment, and so are sessions."""
    url = house.open(guarded(house, canary))
    cookie, _ = logged_in(url, canary)
    tries = [ask(url, "/metrics", Authorization=f"Bearer guess-{number}").status for number in range(6)]
    tries += [post(url, LOGIN, {"token": f"guess-{number}"}).status for number in range(5)]
    assert tries == [401] * 10 + [429]
    late = [ask(url, "/metrics", Authorization="Bearer guess"), post(url, LOGIN, {"token": "guess"})]
    assert [(it.status, it.headers["retry-after"]) for it in late] == [(429, "60")] * 2
    assert ask(url, "/metrics", Authorization=f"Bearer {canary}").status == 200
    assert post(url, LOGIN, {"token": canary}).status == 204
    assert ask(url, "/metrics", Cookie=cookie).status == 200
    assert ask(url, "/metrics").status == 401
    told = [it.getMessage() for it in caplog.records if it.levelname == "WARNING"]
    assert len(told) == 1
    assert "guesses at service.token" in told[0]
    assert "guess-" not in caplog.text


def test_a_burst_of_guesses_ends_with_a_minute_of_rest(
    house: House, canary: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Who goes on more slowly is of the same burst, and is not told of again; the next burst is."""
    url, clock = house.open(guarded(house, canary)), house.street.clock

    def wrong() -> int:
        return ask(url, "/metrics", Authorization="Bearer wrong").status

    assert [wrong() for _ in range(11)] == [401] * 10 + [429]
    clock.sleep(59)
    assert wrong() == 429
    clock.sleep(60)
    assert [wrong() for _ in range(11)] == [401] * 10 + [429]
    assert len(caplog.records) == 2


def test_a_token_that_could_be_guessed_is_not_served_with(house: House, canary: str) -> None:
    """The service says so at its start; one that is put in its place later lets nobody in, and the known one holds."""
    with pytest.raises(ConfigError, match="less than 16 characters") as caught:
        house.open(guarded(house, "fifteen-letters"))
    assert "/dev/urandom" in caught.value.hint
    url = house.open(guarded(house, "sixteen-letters-"))
    assert ask(url, "/metrics", Authorization="Bearer sixteen-letters-").status == 200
    house.keep("short")
    house.street.clock.sleep(61)
    shown = ("short", "sixteen-letters-", canary)
    assert [ask(url, "/metrics", Authorization=f"Bearer {it}").status for it in shown] == [401, 200, 401]


def test_a_token_that_cannot_be_read_yet_keeps_nothing_from_starting(house: House, canary: str) -> None:
    """Its store may answer later; until then nobody is let in."""
    listen = guarded(house, canary)
    (house.street.folder / "page-token").unlink()
    url = house.open(listen)
    assert ask(url, "/metrics", Authorization=f"Bearer {canary}").status == 401
    house.keep(canary)
    house.street.clock.sleep(61)
    assert ask(url, "/metrics", Authorization=f"Bearer {canary}").status == 200


def test_a_session_ends_when_it_is_left_or_idle_or_old(house: House, canary: str) -> None:
    """An hour without a question, or twelve in all."""
    url, clock = house.open(guarded(house, canary)), house.street.clock
    cookie, csrf = logged_in(url, canary)
    assert post(url, LOGOUT, {}, Cookie=cookie, X_CSRF_Token=csrf).headers["set-cookie"].endswith("; Max-Age=0")
    assert ask(url, SESSION, Cookie=cookie).status == 401
    idle, _ = logged_in(url, canary)
    clock.sleep(timedelta(minutes=59).total_seconds())
    assert ask(url, SESSION, Cookie=idle).status == 200
    clock.sleep(timedelta(minutes=61).total_seconds())
    assert ask(url, SESSION, Cookie=idle).status == 401
    busy, _ = logged_in(url, canary)
    statuses = []
    for _half_hour in range(25):
        clock.sleep(timedelta(minutes=30).total_seconds())
        statuses.append(ask(url, SESSION, Cookie=busy).status)
    assert statuses == [200] * 23 + [401] * 2


def test_another_token_ends_all_sessions(house: House, canaries: tuple[str, ...]) -> None:
    """Who is to be kept out is given no more than a minute."""
    url = house.open(guarded(house, canaries[0]))
    cookie, _ = logged_in(url, canaries[0])
    house.keep(canaries[1])
    house.street.clock.sleep(61)
    assert ask(url, SESSION, Cookie=cookie).status == 401
    house.keep(canaries[0])
    house.street.clock.sleep(61)
    assert ask(url, SESSION, Cookie=cookie).status == 200


def test_one_session_too_many_ends_the_oldest(house: House, canary: str) -> None:
    """Nobody can fill the memory with them."""
    site = house.desk.site(guarded(house, canary))
    assert site.sessions
    cookies = [site.sessions.open("mark").partition(";")[0] for _ in range(101)]
    assert [site.sessions.find(cookie, "mark") is None for cookie in cookies] == [True] + [False] * 100


def test_a_wish_of_the_page_is_noted_with_the_session_that_uttered_it(house: House, canary: str) -> None:
    """And done once, by the service's own timetable, as forced."""
    url = house.open(guarded(house, canary))
    house.service.begin_due()
    cookie, csrf = logged_in(url, canary)
    name = ask(url, SESSION, Cookie=cookie).json["id"]
    for _ in range(2):
        found = post(url, ROTATE, {"credential": "ci"}, Cookie=cookie, X_CSRF_Token=csrf)
        assert (found.status, found.json) == (202, {"credential": "ci", "who": f"session {name}"})
    house.street.go_on(house.service, timedelta(hours=2))
    assert len(house.street.shop.written["ci"]) == 2
    asked = {it.trigger.who for it in house.street.events if it.trigger and it.reason == "forced"}
    assert asked == {f"session {name}"}


def test_a_script_that_shows_the_token_needs_nothing_else(house: House, canary: str) -> None:
    """No browser shows it by itself, so nobody can have been tricked."""
    url = house.open(guarded(house, canary))
    found = ask(url, ROTATE, "POST", body={"credential": "ci"}, Authorization=f"Bearer {canary}")
    assert (found.status, found.json["who"]) == (202, "bearer token")
    assert ask(url, ROTATE, "POST", body={"credential": "x"}, Authorization=f"Bearer {canary}").status == 404
    assert ask(url, ROTATE, "POST", body=b"[", Authorization=f"Bearer {canary}").status == 404


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"X_CSRF_Token": ""}, 403),
        ({"X_CSRF_Token": "of-another-session"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
        ({"Origin": "http://localhost:1"}, 403),
        ({"Content_Type": "text/plain"}, 415),
        ({"Content_Type": "application/x-www-form-urlencoded"}, 415),
        ({"Cookie": "__Host-rotate=x"}, 401),
    ],
)
def test_a_wish_that_another_site_utters_is_refused(
    house: House, canary: str, changes: dict[str, str], status: int
) -> None:
    """Each of what shows that our own page asks is needed."""
    url = house.open(guarded(house, canary))
    cookie, csrf = logged_in(url, canary)
    given = {"Cookie": cookie, "X_CSRF_Token": csrf, **changes}
    assert post(url, ROTATE, {"credential": "ci"}, **given).status == status
    assert not house.service.board.standing.credentials["ci"].last
    house.service.begin_due()
    assert len(house.street.shop.written["ci"]) == 1


def test_another_site_cannot_log_a_browser_in(house: House, canary: str) -> None:
    """Not even with the right token."""
    url = house.open(guarded(house, canary))
    for origin in ("https://evil.example", "null", ""):
        assert post(url, LOGIN, {"token": canary}, Origin=origin).status == 403


def test_what_cannot_be_rotated_now_is_said(house: House, canary: str) -> None:
    """While it is being rotated, while another instance leads, and while the service stops."""
    url, service = house.open(guarded(house, canary)), house.service

    def refused() -> str:
        found = ask(url, ROTATE, "POST", body={"credential": "ci"}, Authorization=f"Bearer {canary}")
        assert found.status == 409
        return found.body

    service.board.set(at_work={"ci": "issue"})
    assert "being rotated" in refused()
    service.board.set(leadership=LeadershipStanding("kubernetes", leads=False, holder="rotate-1"))
    assert "rotate-1 leads" in refused()
    service.stop()
    assert "stopping" in refused()
    assert service.ask("ci", Request(forced=True), who="nobody")


def test_rotation_is_not_offered_unless_it_is_configured(house: House, canary: str) -> None:
    """Then the path is not there, whoever asks, and the page is told so."""
    url = house.open(replace(guarded(house, canary), offers_rotation=False))
    found = ask(url, ROTATE, "POST", body={"credential": "ci"}, Authorization=f"Bearer {canary}")
    assert found.status == 404
    assert "offers_rotation" not in ask(url, "/api/v1/status", Authorization=f"Bearer {canary}").json
