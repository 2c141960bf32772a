"""A simulated cluster with an operator, and servers that misbehave: what the adapter is tried on, over real TLS."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Self

import trustme

from rotator.model import Secret, Token, TokenId
from rotator.proxmox import ProxmoxCluster, TlsTrust
from rotator.proxmox_tls import fingerprint_of
from rotator.testing.pve import SimulatedPve

CI = TokenId("svc@pve", "ci-1-abcde")
SHORT = timedelta(seconds=0.8)
LONG = timedelta(seconds=20)


@dataclass
class Lab:
    """Two nodes; ``op@pve!rot`` may do everything, ``manager@pve!rot`` manages the tokens of svc@pve and no more."""

    pve: SimulatedPve
    operator: Token
    manager: Token
    made: list[ProxmoxCluster] = field(default_factory=list)

    @property
    def addresses(self) -> list[str]:
        """List the endpoints of all nodes."""
        return [node.endpoint for node in self.pve.nodes]

    def cluster(self, endpoints: Sequence[str] | None = None, **changes: Any) -> ProxmoxCluster:  # noqa: ANN401 - any argument of the adapter
        """Make an adapter for it, closed at the end of the test."""
        settings = {"login": lambda: self.operator, "trust": TlsTrust(fingerprint=self.pve.fingerprint), **changes}
        made = ProxmoxCluster("lab", endpoints or self.addresses, **settings)
        self.made.append(made)
        return made

    def asked(self) -> list[tuple[str, str, str]]:
        """List the calls that were answered: node, method, path."""
        return [(call.node, call.method, call.path) for call in self.pve.calls]


def build(pve: SimulatedPve) -> Lab:
    """Put users, groups and operators into a simulated cluster."""
    pve.add_group("rotated")
    pve.add_role("TokenRotator", ["User.Modify"])
    for user in ("op@pve", "manager@pve"):
        pve.add_user(user)
    pve.add_user("svc@pve", groups=["rotated"])
    pve.grant("/", "Administrator", user="op@pve")
    pve.grant("/access/groups/rotated", "TokenRotator", user="manager@pve")
    pve.grant("/vms", "PVEVMUser", user="svc@pve")
    return Lab(pve, add_token(pve, TokenId("op@pve", "rot")), add_token(pve, TokenId("manager@pve", "rot")))


def add_token(pve: SimulatedPve, token: TokenId, **settings: Any) -> Token:  # noqa: ANN401 - any argument of add_token
    """Make a token that may do what its user may, unless told otherwise."""
    secret = pve.add_token(token.userid, token.name, **{"privsep": False, **settings})
    return Token(token, Secret(secret))


Behaviour = Callable[["Rogue", Any], None]
"""What a server does with a connection whose handshake is done."""


class Rogue:
    """A server that does what it is told with each connection: with TLS or, with ``plain``, without.

    Threads and sockets of the standard library: an HTTP library would not send what is wrong.
    """

    def __init__(
        self,
        behave: Behaviour,
        *,
        plain: bool = False,
        highest: ssl.TLSVersion | None = None,
        address: tuple[str, int] = ("127.0.0.1", 0),
    ) -> None:
        self._behave = behave
        self._plain = plain
        leaf = trustme.CA().issue_cert("127.0.0.1")
        self.fingerprint = fingerprint_of(ssl.PEM_cert_to_DER_cert(leaf.cert_chain_pems[0].bytes().decode()))
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if highest is not None:
            self._tls.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
            self._tls.maximum_version = highest
            self._tls.set_ciphers("DEFAULT:@SECLEVEL=0")  # or OpenSSL speaks nothing old by itself
        leaf.configure_cert(self._tls)
        self._made: list[ProxmoxCluster] = []
        self.requests: list[bytes] = []
        self.connections = 0
        self.stopping = threading.Event()
        self._listener = socket.create_server(address)
        self.endpoint = "127.0.0.1:{1}".format(*self._listener.getsockname())
        self._threads = [threading.Thread(target=self._accept)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        for cluster in self._made:
            cluster.close()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while not self.stopping.is_set():
            try:
                link, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(link,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, link: socket.socket) -> None:
        link.settimeout(5)
        with contextlib.suppress(OSError), contextlib.closing(link):
            if self._plain:
                self._behave(self, link)
                return
            with self._tls.wrap_socket(link, server_side=True) as secure:
                self._behave(self, secure)

    def read(self, link: socket.socket) -> bytes:
        """Read one request, body and all; b"" when the client went away."""
        text = b""
        while b"\r\n\r\n" not in text:
            more = link.recv(65536)
            if not more:
                return b""
            text += more
        head, _, body = text.partition(b"\r\n\r\n")
        sizes = [
            int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")
        ]
        while sizes and len(body) < sizes[0]:
            body += link.recv(65536)
        self.requests.append(head + b"\r\n\r\n" + body)
        return self.requests[-1]

    def cluster(self, **changes: Any) -> ProxmoxCluster:  # noqa: ANN401 - any argument of the adapter
        """Make an adapter that takes this server for its cluster, closed with it."""
        operator = Token(TokenId("op@pve", "rot"), Secret("0" * 8))
        trust = TlsTrust(fingerprint=self.fingerprint)
        settings = {"login": lambda: operator, "trust": trust, "read_timeout": SHORT, **changes}
        self._made.append(ProxmoxCluster("lab", [self.endpoint], **settings))
        return self._made[-1]


def answer(body: bytes, *, status: str = "200 OK", headers: str = "") -> bytes:
    """Write an answer."""
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


def saying(raw: bytes) -> Behaviour:
    """Answer every request of every connection with these bytes, ``version`` properly."""

    def behave(rogue: Rogue, link: socket.socket) -> None:
        while request := rogue.read(link):
            link.sendall(answer(b'{"data":{}}') if b"/version " in request else raw)
            if not raw.startswith(b"HTTP/1.1 200") or raw.endswith(b"<cut>"):
                return

    return behave


def resetting(rogue: Rogue, link: socket.socket) -> None:
    """Read a request and reset the connection; ``version`` is answered."""
    while b"/version " in rogue.read(link):
        link.sendall(answer(b'{"data":{}}'))
    link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def silent(rogue: Rogue, link: socket.socket) -> None:
    """Read a request and never answer; ``version`` is answered."""
    while b"/version " in rogue.read(link):
        link.sendall(answer(b'{"data":{}}'))
    rogue.stopping.wait(5)


def dripping(rogue: Rogue, link: socket.socket) -> None:
    """Answer one byte at a time, for as long as the client listens; ``version`` is answered."""
    while b"/version " in rogue.read(link):
        link.sendall(answer(b'{"data":{}}'))
    link.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while not rogue.stopping.wait(0.02):
        link.sendall(b" ")


def dripping_headers(rogue: Rogue, link: socket.socket) -> None:
    """Send a header that never ends, one byte at a time."""
    rogue.read(link)
    link.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
    while not rogue.stopping.wait(0.02):
        link.sendall(b"x")


def mute(rogue: Rogue, link: socket.socket) -> None:
    """Take the connection and say nothing at all."""
    del link
    rogue.stopping.wait(5)
