"""What is known of a call that did not go well: nothing happened, or nobody knows. Nothing is ever sent twice."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from rotator.errors import ConflictError, OutcomeUnknownError, RotatorError, UnavailableError
from rotator.model import Version
from rotator.testing.backend_contract import pair
from rotator.testing.kubernetes import (
    Answer,
    AnswerAfter,
    AnswerInstead,
    HangUpAfter,
    HangUpBefore,
    Request,
    SilenceAfter,
    SilenceBefore,
)
from rotator.testing.kubernetes_exchange import Fault
from rotator.testing.kubernetes_server import ApiServer
from rotator.testing.kubernetes_status import internal, timed_out, too_many_requests, unavailable
from rotator_backends.kubernetes_secret import KubernetesBackend, SecretLocation
from tests.early_hints import CALLERS, announcing
from tests.kubernetes_secret.lab import NAMESPACE, SimulatedLab

CI = SecretLocation(NAMESPACE, "ci")


def impatient(lab: SimulatedLab, kind: str) -> KubernetesBackend:
    """Make a backend that waits no longer than a test should."""
    return lab.backend(timeout="1s" if "silence" in kind else "30s")


def disturb(lab: SimulatedLab, fault: Fault, *verbs: str) -> None:
    """Let all requests of these verbs meet a fault."""
    lab.cluster.intercept = lambda request: fault if request.verb in verbs else None


def sent(lab: SimulatedLab, verb: str) -> list[Request]:
    """Return the requests of a verb that were sent."""
    return [call.request for call in lab.cluster.calls if call.request.verb == verb]


def secret_of(lab: SimulatedLab) -> bytes:
    """Return the secret value that is stored."""
    return lab.cluster.data(NAMESPACE, "ci")["token_secret"]


def value(number: int) -> bytes:
    """Return the secret value of a pair."""
    return pair(number)["token_secret"].reveal().encode()


UNKNOWN: dict[str, tuple[Fault, bool]] = {
    "hang-up before": (HangUpBefore(), False),
    "hang-up after": (HangUpAfter(), True),
    "silence before": (SilenceBefore(), False),
    "silence after": (SilenceAfter(), True),
    "500": (AnswerAfter(Answer.refusing(internal("etcdserver: request timed out"))), True),
    "503": (AnswerAfter(Answer.refusing(unavailable())), True),
    "504": (AnswerAfter(Answer.refusing(timed_out())), True),
    "502 of a proxy": (AnswerAfter(Answer.text(502, "<html>Bad Gateway</html>")), True),
    "503 of a proxy with Retry-After": (AnswerAfter(Answer.text(503, "<html>", **{"Retry-After": "7"})), True),
    "103 of a proxy": (AnswerAfter(Answer(103)), True),
    "200 of a proxy": (AnswerAfter(Answer.text(200, "<html>Welcome</html>")), True),
    "200 and a Status": (AnswerAfter(Answer.of({"kind": "Status", "metadata": {}, "status": "Success"})), True),
    "200 and no version": (AnswerAfter(Answer.of({"kind": "Secret", "metadata": {"name": "ci"}})), True),
    "200 and a list": (AnswerAfter(Answer.of([])), True),
    "200 and a list of values": (AnswerAfter(Answer.of({"kind": "Secret", "metadata": {}, "data": ["x"]})), True),
    "200 and a number": (AnswerAfter(Answer.of({"kind": "Secret", "metadata": {}, "data": {"x": 5}})), True),
    "200 and no end of it": (AnswerAfter(Answer.text(200, "[" * 100_000)), True),
}
"""Faults of which nobody knows whether they came before or after the effect; and whether they did."""

NOTHING: dict[str, Fault] = {
    "429": AnswerInstead(Answer.refusing(too_many_requests(7))),
    "429 in words": AnswerInstead(
        Answer.text(429, "Too many requests, please try again later.", **{"Retry-After": "7"})
    ),
    "503 with Retry-After": AnswerInstead(Answer.refusing(unavailable(seconds=7))),
    "408": AnswerInstead(Answer.text(408, "")),
}
"""Faults that say that nothing happened."""


@pytest.mark.parametrize("kind", UNKNOWN)
def test_a_patch_without_a_clear_answer_has_an_unknown_outcome(lab: SimulatedLab, kind: str) -> None:
    """It is sent once; the same compare-and-set settles it: it is refused if the first one took effect."""
    backend, (fault, is_done) = impatient(lab, kind), UNKNOWN[kind]
    version = backend.write(CI, pair(1), expected=None)
    disturb(lab, fault, "patch")
    with pytest.raises(OutcomeUnknownError, match=r"secret pve/ci at 127\.0\.0\.1:\d+ may have been changed or not: "):
        backend.write(CI, pair(2), expected=version)
    assert len(sent(lab, "patch")) == 1
    assert secret_of(lab) == value(2 if is_done else 1)
    lab.cluster.intercept = None
    if is_done:
        with pytest.raises(ConflictError):
            backend.write(CI, pair(2), expected=version)
    else:
        backend.write(CI, pair(2), expected=version)
    backend.close()


@pytest.mark.parametrize("kind", UNKNOWN)
def test_a_create_without_a_clear_answer_has_an_unknown_outcome(lab: SimulatedLab, kind: str) -> None:
    """It is sent once, too."""
    backend, (fault, is_done) = impatient(lab, kind), UNKNOWN[kind]
    disturb(lab, fault, "create")
    with pytest.raises(OutcomeUnknownError):
        backend.write(CI, pair(1), expected=None)
    assert len(sent(lab, "create")) == 1
    lab.cluster.intercept = None
    assert (backend.read(CI) is not None) == is_done
    backend.close()


@pytest.mark.parametrize("kind", [*UNKNOWN, *NOTHING])
def test_a_read_never_has_an_unknown_outcome(lab: SimulatedLab, kind: str) -> None:
    """Nothing can have happened; it may be repeated, but not by the library."""
    backend, fault = impatient(lab, kind), NOTHING[kind] if kind in NOTHING else UNKNOWN[kind][0]
    version = backend.write(CI, pair(1), expected=None)
    disturb(lab, fault, "get")
    lab.cluster.calls.clear()
    for attempt in (lambda: backend.read(CI), lambda: backend.write(CI, pair(2), expected=version)):
        with pytest.raises(UnavailableError) as caught:
            attempt()
        assert caught.value.hint.startswith("nothing was changed")
    assert len(sent(lab, "get")) == 2
    assert sent(lab, "patch") == []
    backend.close()


@pytest.mark.parametrize("kind", [kind for kind in (*UNKNOWN, *NOTHING) if kind != "200 and no version"])
def test_a_dry_run_never_has_an_unknown_outcome(lab: SimulatedLab, kind: str) -> None:
    """A preflight changes nothing, whatever becomes of it; what it makes has no version yet."""
    backend, fault = impatient(lab, kind), NOTHING[kind] if kind in NOTHING else UNKNOWN[kind][0]
    disturb(lab, fault, "create", "patch")
    with pytest.raises(UnavailableError):
        backend.preflight(CI)
    backend.close()


@pytest.mark.parametrize("kind", NOTHING)
def test_a_write_that_was_turned_away_did_not_happen(lab: SimulatedLab, backend: KubernetesBackend, kind: str) -> None:
    """Priority and fairness, and a server that is starting, say so before they do anything; nothing is sent twice."""
    version = backend.write(CI, pair(1), expected=None)
    disturb(lab, NOTHING[kind], "patch")
    with pytest.raises(UnavailableError, match="has too much to do or is just starting") as caught:
        backend.write(CI, pair(2), expected=version)
    when = "" if kind == "408" else " in 7 s"
    assert caught.value.hint == f"nothing was changed; try again{when}"
    assert len(sent(lab, "patch")) == 1
    assert secret_of(lab) == value(1)


@pytest.mark.parametrize("odd", ["abcde", "\N{SNOWMAN}"])
def test_what_is_no_base64_is_no_text_and_no_bug(lab: SimulatedLab, backend: KubernetesBackend, odd: str) -> None:
    """An API server sends none; it is kept like other bytes that are no text."""
    backend.write(CI, pair(1), expected=None)
    found = {"kind": "Secret", "metadata": {"name": "ci", "resourceVersion": "1"}, "data": {"x": odd}}
    disturb(lab, AnswerInstead(Answer.of(found)), "get")
    stored = backend.read(CI)
    assert stored is not None
    assert dict(stored.fields) == {}
    backend.preflight(CI)


def test_a_redirect_is_not_followed(lab: SimulatedLab, backend: KubernetesBackend) -> None:
    """A 307 would send the secret on to wherever it points."""
    version = backend.write(CI, pair(1), expected=None)
    disturb(lab, AnswerInstead(Answer.text(307, "", Location=f"{lab.cluster.url}/elsewhere")), "patch")
    with pytest.raises(RotatorError, match="status 307"):
        backend.write(CI, pair(2), expected=version)
    assert [call.request.path for call in lab.cluster.calls if "elsewhere" in call.request.path] == []


def test_a_refused_connection_is_one_where_nothing_happened(lab: SimulatedLab, backend: KubernetesBackend) -> None:
    """For reads and writes alike; and when the server is back, the same backend goes on."""
    version = backend.write(CI, pair(1), expected=None)
    lab.cluster.down = True
    for attempt in (lambda: backend.read(CI), lambda: backend.write(CI, pair(2), expected=None)):
        with pytest.raises(UnavailableError, match=r"at 127\.0\.0\.1:\d+: connection refused") as caught:
            attempt()
        assert caught.value.hint.startswith("nothing was sent; is the API server up")
    lab.cluster.down = False
    backend.write(CI, pair(2), expected=version)


def test_connections_that_were_closed_meanwhile_are_replaced(lab: SimulatedLab, backend: KubernetesBackend) -> None:
    """A balancer drops what is idle: that is seen before anything is sent, and is no unknown outcome."""
    version = backend.write(CI, pair(1), expected=None)
    lab.cluster.down = True
    lab.cluster.down = False
    version = backend.write(CI, pair(2), expected=version)
    backend.close()
    backend.write(CI, pair(3), expected=version)


def test_a_server_that_nobody_vouches_for_is_told_nothing(lab: SimulatedLab, tmp_path: Path) -> None:
    """Its certificate is of another authority than the kubeconfig's: the handshake ends before anything is sent."""
    told: list[object] = []
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(tls)
    rogue = ApiServer(lambda message, _: told.append(message), tls)
    port = rogue.start()
    text = lab.kubeconfig.read_text().replace(str(lab.cluster.port), str(port))
    (tmp_path / "other").write_text(text)
    backend = lab.backend(kubeconfig=str(tmp_path / "other"))
    try:
        with pytest.raises(UnavailableError, match="its certificate is not trusted") as caught:
            backend.write(CI, pair(1), expected=None)
    finally:
        rogue.close()
        backend.close()
    assert caught.value.hint.startswith("nothing was sent")
    assert told == []


@pytest.mark.parametrize(
    ("server", "why"),
    [("https://no-such-host.invalid:6443", "its name does not resolve"), ("https://127.0.0.1:1", "connection refused")],
)
def test_a_server_that_is_not_there_is_told_why(lab: SimulatedLab, tmp_path: Path, server: str, why: str) -> None:
    """A name that does not resolve is another thing than a port where nobody listens."""
    text = lab.kubeconfig.read_text().replace(lab.cluster.url, server)
    (tmp_path / "other").write_text(text)
    backend = lab.backend(kubeconfig=str(tmp_path / "other"))
    with pytest.raises(UnavailableError, match=why):
        backend.write(CI, pair(1), expected=None)
    backend.close()


def test_a_handshake_that_hangs_is_no_unknown_outcome(lab: SimulatedLab, tmp_path: Path) -> None:
    """The library tells it from an answer that does not come only by our own connections."""
    listener = socket.create_server(("127.0.0.1", 0))
    text = lab.kubeconfig.read_text().replace(lab.cluster.url, f"https://127.0.0.1:{listener.getsockname()[1]}")
    (tmp_path / "other").write_text(text)
    backend = lab.backend(kubeconfig=str(tmp_path / "other"), timeout="1s")
    with pytest.raises(UnavailableError, match="no connection in time"):
        backend.write(CI, pair(1), expected=None)
    listener.close()
    backend.close()


def test_an_answer_that_was_announced_is_never_that_of_another_question(lab: SimulatedLab, tmp_path: Path) -> None:
    """What comes before an answer (1xx) is none; what comes after it on that connection belongs to nobody any more."""
    with announcing(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}") as (port, asked):
        text = lab.kubeconfig.read_text().replace(lab.cluster.url, f"http://127.0.0.1:{port}")
        (tmp_path / "other").write_text(text)
        backend = lab.backend(kubeconfig=str(tmp_path / "other"))
        for _ in range(CALLERS):
            with pytest.raises(UnavailableError, match="status 103"):
                backend.read(CI)
        backend.close()
    assert len(asked) == CALLERS


def test_two_rivals_with_an_unknown_outcome_are_told_apart(lab: SimulatedLab, backend: KubernetesBackend) -> None:
    """What was sent without an answer may be ours or not: reading says whose it is."""
    version: Version = backend.write(CI, pair(1), expected=None)
    disturb(lab, HangUpAfter(), "patch")
    attempt: Callable[[], object] = lambda: backend.write(CI, pair(2), expected=version)  # noqa: E731 - gives it a type
    with pytest.raises(OutcomeUnknownError):
        attempt()
    stored = backend.read(CI)
    assert stored is not None
    assert dict(stored.fields) == pair(2)
