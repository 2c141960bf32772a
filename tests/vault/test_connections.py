"""Connections that do not come about, break, or lead to somebody else: what was sent by then, and what is told."""

from __future__ import annotations

import http.client
import itertools
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import trustme

from rotator.errors import (
    ConfigError,
    OutcomeUnknownError,
    RefusedError,
    UnavailableError,
)
from rotator.testing.vault import (
    HangUpAfter,
    VaultRequest,
)
from rotator_backends.vault import VaultBackend
from rotator_backends.vault_answers import Answer
from rotator_backends.vault_settings import backend_settings
from rotator_backends.vault_wire import MOMENT, Wire
from tests.vault.failing import LOOK, PLACE, SHORT, UNKNOWN, failing, of_writes, read, write
from tests.vault.lab import RECORD, Simulated, simulated


def test_nobody_listens(sim: Simulated) -> None:
    """Nothing was sent, so a write did not happen."""
    backend = sim.backend()
    backend.read(PLACE)
    version = backend.write(PLACE, RECORD, expected=None)
    sim.server.close()
    expected = f"cannot read secret/ci at {sim.address}: connection refused", LOOK
    assert failing(read(backend), by=UnavailableError) == expected
    attempt = lambda: backend.write(PLACE, RECORD, expected=version)  # noqa: E731 - as the others
    assert failing(attempt, by=UnavailableError) == expected


def test_nobody_listens_any_more_when_it_comes_to_the_write(sim: Simulated) -> None:
    """A write goes out on a fresh connection when the last answer is old: refused, it did not happen, that is known."""
    backend = sim.backend(clock=itertools.count(0.0, 2 * MOMENT).__next__)
    backend.read(PLACE)

    def stop_before_the_write(request: VaultRequest) -> None:
        if request.path == "secret/data/ci":
            sim.server.refuse_connections()

    sim.server.intercept = stop_before_the_write
    expected = f"cannot write secret/ci at {sim.address}: connection refused", LOOK
    assert failing(write(backend), by=UnavailableError) == expected


def test_a_name_that_does_not_resolve(sim: Simulated) -> None:
    """The domain ``invalid`` never does (RFC 6761)."""
    backend = sim.backend(address="https://vault.invalid:8200")
    assert failing(read(backend), by=UnavailableError) == (
        "cannot read secret/ci at https://vault.invalid:8200: the name does not resolve",
        "correct `address`, or look at DNS",
    )


def test_a_certificate_that_is_not_trusted(sim: Simulated) -> None:
    """Nothing is sent to whoever shows it."""
    other = sim.folder / "other.pem"
    other.write_bytes(trustme.CA().cert_pem.bytes())
    message, hint = failing(read(sim.backend(ca=str(other))), by=UnavailableError)
    start = f"cannot read secret/ci at {sim.address}: its certificate is not trusted: "
    assert message.startswith(start)
    assert hint == "set `ca` to the PEM file of the authority that issued it"
    assert sim.server.calls == []


def test_without_an_authority_the_systems_count(sim: Simulated, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not one that the environment names: neither for Vault nor for Python's libraries."""
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "VAULT_CACERT", "BAO_CACERT"):
        monkeypatch.setenv(variable, str(sim.ca))
    settings = {key: value for key, value in sim.settings().items() if key != "ca"}
    assert "its certificate is not trusted" in failing(read(VaultBackend.configure(settings)), by=UnavailableError)[0]


def test_the_systems_authorities_are_those_of_openssl(sim: Simulated, monkeypatch: pytest.MonkeyPatch) -> None:
    """One's own authority that was added to the system counts, as for curl; libraries bring lists of their own."""
    monkeypatch.setenv("SSL_CERT_FILE", str(sim.ca))
    backend = VaultBackend.configure({key: value for key, value in sim.settings().items() if key != "ca"})
    assert write(backend)()
    backend.close()


def test_another_authority_is_taken_up_without_a_restart(sim: Simulated) -> None:
    """Its file is looked at again, as with a certificate that is renewed each day."""
    ca = sim.folder / "authority.pem"
    ca.write_bytes(trustme.CA().cert_pem.bytes())
    backend = sim.backend(ca=str(ca))
    assert "its certificate is not trusted" in failing(read(backend), by=UnavailableError)[0]
    ca.write_bytes(sim.server.ca_pem)
    assert backend.read(PLACE) is None
    ca.write_bytes(trustme.CA().cert_pem.bytes())
    assert "its certificate is not trusted" in failing(read(backend), by=UnavailableError)[0]


@pytest.mark.parametrize("setting", ["ca", "client_cert"])
def test_a_file_that_is_no_certificate_is_named(sim: Simulated, setting: str) -> None:
    """Whatever it holds instead, it is not quoted."""
    path = sim.folder / "notes.pem"
    path.write_text("do not forget the milk\n")
    there: dict[str, Any] = {setting: str(path)}
    message, hint = failing(read(sim.backend(**there)), by=ConfigError)
    assert message.startswith(f"{setting}: {path} cannot be used: ")
    assert "milk" not in message
    assert hint == "is it PEM, and does the key belong to it?"


def test_the_name_in_the_certificate_counts(sim: Simulated) -> None:
    """A trusted authority is not enough."""
    address = sim.address.replace("127.0.0.1", "127.1")
    assert "certificate is not trusted" in failing(read(sim.backend(address=address)), by=UnavailableError)[0]


@pytest.mark.parametrize("setting", ["ca", "client_cert", "client_key"])
def test_a_file_of_the_connection_that_is_not_there(sim: Simulated, setting: str) -> None:
    """It is told by its setting."""
    there: dict[str, Any] = {"client_cert": str(sim.ca), setting: "/nowhere/to.pem"}
    message, hint = failing(read(sim.backend(**there)), by=ConfigError)
    assert message == f"{setting}: /nowhere/to.pem cannot be read: No such file or directory"
    assert hint == "check the path and who may read it"


def test_a_key_with_a_password_does_not_ask_for_it(sim: Simulated) -> None:
    """The terminal may be nobody's."""
    key = sim.folder / "key.pem"
    key.write_text("-----BEGIN ENCRYPTED PRIVATE " + "KEY-----\n")
    message, hint = failing(read(sim.backend(client_cert=str(sim.ca), client_key=str(key))), by=ConfigError)
    assert message == f"client_key: the key in {key} is encrypted"
    assert hint == "give one without a password"


def test_plain_http_on_this_machine_works(tmp_path: Path) -> None:
    """An agent beside us needs no TLS."""
    with simulated(tmp_path, tls=False) as sim:
        backend = sim.backend()
        assert write(backend)()
        sim.server.intercept = of_writes(HangUpAfter())
        attempt = lambda: backend.write(PLACE, RECORD, expected=backend.read(PLACE).version)  # type: ignore[union-attr] # noqa: E731 - as the others
        failing(attempt, by=OutcomeUnknownError)


@contextmanager
def listening(behave: Callable[[socket.socket], None]) -> Iterator[str]:
    """Listen, and do as told with each connection; returns where."""
    listener = socket.create_server(("127.0.0.1", 0))
    links: list[socket.socket] = []

    def serve() -> None:
        while True:
            try:
                link, _ = listener.accept()
            except OSError:
                return
            links.append(link)
            behave(link)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield "127.0.0.1:{1}".format(*listener.getsockname())
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for link in links:
            link.close()
        thread.join()


def settings(address: str, tmp_path: Path) -> dict[str, Any]:
    """Return settings for what is no Vault."""
    token = tmp_path / "token"
    token.touch(mode=0o600)
    token.write_text("a-token")
    return {"address": address, "timeout": SHORT, "auth": {"token": {"file": str(token)}}}


READING = "cannot read secret/ci at"


def test_a_handshake_that_hangs_has_sent_nothing(tmp_path: Path) -> None:
    """For requests it is the same error as a time-out after sending; for us it is not."""
    with listening(lambda _: None) as address:
        backend = VaultBackend.configure(settings(f"https://{address}", tmp_path))
        expected = f"{READING} https://{address}: no answer within {SHORT:g} s", LOOK
        assert failing(read(backend), by=UnavailableError) == expected
        assert backend._wire.ask(lambda client: client.adapter.post("/v1/x"), token=None, changing=True).sent is False  # type: ignore[union-attr] # noqa: SLF001 - what decides
        backend.close()


def test_what_speaks_no_tls_is_told(tmp_path: Path) -> None:
    """It is another service, or the address lacks its s."""
    with listening(lambda link: link.sendall(b"220 smtp.example ESMTP\r\n")) as address:
        backend = VaultBackend.configure(settings(f"https://{address}", tmp_path))
        expected = "the TLS handshake failed", "does it speak TLS there? does it want a client certificate?"
        message, hint = failing(read(backend), by=UnavailableError)
        assert (message, hint) == (f"{READING} https://{address}: {expected[0]}", expected[1])
        backend.close()


def replying(raw: bytes) -> Callable[[socket.socket], None]:
    """Answer whatever is asked with these bytes."""

    def behave(link: socket.socket) -> None:
        link.recv(65536)
        link.sendall(raw)
        link.close()

    return behave


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
            "the answer (status 200) is not one of Vault's",
        ),
        (
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n[]",
            "the answer (status 200) is not one of Vault's",
        ),
        (
            b"HTTP/1.1 403 No\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]",
            "permission denied",
        ),
        (
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 50\r\n\r\n{",
            "the connection broke (IncompleteRead)",
        ),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "the connection broke (BadStatusLine)"),
        (
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
            "the connection broke (DecodeError)",
        ),
    ],
)
def test_what_is_no_vault_is_no_empty_record(tmp_path: Path, raw: bytes, why: str) -> None:
    """Whatever answers, and however."""
    with listening(replying(raw)) as address:
        backend = VaultBackend.configure(settings(f"http://{address}", tmp_path))
        with pytest.raises((UnavailableError, RefusedError)) as caught:
            backend.read(PLACE)
        assert caught.value.message.endswith(why)
        backend.close()


def as_version_one(page: bytes) -> Callable[[socket.socket], None]:
    """Answer as a mount of KV version 1 without a record does, and to a write with a page."""

    def behave(link: socket.socket) -> None:
        asked = link.recv(65536)
        status, body = 404, b'{"errors": []}'
        if asked.startswith(b"PUT "):
            status, body = 200, page
        elif b"/ui/mounts/" in asked:
            status, body = 200, b'{"data": {"type": "kv", "options": {"version": "1"}}}'
        head = b"HTTP/1.1 %d Answer\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
        link.sendall(head % (status, len(body)) + body)
        link.close()

    return behave


@pytest.mark.parametrize("page", [b"<html>please log in", b'{"login": 1}'])
def test_a_page_of_a_proxy_is_no_write(tmp_path: Path, page: bytes) -> None:
    """KV version 1 says nothing of what it has written: only Vault's own answers mean that it is."""
    with listening(as_version_one(page)) as address:
        backend = VaultBackend.configure({**settings(f"http://{address}", tmp_path), "kv_version": 1})
        expected = f"cannot write secret/ci at http://{address}: the answer (status 200) is not one of Vault's"
        assert failing(write(backend), by=OutcomeUnknownError) == (expected, UNKNOWN)
        backend.close()


def test_an_answer_that_was_announced_is_never_that_of_another_question(tmp_path: Path) -> None:
    """What comes before an answer (1xx) is none; what comes after it on that connection belongs to nobody any more."""
    asked: list[bytes] = []

    def behave(link: socket.socket) -> None:
        asked.append(link.recv(65536))
        link.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n")
        if link.recv(65536):
            link.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    with listening(behave) as address:
        wire = Wire(backend_settings(settings(f"http://{address}", tmp_path)), lambda: 0.0)
        for _ in range(2):
            answer = wire.ask(lambda client: client.adapter.get("/v1/secret/data/ci"), token=None)
            assert isinstance(answer, Answer)
            assert (answer.status, answer.is_fine) == (103, False)
        assert len(asked) == 2
        wire.close()


def test_a_global_debug_level_prints_nothing(
    sim: Simulated, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Python's HTTP prints headers then, and the token is one."""
    monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 2)
    assert write(sim.backend())()
    assert "send: " not in capsys.readouterr().out


def test_a_write_goes_out_where_an_answer_came_a_moment_ago(sim: Simulated) -> None:
    """What was read before it has just proved that the connection is open; a handshake more proves nothing."""
    backend = sim.backend()
    version = None
    for _ in range(3):
        version = backend.write(PLACE, RECORD, expected=version)
    assert len({call.connection for call in sim.server.calls}) == 1


@pytest.mark.parametrize(("passed", "connections"), [(MOMENT, 1), (MOMENT + 0.01, 2)])
def test_a_write_never_goes_out_where_no_answer_came_for_a_while(
    sim: Simulated, passed: float, connections: int
) -> None:
    """The server may close a kept connection at the very moment."""
    now = [0.0]
    wire = Wire(backend_settings(sim.settings()), lambda: now[0])
    wire.ask(lambda client: client.adapter.get("/v1/sys/health"), token=None)
    now[0] += passed
    wire.ask(lambda client: client.adapter.post("/v1/secret/data/ci"), token=None, changing=True)
    assert len({call.connection for call in sim.server.calls}) == connections
    wire.close()


def test_a_first_write_connects_once(sim: Simulated) -> None:
    """A connection that has just come about is as good as one that brought an answer."""
    wire = Wire(backend_settings(sim.settings()), lambda: 0.0)
    wire.ask(lambda client: client.adapter.post("/v1/secret/data/ci"), token=None, changing=True)
    assert [call.connection for call in sim.server.calls] == [1]
    wire.close()


def test_what_only_asks_goes_out_wherever_a_connection_is_open(sim: Simulated) -> None:
    """It may be asked again."""
    backend = sim.backend(clock=itertools.count(0.0, 2 * MOMENT).__next__)
    for _ in range(3):
        backend.read(PLACE)
    assert len({call.connection for call in sim.server.calls}) == 1


def test_a_closed_backend_may_be_used_again(sim: Simulated) -> None:
    """It connects anew."""
    backend = sim.backend()
    backend.read(PLACE)
    backend.close()
    assert write(backend)()


def open_to(address: str) -> int:
    """Count our own connections to a server that are open, of all in this process."""
    port, found = int(address.rpartition(":")[2]), 0
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError), socket.socket(fileno=os.dup(int(entry.name))) as link:
            found += link.getpeername()[1] == port
    return found


def renewed(path: Path) -> None:
    """Put the same authority into another file of that name, as who renews certificates does."""
    path.write_bytes(path.read_bytes() + b"\n")


def test_who_has_asked_when_the_files_change_gets_the_answer(sim: Simulated) -> None:
    """Another thread meets the change and connects anew; what is under way is not cut off, and then let go of."""
    ca = sim.folder / "authority.pem"
    ca.write_bytes(sim.server.ca_pem)
    backend = sim.backend(ca=str(ca))
    version = backend.write(PLACE, RECORD, expected=None)

    def change_it(request: VaultRequest) -> None:
        if of_writes(HangUpAfter())(request):
            sim.server.intercept = None
            renewed(ca)
            assert backend.read(PLACE) is not None

    sim.server.intercept = change_it
    assert backend.write(PLACE, RECORD, expected=version) != version
    assert len({call.connection for call in sim.server.calls}) == 2
    assert open_to(sim.address) == 1
    backend.close()
    assert open_to(sim.address) == 0


@pytest.mark.parametrize("ended", ["renewed", "closed"])
def test_who_is_about_to_ask_when_connections_are_let_go_of_does_ask(sim: Simulated, ended: str) -> None:
    """Between having a session and asking on it anything may come; a write goes out, once, and nothing stays open."""
    ca = sim.folder / "authority.pem"
    ca.write_bytes(sim.server.ca_pem)
    wire = Wire(backend_settings(sim.settings(ca=str(ca))), lambda: 0.0)
    wire.ask(lambda client: client.adapter.get("/v1/sys/health"), token=None)

    def let_go() -> None:
        renewed(ca)
        wire.ask(lambda client: client.adapter.get("/v1/sys/health"), token=None)
        if ended == "closed":
            wire.close()

    def about_to_ask(client: Any) -> Any:  # noqa: ANN401 - hvac has no types
        other = threading.Thread(target=let_go)
        other.start()
        other.join()
        return client.adapter.post("/v1/secret/data/ci")

    answer = wire.ask(about_to_ask, token=None, changing=True)
    assert isinstance(answer, Answer)
    assert [call.path for call in sim.server.calls] == ["sys/health", "sys/health", "secret/data/ci"]
    wire.close()
    assert open_to(sim.address) == 0
