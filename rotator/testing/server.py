"""The TLS server of one simulated node: a thread per connection, with the habits of pveproxy.

Threads and sockets of the standard library: requests are few and blocking is simple. See ``wire`` for why no HTTP
library is used.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from enum import StrEnum
from threading import Event, Lock, Thread, current_thread

from rotator.testing.exchange import Arrival
from rotator.testing.wire import HeaderTooLargeError, Message, Reply, moved, read_message, refused_in_plain, written

_TLS_HANDSHAKE = b"\x16"
_REQUESTS_PER_CONNECTION = 100
_CHUNK = 65536
_LINGER = 0.5
"""Seconds in which the rest of an unread request is swallowed, so that the refusal is not lost to a reset."""

_DRIP = 0.02
"""Seconds between two bytes of an answer that drips."""

Handler = Callable[[Message], Reply | None]
"""Answers a request; None hangs up without an answer."""


class Front(StrEnum):
    """Who answers at a node's address."""

    ITSELF = "itself"
    STRANGER = "stranger"
    """The same, with a certificate that no trusted authority has issued."""
    PLAIN = "plain"
    """Somebody who speaks HTTP without TLS."""
    RESET = "reset"
    """Nobody: connections are reset before the handshake."""


class NodeServer:
    """Listens on one loopback address, and refuses connections between ``refuse`` and ``listen``, keeping its port.

    ``tls`` has a context for each front that speaks TLS.
    """

    def __init__(
        self,
        handler: Handler,
        tls: Mapping[Front, ssl.SSLContext],
        *,
        now: Callable[[], float],
        refuse: Callable[[], None],
        keep_alive: Callable[[], float],
        connecting: Callable[[], AbstractContextManager[None]],
        arrived: Callable[[], None],
    ) -> None:
        self._handler = handler
        self._tls = tls
        self._front = Front.ITSELF
        self._now = now
        self._refuse = refuse
        self._keep_alive = keep_alive
        self._connecting = connecting
        self._arrived = arrived
        self._reserved: socket.socket | None = None
        self._listener: socket.socket | None = None
        self._acceptor: Thread | None = None
        self._lock = Lock()
        self._open: dict[socket.socket, Thread] = {}
        self._closing = Event()

    def start(self, host: str, port: int) -> tuple[str, int]:
        """Take the address and listen; return it. Port 0 takes a free one."""
        self._reserved = _bound(host, port)
        address: tuple[str, int] = self._reserved.getsockname()[:2]
        self.listen()
        return address

    def listen(self) -> None:
        """Accept connections (again). Repeat: nothing happens."""
        if self._reserved is None or self._listener is not None:
            return
        self._closing.clear()
        self._listener = _bound(*self._reserved.getsockname()[:2])
        self._listener.listen(128)
        self._acceptor = Thread(target=self._accept, args=(self._listener,), name="simulated-pve", daemon=True)
        self._acceptor.start()

    def turn(self, front: Front) -> None:
        """Let somebody answer from the next connection on; idle ones end. A request under way is still answered."""
        self._front = front
        with self._lock:
            idle = [link for link, thread in self._open.items() if thread is not current_thread()]
        for link in idle:
            _cut(link)

    def refuse(self) -> None:
        """Cut all connections and refuse new ones, as a machine that is down. Repeat: nothing happens.

        A request from within which this is called is still answered.
        """
        if self._listener is None or self._acceptor is None:
            return
        self._closing.set()
        _cut(self._listener)
        self._acceptor.join()
        self._listener.close()
        self._listener = None
        with self._lock:
            others = [(link, thread) for link, thread in self._open.items() if thread is not current_thread()]
        for link, _ in others:
            _cut(link)
        for _, thread in others:
            thread.join()

    def close(self) -> None:
        """Stop, give the port back and leave no thread behind. Repeat: nothing happens."""
        self.refuse()
        if self._reserved is not None:
            self._reserved.close()
            self._reserved = None

    def _accept(self, listener: socket.socket) -> None:
        while not self._closing.is_set():
            try:
                link, _ = listener.accept()
            except OSError:
                return
            thread = Thread(target=self._serve, args=(link,), name="simulated-pve", daemon=True)
            with self._lock:
                self._open[link] = thread
            thread.start()

    def _serve(self, link: socket.socket) -> None:
        with contextlib.suppress(OSError, HeaderTooLargeError), contextlib.closing(link):
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            link.settimeout(self._keep_alive())
            self._converse(link)
        with self._lock:
            self._open.pop(link, None)

    def _converse(self, link: socket.socket) -> None:
        front = self._front
        if front is Front.RESET:
            _reset(link)
            return
        if front is Front.PLAIN:
            link.recv(_CHUNK)
            link.sendall(refused_in_plain())
            return
        if link.recv(1, socket.MSG_PEEK) != _TLS_HANDSHAKE:
            self._redirect(link)
            return
        with self._tls[front].wrap_socket(link, server_side=True, do_handshake_on_connect=False) as secure:
            with self._lock:
                self._open[secure] = self._open.pop(link)
            try:
                self._answer_all(secure, front)
            except HeaderTooLargeError:
                self._closing.wait(self._keep_alive())
            finally:
                with self._lock:
                    self._open.pop(secure, None)

    def _redirect(self, link: socket.socket) -> None:
        found = read_message(lambda: link.recv(_CHUNK), b"")
        if found:
            link.sendall(moved(found[0]))

    def _answer_all(self, link: ssl.SSLSocket, front: Front) -> None:
        rest = b""
        if not self._closing.is_set():  # otherwise nobody would wake us any more
            with self._connecting():
                link.do_handshake()
        for served in range(1, _REQUESTS_PER_CONNECTION + 1):
            is_over = self._closing.is_set() or self._front is not front
            found = None if is_over else read_message(lambda: self._received(link), rest)
            if found is None:
                return
            message, rest = found
            reply = self._handler(message)
            if reply is None:
                return
            if reply.is_refused_login:
                self._refuse()
            is_last = reply.close or served == _REQUESTS_PER_CONNECTION or message.version != "HTTP/1.1"
            self._deliver(link, written(reply, self._now(), close=is_last), reply.arrival)
            if reply.arrival is not Arrival.WHOLE:
                return
            if is_last:
                self._say_goodbye(link, message)
                return

    def _received(self, link: ssl.SSLSocket) -> bytes:
        piece = link.recv(_CHUNK)
        self._arrived()
        return piece

    def _deliver(self, link: ssl.SSLSocket, raw: bytes, arrival: Arrival) -> None:
        """Send an answer, or as much of it as shall arrive."""
        match arrival:
            case Arrival.RESET:
                _reset(link)
            case Arrival.SILENT:
                self._outwait(link)
            case Arrival.CUT:
                link.sendall(raw[: len(raw) - 1 - len(raw.partition(b"\r\n\r\n")[2]) // 2])
            case Arrival.DRIPPING:
                for at in range(len(raw)):
                    link.sendall(raw[at : at + 1])
                    if self._closing.wait(_DRIP):
                        return
            case _:
                link.sendall(raw)

    def _outwait(self, link: ssl.SSLSocket) -> None:
        """Say nothing until the client has left, or the server is closed."""
        link.settimeout(None)
        with contextlib.suppress(OSError):
            link.recv(1)

    def _say_goodbye(self, link: ssl.SSLSocket, message: Message) -> None:
        if message.is_chunked or message.length > len(message.body):
            link.settimeout(_LINGER)
            while link.recv(_CHUNK):
                pass
        link.settimeout(_LINGER)
        link.unwrap()


def _bound(host: str, port: int) -> socket.socket:
    """Bind a socket that may share its port with the one that keeps it reserved."""
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except (OSError, OverflowError):
        bound.close()
        raise
    return bound


def _reset(link: socket.socket) -> None:
    """Let the connection end with a reset when it is closed."""
    link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _cut(link: socket.socket) -> None:
    """Wake whoever waits on a socket; past ``SSLSocket``, whose own shutdown is not for another thread's use."""
    with contextlib.suppress(OSError):
        socket.socket.shutdown(link, socket.SHUT_RDWR)
