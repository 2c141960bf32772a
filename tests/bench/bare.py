"""What a rotation costs a program that does nothing: its connections, and its bytes.

As many TLS connections and exchanges as a rotation in a run with many has, on sockets, without a look at what comes.
Each exchange is the cheapest that the servers have. Nothing that changes PVE as we do takes less CPU in this language.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from tests.bench.lab import Lab

CHANGES, READS, STORED = 4, 4, 4
"""Of one rotation: each change is on a connection of its own, which PVE closes; the others are on kept ones."""
_AT_ONCE = 20
"""Rotations on one kept connection: PVE closes it after 100 requests."""


@contextmanager
def connected(address: str, context: ssl.SSLContext) -> Iterator[ssl.SSLSocket]:
    """Connect with TLS, and close."""
    parts = urlsplit(f"//{address}")
    with (
        socket.create_connection((parts.hostname, parts.port)) as plain,
        context.wrap_socket(plain, server_hostname=parts.hostname) as secure,
    ):
        yield secure


def exchanged(link: ssl.SSLSocket, request: bytes) -> None:
    """Send a request, and take what comes at once for the answer: these servers send it as one piece."""
    link.sendall(request)
    if not link.recv(65536).startswith(b"HTTP/1.1 200 "):
        raise AssertionError("a bare exchange was refused")


def rotate(lab: Lab, rotations: int) -> None:
    """Do so many, one after the other."""
    pve, store = lab.clusters[0], lab.store.told
    trust = ssl.create_default_context(cadata=pve["ca"])
    trust_store = ssl.create_default_context(cadata=store["ca"])
    ask = asked("/api2/json/version", f"Authorization: PVEAPIToken=operator@pve!bench={pve['secret']}")
    ask_store = asked("/v1/auth/token/lookup-self", f"X-Vault-Token: {store['token']}")
    where = store["address"].removeprefix("https://")
    with connected(where, trust_store) as kept_store:
        for _ in range(0, rotations, _AT_ONCE):
            with connected(pve["endpoint"], trust) as kept:
                for _ in range(_AT_ONCE):
                    one(pve["endpoint"], trust, kept, ask)
                    for _ in range(STORED):
                        exchanged(kept_store, ask_store)


def one(address: str, trust: ssl.SSLContext, kept: ssl.SSLSocket, ask: bytes) -> None:
    """Do what one rotation does at PVE."""
    for _ in range(CHANGES):
        with connected(address, trust) as fresh:
            exchanged(fresh, ask)
    for _ in range(READS):
        exchanged(kept, ask)


def asked(path: str, header: str) -> bytes:
    """Write a request."""
    return f"GET {path} HTTP/1.1\r\nHost: bench\r\n{header}\r\n\r\n".encode()
