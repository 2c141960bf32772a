"""The status page and the document behind it, asked over real connections without a browser."""

from __future__ import annotations

import gzip
import http.client
import json
import re
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from rotator.events import Step
from rotator.faults import Problem
from rotator.model import Request
from rotator.service import document, telling
from rotator.service.document import Document
from rotator.service.probes import opened
from rotator.service.sheet import Sheet, takes_gzip
from rotator.service.standing import ClusterStanding, CredentialStanding, LeadershipStanding, State
from rotator.service.web import Site
from rotator.settings import ListenSettings
from tests.service.house import Found, House, ask
from tests.service.shape import CHECKED_IN, schema
from tests.service.world import EVERY, OVERLAP

HOUR = timedelta(hours=1)
STATUS = "/api/v1/status"
PAGE = Path(document.__file__).with_name("page")
FILES = sorted(it.name for it in PAGE.iterdir())
ELSEWHERE = re.compile(r"""https?://(?!www\.w3\.org/2000/svg)|@import|url\(|["'`]//""")
UNSAFE = re.compile(r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|new Function|\bstyle=|\bon[a-z]+=")


def read(url: str) -> Document:
    """Ask for the document, and see that it has its shape and no more."""
    found = ask(url, STATUS)
    assert found.status == 200
    return TypeAdapter(Document).validate_json(found.content, strict=True)


def filled(house: House) -> None:
    """Let everything that can be told be told."""
    house.street.add("paused", paused=True)
    house.street.add("broken")
    house.street.go_on(house.service, HOUR)
    house.service.ask("ci", Request(forced=True), who="session 0a1b2c3d")
    house.street.go_on(house.service, HOUR)
    house.street.spoil()
    house.street.go_on(house.service, HOUR)
    lead = LeadershipStanding("kubernetes", identity="rotate-0", holder="rotate-0", since=house.street.clock.now())
    house.service.board.set(leadership=lead, at_work={"broken": Step.ISSUE})


def test_the_document_has_its_shape_and_tells_how_everything_stands(house: House) -> None:
    """Each token, the last outcome and who asked for it, the refused configuration, who leads, who is at work."""
    url = house.open()
    first = read(url)
    assert (first.version, first.credentials[0].state, first.clusters[0].reachable) == (1, "new", None)
    filled(house)
    told = read(url)
    ci, paused, broken = told.credentials
    assert [(it.role, it.issued is not None, it.expire is not None) for it in ci.tokens] == [
        ("current", True, False),
        ("retiring", True, True),
    ]
    assert ci.last
    assert (ci.last.trigger, ci.last.who, ci.last.outcome, ci.last.done) == (
        "asked",
        "session 0a1b2c3d",
        "done",
        ("forced",),
    )
    assert (paused.state, broken.working) == ("paused", "issue")
    assert told.states["paused"] == "paused in the configuration"
    assert told.reasons["forced"].meaning
    assert told.configuration.refused
    assert told.configuration.problems == (document.Problem(line=3, column=1, where="owner", message="missing"),)
    assert (told.leadership.kind, told.leadership.holder) == ("kubernetes", "rotate-0")
    assert told.clusters[0].endpoints == (document.Endpoint(address="one:8006", reachable=True),)


@pytest.mark.parametrize(("ahead", "told"), [(None, 0.0), (0.04, 0.0), (-61.23, -61.2)])
def test_how_far_a_clusters_clock_is_ahead_is_told(ahead: float | None, told: float) -> None:
    """By which whoever reads the document puts its tokens' times on the service's clock."""
    offset = None if ahead is None else timedelta(seconds=ahead)
    assert telling.cluster(ClusterStanding("one", ("one:8006",), clock_offset=offset)).clock_offset == told


def test_the_schema_that_is_shipped_is_that_of_the_document() -> None:
    """Written anew by ``python -m tests.service.shape``."""
    assert CHECKED_IN.read_text(encoding="utf-8") == schema()


def test_what_is_told_in_the_guide_to_the_document_is_all_that_there_is() -> None:
    """Each key has its line there."""
    page = Path(document.__file__).parent.with_name("STATUS.md").read_text(encoding="utf-8")
    keys = {name for kind in document.Shape.__subclasses__() for name in (it.name for it in fields(kind))}
    assert sorted(name for name in keys if f"`{name}`" not in page) == []


def test_nothing_is_sent_again_that_has_not_changed(house: House) -> None:
    """A page that asks every five seconds costs next to nothing; what changes has another name."""
    url, clock = house.open(), house.street.clock
    etag = ask(url, STATUS).headers["etag"]
    clock.sleep(60)
    again = ask(url, STATUS, If_None_Match=etag)
    assert (again.status, again.content, again.headers["etag"]) == (304, b"", etag)
    assert "content-length" not in again.headers
    assert ask(url, STATUS, If_None_Match=f'"x", {etag}').status == 304
    assert ask(url, STATUS, If_None_Match='"x"').status == 200
    house.street.go_on(house.service, HOUR)
    changed = ask(url, STATUS, If_None_Match=etag)
    assert changed.status == 200
    assert changed.headers["etag"] != etag
    assert changed.headers["vary"] == "Accept-Encoding"


def test_a_page_asks_again_and_again_on_one_connection(house: House) -> None:
    """Also after an answer without a body."""
    made = http.client.HTTPConnection(house.open().partition("://")[2], timeout=20)
    house.closing.callback(made.close)
    statuses, etag = [], ""
    for _ in range(3):
        made.request("GET", STATUS, headers={"If-None-Match": etag})
        answer = made.getresponse()
        answer.read()
        statuses.append((answer.status, made.sock is not None))
        etag = answer.getheader("ETag") or ""
    assert statuses == [(200, True), (304, True), (304, True)]


def test_in_the_middle_of_a_large_round_it_is_not_written_at_every_question(house: House) -> None:
    """What was written two seconds ago will do; after that it is written anew."""
    url, board = house.open(), house.service.board
    etag = ask(url, STATUS).headers["etag"]
    board.set(is_stopping=True)
    assert ask(url, STATUS).headers["etag"] == etag
    house.street.clock.sleep(2)
    assert ask(url, STATUS).json["stopping"] is True


@pytest.mark.parametrize(
    ("header", "is_pressed"),
    [
        ("gzip", True),
        ("br, gzip;q=0.5", True),
        ("*", True),
        ("GZIP", True),
        ("gzip;q=0", False),
        ("gzip; q=0.0", False),
        ("identity", False),
        ("", False),
    ],
)
def test_it_is_pressed_for_who_can_take_it(header: str, is_pressed: bool) -> None:  # noqa: FBT001 - pytest's
    """As the header says."""
    assert takes_gzip(header) is is_pressed


def test_ten_thousand_credentials_are_small_enough_to_be_sent(house: House) -> None:
    """Less than half a megabyte where each has another token and another moment; written anew, most is kept."""
    filled(house)
    house.street.mend()
    ci, board = house.street.stands(house.service, "ci"), house.service.board
    assert ci.last

    def made(number: int) -> CredentialStanding:
        name, moved = f"ci-{number:05d}", timedelta(seconds=number * 37)
        tokens = tuple(
            replace(it, id=f"{name}@pve!{name}-{number % 9}-{hash((name, it.id)) % 10**5:05d}") for it in ci.tokens
        )
        return replace(ci, name=name, tokens=tokens, token=tokens[0].id, seen=(ci.seen or datetime.now(UTC)) + moved)

    board.set(credentials={it.name: it for it in map(made, range(10_000))})
    url = house.open()
    pressed = ask(url, STATUS, Accept_Encoding="gzip")
    assert pressed.headers["content-encoding"] == "gzip"
    plain = ask(url, STATUS)
    assert gzip.decompress(pressed.content) == plain.content
    assert len(pressed.content) < 500_000
    assert len(json.loads(plain.content)["credentials"]) == 10_000


def test_only_what_has_changed_is_written_anew(house: House) -> None:
    """Of ten thousand lines those that changed."""
    board, clock = house.service.board, house.street.clock
    one = house.street.stands(house.service, "ci")
    board.set(credentials={name: replace(one, name=name) for name in ("a", "b")})
    sheet = Sheet(lambda: board.standing, clock)
    before = sheet.lines(board.standing)
    board.put([replace(board.standing.credentials["a"], state=State.WELL)])
    board.set(at_work={"b": Step.ISSUE})
    after = sheet.lines(board.standing)
    assert '"state":"well"' in after["a"]
    assert '"working":"issue"' in after["b"]
    board.set(is_stopping=True)
    again = sheet.lines(board.standing)
    assert all(again[name] is after[name] for name in again)
    assert before.keys() == after.keys()


def test_every_page_is_locked_down(house: House, canary: str) -> None:
    """Nothing but files of ours, nothing framed, guessed, kept or told to others; no script and no style in between."""
    url = house.open(ListenSettings(port=0, token=house.keep(canary)))
    for path in ("/login", *(f"/page/{name}" for name in FILES if not name.endswith(".html"))):
        found = ask(url, path)
        assert found.status == 200
        policy = found.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; ")
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert found.headers["x-content-type-options"] == "nosniff"
        assert found.headers["referrer-policy"] == "no-referrer"
        assert found.headers["cache-control"] == "no-store"
        assert found.headers["x-frame-options"] == "DENY"
    assert ask(url, "/", Authorization=f"Bearer {canary}").headers["content-type"] == "text/html; charset=utf-8"
    assert ask(url, "/page/grid.js").headers["content-type"] == "text/javascript; charset=utf-8"
    assert ask(url, "/page/..%2fweb.py").status == 404
    assert ask(url, "/page/index.html").status == 404


@pytest.mark.parametrize("name", FILES)
def test_the_page_is_made_of_nothing_from_elsewhere_and_of_no_text_that_runs(name: str) -> None:
    """No address, no font, no frame; no markup that is made of text."""
    text = (PAGE / name).read_text(encoding="utf-8")
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("//"))
    assert ELSEWHERE.findall(code) == []
    assert UNSAFE.findall(code) == []


def test_no_answer_holds_a_secret(house: House, canary: str) -> None:
    """Neither the token that is shown, nor any that the service has stored, nor the operator's."""
    url = house.open(ListenSettings(port=0, token=house.keep(canary), offers_rotation=True))
    filled(house)
    records = [stored.fields["token_secret"].reveal() for _, stored in house.street.shop.written["ci"]]
    secrets = [canary, *records, *(token.secret.reveal() for token in house.street.secrets.values())]
    house.street.mend()
    site = house.desk.site(ListenSettings(port=0, token=house.keep(canary), offers_rotation=True))
    found: list[Found] = []
    about = {"Origin": url, "Content_Type": "application/json"}
    for path, route in site.routes.items():
        for method in ("GET", "POST"):
            found += [
                ask(url, path, method, None, {"credential": "ci", "token": canary}, **about, Authorization=shown)
                for shown in ("", f"Bearer {canary}")
            ]
        assert route.methods
    assert {it.status for it in found} >= {200, 202, 204, 303, 401, 405}
    for it in found:
        assert not [secret for secret in secrets if secret in f"{it.headers}{it.body}"]


def test_probes_have_an_address_of_their_own_where_nothing_else_is(house: House) -> None:
    """For the inside of a pod: neither page nor document, and no token is asked for."""
    url = house.serve(Site(opened(house.desk.machines), house.bugs.append))
    assert [ask(url, path, Host="rotate.tools.svc").status for path in ("/healthz", "/metrics")] == [200, 200]
    assert [ask(url, path).status for path in ("/", STATUS, "/login", "/page/main.js")] == [404] * 4


def test_a_problem_keeps_its_place_and_its_advice(house: House) -> None:
    """Line and column, and what to write instead."""
    url, board = house.open(), house.service.board
    problem = Problem(7, 3, "owner", "missing", "write owner: homelab")
    board.set(configuration=replace(board.standing.configuration, problems=(problem,)))
    (told,) = read(url).configuration.problems
    assert (told.line, told.column, told.hint) == (7, 3, "write owner: homelab")


def test_durations_are_seconds(house: House) -> None:
    """As everywhere in what machines read."""
    (told,) = ask(house.open(), STATUS).json["credentials"]
    assert (told["every"], told["overlap"]) == (EVERY.total_seconds(), OVERLAP.total_seconds())
