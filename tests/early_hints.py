"""A proxy that announces an answer before there is one: what it says after that belongs to that question alone."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

CALLERS = 2
"""Connections that are taken; who hangs up after what comes before an answer makes a new one each time."""


@contextmanager
def announcing(answer: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """Serve plain HTTP on loopback: 103 to the first question of a connection, and then ``answer`` to each.

    Yields the port, and the first question of each connection. All of them must have come at the end.
    """
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for _ in range(CALLERS):
                with listener.accept()[0] as link:
                    asked.append(link.recv(65536))
                    link.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n")
                    while link.recv(65536):
                        link.sendall(answer)

        thread = Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1], asked
        thread.join(20)
