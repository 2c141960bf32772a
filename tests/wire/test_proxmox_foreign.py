"""Every exception that the libraries below can raise has its translation, on both sides of sending."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from collections.abc import Iterator
from datetime import timedelta

import proxmoxer.core
import pytest

from rotator.errors import OutcomeUnknownError, RotatorError
from rotator.proxmox import TlsTrust
from rotator.proxmox_answer import LOGIN, Call, read, refusal
from rotator.proxmox_wire import FOREIGN, Endpoint, NotAnsweredError, NotConnectedError

READ = Call("lab", "pve1:8006", "GET", "/version", "the operator")
CHANGE = Call("lab", "pve1:8006", "POST", "/access/users/a@pve/token/x", "the operator")
ENDPOINT = Endpoint("127.0.0.1:9", TlsTrust(), connect=timedelta(seconds=0.1), read=timedelta(seconds=0.1))


def family(root: type[BaseException]) -> Iterator[type[BaseException]]:
    """Yield a class and all that is derived from it."""
    yield root
    for child in root.__subclasses__():
        yield from family(child)


def of(*modules: object) -> set[type[BaseException]]:
    """List the exceptions that modules define or pass on."""
    names = ((module, name) for module in modules for name in dir(module) if not name.startswith("_"))
    found = (getattr(module, name) for module, name in names)
    return {one for one in found if isinstance(one, type) and issubclass(one, Exception) and one is not Exception}


def made(kind: type[BaseException]) -> BaseException:
    """Make an exception of any kind, without its constructor."""
    return kind.__new__(kind)


BELOW = {
    kind
    for root in (http.client.HTTPException, ssl.SSLError, socket.gaierror, socket.herror, ConnectionError, TimeoutError)
    for kind in family(root)
    if not kind.__module__.startswith("rotator")
} | {OSError}
NAMES = {f"{kind.__module__}.{kind.__qualname__}": kind for kind in BELOW}


def test_what_sockets_tls_and_http_define_is_what_we_catch() -> None:
    """A new kind of error in the standard library, beside these two families, fails here."""
    assert {kind for kind in of(socket, ssl, http.client) if not issubclass(kind, FOREIGN)} == set()


@pytest.mark.parametrize("name", sorted(NAMES))
def test_each_has_a_translation_before_and_after_sending(name: str) -> None:
    """Before sending nothing happened; after it a change is unknown and a read unavailable."""
    error = made(NAMES[name])
    assert isinstance(error, Exception)
    unreached = ENDPOINT.unreached(error)
    assert isinstance(unreached, NotConnectedError)
    assert unreached.hint
    assert type(ENDPOINT.broken(error, CHANGE)) is OutcomeUnknownError
    assert type(ENDPOINT.broken(error, READ)) is NotAnsweredError


def test_what_proxmoxer_defines_is_known() -> None:
    """It raises ResourceException from a call, which is translated; the login that raises the other is not used."""
    assert of(proxmoxer.core) == {proxmoxer.core.ResourceException, proxmoxer.core.AuthenticationError}


@pytest.mark.parametrize("status", [*range(400, 600), 600, 999])
@pytest.mark.parametrize("call", [READ, CHANGE], ids=["read", "change"])
def test_every_status_has_a_translation(status: int, call: Call) -> None:
    """A read never has an unknown outcome, and what a server got wrong is never a refusal of a change."""
    error = refusal(call, status, "", {})
    assert isinstance(error, RotatorError)
    assert not (isinstance(error, OutcomeUnknownError) and call is READ)
    if call is CHANGE and status >= 500:
        certain = {501: "RefusedError", 595: "UnwellError"}
        assert type(error).__name__ == certain.get(status, "OutcomeUnknownError")


def test_a_login_is_no_change() -> None:
    """Nothing at PVE is different after a login that got no answer."""
    login = Call("lab", "pve1:8006", "POST", LOGIN, "admin@pve")
    assert type(ENDPOINT.broken(TimeoutError(), login)) is NotAnsweredError


def test_an_unreadable_body_leaves_no_trace_of_itself() -> None:
    """A parser's exception holds the text that it parsed, and a secret may be in it."""
    with pytest.raises(ValueError, match="not an answer") as caught:
        read('{"data": {"value": "cut')
    assert not isinstance(caught.value, json.JSONDecodeError)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)
