"""What the service answers over HTTP, asked over real connections on loopback."""

from __future__ import annotations

import json
import os
import socket
import ssl
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from threading import enumerate as threads
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from prometheus_client.parser import text_string_to_metric_families

from rotator.cli.answering import answering
from rotator.errors import ConfigError, UnavailableError
from rotator.events import Step
from rotator.model import Secret
from rotator.service.gate import ASKING, Gate
from rotator.service.health import unready
from rotator.service.lobby import Limits
from rotator.service.standing import (
    ClusterStanding,
    ConfigurationStanding,
    CredentialStanding,
    LeadershipStanding,
    Standing,
    State,
)
from rotator.service.web import Asked, Route
from rotator.settings import ListenSettings, ProbeSettings, ServiceSettings
from tests.cli.lab import Lab
from tests.service.house import House, ask
from tests.service.process import serving
from tests.service.world import Outage

HOUR = timedelta(hours=1)
NOW = datetime(2026, 3, 1, tzinfo=UTC)
FIRST, SECOND = "the-first-of-them", "the-second-of-them"


def test_it_is_healthy_as_long_as_the_loop_comes_round(house: House) -> None:
    """One that hangs is told, so that somebody starts it again."""
    url = house.open()
    assert ask(url, "/healthz").status == 200
    house.street.clock.sleep(31)
    found = ask(url, "/healthz")
    assert (found.status, json.loads(found.body)) == (503, {"ok": False, "reasons": ["scheduler-hangs"]})
    house.pulse.beat()
    assert json.loads(ask(url, "/healthz").body) == {"ok": True, "reasons": []}


def test_it_is_ready_once_it_has_looked_and_while_it_goes_on_looking(house: House) -> None:
    """A look that is three intervals late says that it does not."""
    url = house.open()
    assert json.loads(ask(url, "/readyz").body)["reasons"] == ["not-looked-yet"]
    house.street.go_on(house.service, 2 * HOUR)
    assert ask(url, "/readyz").status == 200
    house.street.clock.sleep(2 * 3600)
    assert ask(url, "/readyz").status == 200
    house.street.clock.sleep(2 * 3600)
    found = ask(url, "/readyz")
    assert (found.status, json.loads(found.body)["reasons"]) == (503, ["look-overdue"])
    house.service.stop()
    assert json.loads(ask(url, "/readyz").body)["reasons"] == ["look-overdue", "stopping"]


@pytest.mark.parametrize(
    ("leadership", "reasons"),
    [
        (LeadershipStanding(), ["not-looked-yet"]),
        (LeadershipStanding("kubernetes", leads=False, holder="other"), []),
        (LeadershipStanding("kubernetes", leads=False), ["leader-unknown"]),
        (LeadershipStanding("kubernetes", leads=False, holder="other", message="no answer"), ["leader-unknown"]),
    ],
)
def test_who_stands_by_is_ready_when_it_knows_who_leads(leadership: LeadershipStanding, reasons: list[str]) -> None:
    """It looks at nothing itself."""
    standing = Standing(NOW, ConfigurationStanding("rotate.yaml", "", NOW), {}, {}, leadership)
    standing = replace(standing, clusters={"one": ClusterStanding("one", ("one:8006",))})
    assert unready(standing, NOW) == reasons


def test_a_cluster_whose_credentials_are_all_paused_keeps_nobody_from_being_ready(house: House) -> None:
    """Nobody looks at it, and that is as it should be: from the start, and when they are paused later."""
    street, url = house.street, house.open()
    street.add("ci", paused=True)
    house.service.reload()
    street.go_on(house.service, HOUR)
    assert json.loads(ask(url, "/readyz").body) == {"ok": True, "reasons": []}
    street.add("ci")
    house.service.reload()
    street.go_on(house.service, HOUR)
    assert house.service.board.standing.clusters["one"].seen is not None
    street.add("ci", paused=True)
    house.service.reload()
    street.go_on(house.service, HOUR)
    street.clock.sleep(24 * 3600)
    assert json.loads(ask(url, "/readyz").body) == {"ok": True, "reasons": []}


def test_a_cluster_whose_credentials_are_all_held_back_is_not_overdue(house: House) -> None:
    """After failures nobody looks at it for up to six hours, as it should be; but the retry must come in the end."""
    street, url = house.street, house.open()
    street.guard = Outage(lambda label, _: label.startswith("POST"))
    street.go_on(house.service, 10 * HOUR)
    held = street.stands(house.service, "ci").backoff_until
    assert held is not None
    assert held - street.clock.now() > 4 * HOUR
    street.clock.pass_by(held - street.clock.now() - timedelta(seconds=1))
    assert json.loads(ask(url, "/readyz").body) == {"ok": True, "reasons": []}
    street.clock.pass_by(5 * HOUR)
    assert json.loads(ask(url, "/readyz").body)["reasons"] == ["look-overdue"]


def test_a_look_in_short_intervals_may_take_its_time() -> None:
    """A round of a large cluster takes longer than the ten seconds that may be configured."""
    seconds = timedelta(seconds=1)
    cluster = ClusterStanding("one", (), is_reachable=True, seen=NOW, next_look=NOW + 10 * seconds)
    standing = Standing(NOW, ConfigurationStanding("rotate.yaml", "", NOW), {}, {"one": cluster})
    assert unready(standing, NOW + 100 * seconds) == []
    assert unready(standing, NOW + 130 * seconds) == ["look-overdue"]
    under_way = replace(standing, clusters={"one": replace(cluster, next_look=NOW)})
    assert unready(under_way, NOW + 130 * seconds) == []


def test_a_round_that_goes_on_may_take_an_hour() -> None:
    """Ten thousand credentials that are new, a hook that takes its time; one that hangs is told in the end."""
    minute = timedelta(minutes=1)
    cluster = ClusterStanding("one", (), is_reachable=True, seen=NOW, next_look=NOW + minute)
    ci = CredentialStanding("ci", "one", HOUR, HOUR, State.WELL, next_wake=NOW)
    standing = Standing(NOW, ConfigurationStanding("rotate.yaml", "", NOW), {"ci": ci}, {"one": cluster})
    assert unready(standing, NOW + 50 * minute) == ["look-overdue"]
    assert unready(replace(standing, at_work={"ci": Step.ISSUE}), NOW + 50 * minute) == []
    assert unready(replace(standing, at_work={"gone": Step.ISSUE}), NOW + 50 * minute) == ["look-overdue"]
    assert unready(replace(standing, at_work={"ci": Step.ISSUE}), NOW + 61 * minute) == ["look-overdue"]


def test_prometheus_can_read_the_metrics(house: House) -> None:
    """In the format that it asks for."""
    house.street.go_on(house.service, HOUR)
    url = house.open()
    found = ask(url, "/metrics")
    assert found.headers["content-type"].startswith("text/plain; version=")
    names = {family.name for family in text_string_to_metric_families(found.body)}
    assert {"rotate_credential_state", "rotate_steps", "rotate_build_info"} <= names
    newer = ask(url, "/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert newer.headers["content-type"].startswith("application/openmetrics-text")
    assert newer.body.endswith("# EOF\n")


def test_other_paths_and_methods_are_refused_and_every_answer_is_locked_down(house: House) -> None:
    """No version is told, nothing is kept, framed or guessed."""
    url = house.open()
    assert ask(url, "/elsewhere").status == 404
    assert ask(url, "/metrics/").status == 404
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        found = ask(url, "/healthz", method)
        assert (found.status, found.headers["allow"]) == (405, "GET, HEAD")
    head = ask(url, "/healthz", "HEAD")
    assert (head.status, head.body) == (200, "")
    for path in ("/", "/healthz", "/metrics"):
        headers = ask(url, path).headers
        assert headers["server"] == "rotate"
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-security-policy"].startswith("default-src 'none'")


def test_a_request_that_is_too_large_is_refused(house: House) -> None:
    """Before anything is made of it."""
    url = house.open()
    assert ask(url, "/healthz", Cookie="x" * 20_000).status in {400, 413, 431}
    assert ask(url, "/healthz", Cookie="x" * 10_000).status == 200


def test_a_page_with_a_bug_ends_nothing_and_tells_the_asker_nothing(house: House) -> None:
    """It is told where bugs are told."""

    def broken(_asked: Asked) -> Any:  # noqa: ANN401 - it returns nothing
        raise KeyError("inner")

    url = house.open(broken=Route(broken))
    found = ask(url, "/broken")
    assert (found.status, found.body) == (500, "internal server error\n")
    assert [type(it) for it in house.bugs] == [KeyError]
    assert ask(url, "/healthz").status == 200


def test_metrics_need_the_token_and_probes_do_not(house: House, canary: str) -> None:
    """Nothing but the very token, as a bearer's, is let in."""
    url = house.open(ListenSettings(port=0, token=house.keep(canary)))
    for shown in ("", canary, f"Basic {canary}", "Bearer", f"Bearer {canary[:-1]}", f"Bearer {canary}x", "Bearer \xff"):
        found = ask(url, "/metrics", Authorization=shown)
        assert found.status == 401
        assert found.headers["www-authenticate"].startswith("Bearer")
        assert "rotate_" not in found.body
    for scheme in ("Bearer", "bearer"):
        assert ask(url, "/metrics", Authorization=f"{scheme} {canary}").status == 200
    assert ask(url, "/metrics").status == 401
    assert (ask(url, "/healthz").status, ask(url, "/readyz").status) == (200, 503)


def test_a_token_that_was_changed_holds_after_a_minute(house: House) -> None:
    """It is asked for once a minute, however often somebody tries; what was known holds while it cannot be read."""
    clock, calls = house.street.clock, list[str]()
    answers: list[Secret | None] = [Secret(FIRST), Secret(SECOND), None]

    def read() -> Secret:
        calls.append("read")
        if (answer := answers.pop(0)) is None:
            raise UnavailableError("not now")
        return answer

    gate = Gate(read, clock)
    assert gate.admits(f"Bearer {FIRST}")
    assert not gate.admits(f"Bearer {SECOND}")
    clock.sleep(61)
    assert gate.admits(f"Bearer {SECOND}")
    assert not gate.admits(f"Bearer {FIRST}")
    clock.sleep(61)
    assert gate.admits(f"Bearer {SECOND}")
    assert len(calls) == 3


def test_a_store_that_hangs_holds_nobody_up_who_shows_the_token_that_was_known(house: House) -> None:
    """It is asked by one at a time, who is waited for a little; what it says in the end holds from then on."""
    clock, calls, answers = house.street.clock, list[str](), Event()

    def read() -> Secret:
        calls.append("read")
        assert len(calls) == 1 or answers.wait(20)
        return Secret(FIRST if len(calls) == 1 else SECOND)

    gate = Gate(read, clock, patience=0.01)
    assert gate.admits(f"Bearer {FIRST}")
    for _ in range(3):
        clock.sleep(61)
        assert gate.admits(f"Bearer {FIRST}")
    assert len(calls) == 2
    answers.set()
    for thread in threads():
        if thread.name == ASKING:
            thread.join()
    assert gate.admits(f"Bearer {SECOND}")
    assert not gate.admits(f"Bearer {FIRST}")


def test_nobody_comes_in_while_the_token_was_never_read(house: House, caplog: pytest.LogCaptureFixture) -> None:
    """Also not with an empty one. That it cannot be read is told, once, and nobody is said to guess at it."""
    answers: list[Secret | None] = [None, None, Secret(FIRST), None]

    def read() -> Secret:
        if (answer := answers.pop(0)) is None:
            raise UnavailableError("vault: not now")
        return answer

    gate = Gate(read, house.street.clock)
    assert not gate.admits("Bearer ")
    assert not gate.admits("")
    assert not any(gate.admits(f"Bearer {FIRST}") for _ in range(20))
    assert not gate.guesses.are_many
    for is_admitted in (False, True, True):
        house.street.clock.sleep(61)
        assert gate.admits(f"Bearer {FIRST}") is is_admitted
    told = "service.token cannot be read: vault: not now"
    assert caplog.messages == [f"{told}; nobody gets in", f"{told}; the one that was known holds on"]


@dataclass(frozen=True)
class Papers:
    """An authority, and the files of what it certified."""

    authority: trustme.CA
    cert: Path
    key: Path

    def renew(self) -> None:
        """Certify anew."""
        made = self.authority.issue_cert("127.0.0.1")
        self.cert.write_bytes(b"".join(it.bytes() for it in made.cert_chain_pems))
        made.private_key_pem.write_to_path(self.key)
        self.key.chmod(0o600)

    @property
    def listen(self) -> ListenSettings:
        """Where to answer with them."""
        return ListenSettings(port=0, certificate=self.cert, key=self.key)

    def trusting(self) -> ssl.SSLContext:
        """Make what a client goes by that trusts the authority."""
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        return context


@pytest.fixture
def papers(tmp_path: Path) -> Papers:
    """Return a certificate for loopback."""
    made = Papers(trustme.CA(), tmp_path / "cert.pem", tmp_path / "key.pem")
    made.renew()
    return made


def shown(url: str, context: ssl.SSLContext) -> bytes:
    """Return the certificate that is shown."""
    host, _, port = url.partition("://")[2].rpartition(":")
    with (
        socket.create_connection((host, int(port)), timeout=20) as plain,
        context.wrap_socket(plain, server_hostname=host) as wrapped,
    ):
        return wrapped.getpeercert(binary_form=True) or b""


def test_over_tls_a_renewed_certificate_is_taken_up(
    house: House, papers: Papers, caplog: pytest.LogCaptureFixture
) -> None:
    """Also after one came that was of no use, which is told once, and not at each probe of each day."""
    url, context = house.open(papers.listen), papers.trusting()
    assert url.startswith("https://")
    assert ask(url, "/healthz", context=context).status == 200
    first = shown(url, context)
    papers.cert.write_bytes(b"half")
    assert [shown(url, context) for _ in range(3)] == [first] * 3
    assert len([it for it in caplog.messages if "is of no use" in it]) == 1
    papers.renew()
    assert shown(url, context) != first
    assert ask(url, "/healthz", context=context).status == 200


def test_clients_that_say_nothing_or_no_tls_hold_nobody_up(house: House, papers: Papers) -> None:
    """The next one is answered at once."""
    url, context = house.open(papers.listen), papers.trusting()
    host, _, port = url.partition("://")[2].rpartition(":")
    for words in (b"", b"", b"GET /healthz HTTP/1.1\r\n\r\n"):
        made = socket.create_connection((host, int(port)), timeout=20)
        house.closing.callback(made.close)
        made.sendall(words)
    assert ask(url, "/healthz", context=context).status == 200


def test_half_a_handshake_on_every_thread_is_given_up_soon(house: House, papers: Papers) -> None:
    """It belongs to the request; and whoever says nothing at all holds no thread in the first place."""
    url = house.open(papers.listen, Limits(threads=2, request=60.0, hurried=0.1, tick=0.05))
    host, _, port = url.partition("://")[2].rpartition(":")
    for words in (b"", b"", b"", b"\x16\x03\x01\x02\x00\x01", b"\x16\x03\x01\x02\x00\x01", b"\x16\x03\x01\x02\x00\x01"):
        made = socket.create_connection((host, int(port)), timeout=20)
        house.closing.callback(made.close)
        made.sendall(words)
    assert ask(url, "/healthz", context=papers.trusting()).status == 200


def test_an_address_that_is_taken_is_told(house: House) -> None:
    """With where to say another."""
    taken = int(house.open().rpartition(":")[2])
    with pytest.raises(ConfigError, match=f"cannot listen at 127.0.0.1:{taken}") as caught:
        house.open(ListenSettings(port=taken))
    assert "service.listen" in caught.value.hint


def test_a_key_that_is_another_ones_is_told(house: House, papers: Papers, tmp_path: Path) -> None:
    """Before anything is served."""
    other = Papers(trustme.CA(), tmp_path / "other.pem", tmp_path / "other.key")
    other.renew()
    with pytest.raises(ConfigError, match="cannot be used for TLS"):
        house.open(replace(papers.listen, key=other.key))


def test_a_key_with_a_password_is_refused_and_nobody_is_asked_for_it(
    house: House, papers: Papers, capfd: pytest.CaptureFixture[str]
) -> None:
    """At the start, and when it comes later: whoever waits at a terminal for an answer answers nobody."""
    url, plain = house.open(papers.listen), load_pem_private_key(papers.key.read_bytes(), None)
    papers.key.write_bytes(
        plain.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"a password"))
    )
    os.utime(papers.key, (0, 0))
    assert ask(url, "/healthz", context=papers.trusting()).status == 200
    with pytest.raises(ConfigError, match="cannot be used for TLS") as caught:
        house.open(papers.listen)
    assert "without a password" in caught.value.hint
    assert capfd.readouterr() == ("", "")


def test_serve_answers_where_it_is_told_to(lab: Lab, tmp_path: Path, canary: str) -> None:
    """With the token of a file, which is in no output; probes and metrics also where they need none."""
    token = tmp_path / "token"
    token.write_text(canary, encoding="utf-8")
    token.chmod(0o600)
    lab.extra["service"] = {"listen": "127.0.0.1:0", "token": {"file": str(token)}, "probes": "127.0.0.1:0"}
    lab.add("ci")
    with serving(lab) as service:
        service.until("answering at ")
        url = service.until("\n")
        service.until("probes and metrics are at ")
        probes = service.until("\n")
        service.until("mark       done")
        assert ask(url, "/healthz").status == 200
        assert ask(url, "/metrics").status == 401
        found = ask(url, "/metrics", Authorization=f"Bearer {canary}").body
        assert 'rotate_rotations_total{cluster="one",credential="ci",reason="first-issue"} 1.0' in found
        assert lab.record("ci")["token_secret"] not in found
        assert ask(probes, "/metrics").status == 200
        assert [ask(probes, path).status for path in ("/", "/api/v1/status")] == [404, 404]
        assert ask(url, "/").status == 303
        assert ask(url, "/api/v1/status", Authorization=f"Bearer {canary}").json["credentials"][0]["name"] == "ci"
        assert service.stopped() == 0


def test_it_does_not_start_where_others_reach_it_without_tls_and_a_token(lab: Lab) -> None:
    """Nothing is contacted, and nothing listens."""
    lab.extra["service"] = {"listen": "0.0.0.0:0"}
    lab.add("ci")
    found = lab.call("serve")
    assert found.exit_code == 3
    assert "can be reached by others, and there is no tls" in found.stderr
    assert "can be reached by others, and there is no token" in found.stderr
    assert lab.pve.calls == []


def said(house: House, listen: ListenSettings | None, capsys: pytest.CaptureFixture[str]) -> str:
    """Answer as a configuration says, and stop at once; return what was said of it."""
    house.street.service_settings = ServiceSettings(listen=listen)
    with answering(house.desk):
        return capsys.readouterr().err


def test_an_address_that_is_taken_ends_the_service_only_if_it_was_asked_for(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two services on one machine are no error: the second one answers nowhere, and says so."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = ListenSettings(port=other.getsockname()[1])
        assert "no status page, no /metrics and no /healthz: cannot listen at 127.0.0.1" in said(house, taken, capsys)
        with pytest.raises(ConfigError, match="cannot listen at"):
            said(house, replace(taken, is_configured=True), capsys)


def test_it_answers_nowhere_if_it_is_told_to(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """And says nothing of it."""
    assert said(house, None, capsys) == ""


def test_probes_are_answered_also_where_there_is_no_page(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """An address for them is always asked for, so it is an error if it is taken."""
    house.street.service_settings = ServiceSettings(listen=None, probes=ProbeSettings("127.0.0.1", 0))
    with answering(house.desk):
        url = capsys.readouterr().err.rpartition("probes and metrics are at ")[2].strip()
        assert (ask(url, "/metrics", Host="rotate.tools.svc").status, ask(url, "/").status) == (200, 404)
        taken = ProbeSettings("127.0.0.1", int(url.rpartition(":")[2]))
        house.street.service_settings = ServiceSettings(listen=None, probes=taken)
        with pytest.raises(ConfigError, match="cannot listen at") as caught, answering(house.desk):
            pass
        assert "service.probes" in caught.value.hint
