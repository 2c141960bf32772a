"""Every status and every exception has a translation, and none of them repeats what was sent."""

from __future__ import annotations

import http.client
import inspect
import logging
import socket
import ssl
from collections.abc import Iterator

import hvac.exceptions
import pytest
import requests
import urllib3.exceptions

from rotator.errors import (
    ConflictError,
    NotFoundError,
    OutcomeUnknownError,
    RefusedError,
    RotatorError,
    UnauthenticatedError,
    UnavailableError,
)
from rotator_backends.vault_answers import Answer, Call, garbled, login_refused, refusal, silence, unwell
from rotator_backends.vault_settings import backend_settings
from rotator_backends.vault_wire import FOREIGN, Wire

READ = Call("read secret/ci", "https://vault")
WRITE = Call("write secret/ci", "https://vault", changing=True)
WIRE = Wire(backend_settings({"address": "https://vault"}), lambda: 0.0)
ELECT = "wait until the cluster has elected one, then run again"
LEADERLESS = "the node is a standby and finds no active node"
MOUNT = "correct `mount` or `namespace`, or enable a KV secrets engine"
NOTHING_HAPPENED = {412, 429, 472, 473, 501, 301, 302, 303, 307, 308}


def family(root: type[BaseException]) -> Iterator[type[BaseException]]:
    """Yield a class and all that is derived from it."""
    yield root
    for child in root.__subclasses__():
        yield from family(child)


def of(module: object) -> set[type[BaseException]]:
    """List the exceptions of a module."""
    return {
        kind
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, Exception) and not issubclass(kind, Warning) and not kind.__name__.startswith("_")
    }


def made(kind: type[BaseException]) -> BaseException:
    """Make an exception of any kind, without its constructor."""
    return kind.__new__(kind)


KINDS = {
    f"{kind.__module__}.{kind.__qualname__}": kind
    for kind in of(hvac.exceptions)
    | of(requests.exceptions)
    | of(urllib3.exceptions)
    | of(socket)
    | of(ssl)
    | of(http.client)
}


@pytest.mark.parametrize("name", sorted(KINDS))
@pytest.mark.parametrize("sent", [True, False])
def test_every_exception_of_the_libraries_is_caught_and_told(name: str, sent: bool) -> None:  # noqa: FBT001 - a parameter
    """Sent or not is what decides; of the exception its kind is told at most."""
    kind = KINDS[name]
    assert any(issubclass(kind, known) for known in (*FOREIGN, ValueError))
    error = made(kind)
    error.args = ("hvs.the-token-itself",)
    met = WIRE.silence(error, sent=sent)
    assert met.sent is sent
    assert met.hint
    assert "hvs" not in met.why + met.hint
    assert type(silence(WRITE, met)) is (OutcomeUnknownError if sent else UnavailableError)
    assert type(silence(READ, met)) is UnavailableError


@pytest.mark.parametrize("status", [*range(201, 204), *range(300, 600), 600, 999])
@pytest.mark.parametrize("said", ["", "something"])
def test_every_status_is_told(status: int, said: str) -> None:
    """A read has never changed anything; of a write it is known only where the server itself says so."""
    read, write = (refusal(call, Answer(status, said=said)) for call in (READ, WRITE))
    assert isinstance(read, UnavailableError | RefusedError)
    if 400 <= status < 500 and status not in NOTHING_HAPPENED:
        assert isinstance(write, RefusedError)
    elif status in NOTHING_HAPPENED:
        assert type(write) is UnavailableError
    else:
        assert type(write) is OutcomeUnknownError


@pytest.mark.parametrize(
    ("answer", "kind", "message", "hint"),
    [
        (
            Answer(400, said="check-and-set parameter did not match the current version"),
            ConflictError,
            "it was changed by somebody else",
            "",
        ),
        (
            Answer(400, said="check-and-set parameter required for this call"),
            RefusedError,
            "it takes no write without check-and-set",
            "set kv_version: 2, which always sends it",
        ),
        (
            Answer(404, {"warnings": ["Invalid path for a versioned K/V secrets engine."]}),
            RefusedError,
            "the mount is KV version 2",
            "set kv_version: 2",
        ),
        (
            Answer(404, said="no handler for route 'x'. route entry not found."),
            NotFoundError,
            "nothing is mounted there",
            MOUNT,
        ),
        (Answer(404, said="1 error occurred: * unsupported path"), NotFoundError, "nothing is mounted there", MOUNT),
        (Answer(404, said="namespace not found"), NotFoundError, "the namespace does not exist", "correct `namespace`"),
        (
            Answer(405, said="unsupported operation"),
            RefusedError,
            "status 405, unsupported operation",
            "the mount is no KV secrets engine; correct `mount`",
        ),
        (
            Answer(412, said="required index state not present"),
            UnavailableError,
            "the node lags behind the active one",
            "run again",
        ),
        (Answer(413), RefusedError, "the record is larger than Vault takes", "remove foreign keys from it"),
        (
            Answer(503, said="namespace is sealed"),
            UnavailableError,
            "it is sealed",
            "unseal it: bao operator unseal, or vault operator unseal",
        ),
        (
            Answer(503, said="API access to this namespace has been locked by an administrator"),
            UnavailableError,
            "the namespace is locked",
            "unlock it: bao namespace unlock, or vault namespace unlock",
        ),
        (
            Answer(400, said="Waiting for the primary to upgrade from non-versioned to versioned data."),
            UnavailableError,
            "the mount is still being made",
            "wait a moment, then run again",
        ),
        (Answer(503, said="node is not active"), UnavailableError, LEADERLESS, ELECT),
        (
            Answer(500, said="local node not active but active cluster node not found"),
            UnavailableError,
            LEADERLESS,
            ELECT,
        ),
        (
            Answer(503, said="no available server"),
            OutcomeUnknownError,
            "status 503, no available server",
            "it may have taken effect: look before repeating",
        ),
    ],
)
def test_what_a_server_says_decides(answer: Answer, kind: type[RotatorError], message: str, hint: str) -> None:
    """Each sentence that we know has a meaning."""
    error = refusal(WRITE, answer)
    assert type(error) is kind
    assert error.message == f"cannot write secret/ci at https://vault: {message}"
    assert error.hint == hint


def test_a_login_never_has_an_unknown_outcome() -> None:
    """It changes no record; and the server's words stay with the server."""
    call = Call("log in by approle (auth/approle)", "https://vault")
    for status in (*range(300, 600), 999):
        error = login_refused(call, Answer(status, said='invalid secret_id "s3cr3t-id"'), "check it")
        assert isinstance(error, UnavailableError | UnauthenticatedError)
        assert "s3cr3t-id" not in error.message + error.hint
    assert login_refused(call, Answer(503, said="Vault is sealed"), "").message.endswith(": it is sealed")
    assert login_refused(call, Answer(404), "").hint.startswith("correct `mount` or `namespace` of `auth`")


@pytest.mark.parametrize("status", [200, 429, 473, 403, 404, 500, 502])
def test_a_health_that_keeps_nobody_from_asking_is_good(status: int) -> None:
    """What is really wrong, the next request will say."""
    assert unwell(READ, Answer(status)) is None
    assert unwell(READ, Answer(503)) is None


def test_what_is_not_vaults_is_told_with_its_status() -> None:
    """A portal of the network answers everything with 200."""
    assert garbled(READ, Answer(200)).message == (
        "cannot read secret/ci at https://vault: the answer (status 200) is not one of Vault's"
    )


def test_headers_that_make_no_sense_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """urllib3 logs all that follows them, which may be the record; the filter outlives any configuration."""
    logger = logging.getLogger("urllib3.connection")
    with caplog.at_level(logging.DEBUG, logger=logger.name):
        logger.warning("Failed to parse headers (url=%s): %s", "https://vault", "unparsed data: the record")
        logger.warning("something else")
    assert caplog.messages == ["something else"]
