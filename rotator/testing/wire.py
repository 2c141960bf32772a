"""HTTP as pveproxy speaks it: reading a request, writing an answer.

Neither ``http.server`` nor ``h11`` is used: both trim header values, where PVE takes a trailing space for a part of the
secret; both insist on ASCII reason phrases, where PVE puts its message, in UTF-8; ``http.server`` writes head and body
apart, which costs a client with delayed acknowledgements 40 ms; and PVE's odd refusals (a header that is too large is
left without an answer, chunked bodies are a 501) would have to be built around them anyway. What PVE accepts of HTTP
is small enough for this page.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from typing import NoReturn

from rotator.testing.exchange import Arrival
from rotator.testing.refusal import RefusalError

MAX_HEADER = 8 * 1024
MAX_BODY = 512 * 1024
_READ_AHEAD = 2 * MAX_BODY
"""Of a body that is too large anyway, so much is read, so that the refusal reaches the client."""

JSON = "application/json;charset=UTF-8"
_EMPTY_BODIES = frozenset({401, 595, 596})
_FIRST_ERROR = 400


class HeaderTooLargeError(Exception):
    """PVE leaves such a request without an answer."""


@dataclass(frozen=True, slots=True)
class Message:
    """One HTTP request. Header values are untouched but for the white space before them."""

    method: str
    target: str = field(repr=False)
    version: str
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(default=b"", repr=False)

    def header(self, name: str) -> str:
        """Return the first header of that name, or an empty text."""
        return next((value for key, value in self.headers if key.lower() == name), "")

    @property
    def is_chunked(self) -> bool:
        """Say whether the body comes in chunks, which PVE does not take."""
        return self.header("transfer-encoding").lower() == "chunked"

    @property
    def length(self) -> int:
        """Return how long the body is said to be."""
        said = self.header("content-length")
        return int(said) if said.isascii() and said.isdigit() else 0


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP answer. ``is_refused_login`` ones are delayed; ``close`` ends the connection."""

    status: int
    reason: str
    body: bytes = field(default=b"", repr=False)
    content_type: str = ""
    close: bool = True
    is_refused_login: bool = False
    location: str = ""
    arrival: Arrival = Arrival.WHOLE


def read_message(receive: Callable[[], bytes], rest: bytes) -> tuple[Message, bytes] | None:
    """Read one request. ``rest`` is what was read before; what follows the request comes back with it.

    Returns None when the client has closed the connection. Raises: ``HeaderTooLargeError``.
    """
    while b"\r\n\r\n" not in rest:
        if len(rest) > MAX_HEADER:
            raise HeaderTooLargeError
        more = receive()
        if not more:
            return None
        rest += more
    raw, _, rest = rest.partition(b"\r\n\r\n")
    if len(raw) > MAX_HEADER:
        raise HeaderTooLargeError
    head = _parsed(raw.decode("utf-8", "replace"))
    wanted = 0 if head.is_chunked else min(head.length, _READ_AHEAD)
    chunks = [rest]
    missing = wanted - len(rest)
    while missing > 0:
        more = receive()
        if not more:
            return None
        chunks.append(more)
        missing -= len(more)
    rest = b"".join(chunks)
    return Message(head.method, head.target, head.version, head.headers, rest[:wanted]), rest[wanted:]


def _parsed(text: str) -> Message:
    first, *lines = text.lstrip("\r\n").split("\r\n")
    method, _, target = first.partition(" ")
    target, _, version = target.rpartition(" ")
    pairs = (line.partition(":") for line in lines)
    return Message(method, target, version, tuple((name, value.lstrip(" \t")) for name, _, value in pairs))


def written(reply: Reply, now: float, *, close: bool = True) -> bytes:
    """Write an answer as one piece, so that it is sent as one; only the first line of the reason goes out."""
    date = formatdate(now, usegmt=True)
    headers = [
        ("Cache-Control", "max-age=0"),
        ("Connection", "close" if close else "Keep-Alive"),
        ("Date", date),
        ("Pragma", "no-cache"),
        ("Server", "pve-api-daemon/3.0"),
        ("Content-Length", str(len(reply.body))),
        *([("Content-Type", reply.content_type)] if reply.content_type else []),
        *([("Location", reply.location)] if reply.location else []),
        ("Expires", date),
    ]
    lines = [f"HTTP/1.1 {reply.status} {first_line(reply.reason)}", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join([*lines, "", ""]).encode() + reply.body


def first_line(text: str) -> str:
    """Return a message up to its first line break."""
    return text.replace("\r", "\n").partition("\n")[0]


def in_text(status: int, message: str) -> Reply:
    """Answer as PVE does outside of its API: the message as reason and as body, without a Content-Type."""
    return Reply(status, message, message.encode())


def in_json(data: object, *, close: bool) -> Reply:
    """Answer with a result."""
    return Reply(200, "OK", _dumped({"data": data}), JSON, close=close)


def in_extjs(data: object, *, close: bool) -> Reply:
    """Answer with a result in the dialect of PVE's own web page."""
    return Reply(200, "OK", _dumped({"data": data, "success": 1}), JSON, close=close)


def refused_in_json(refusal: RefusalError) -> Reply:
    """Answer with a refusal: message and, by parameter, errors."""
    body: dict[str, object] = {"data": None, "message": refusal.text, **_errors(refusal)}
    is_login = refusal.status == 401  # noqa: PLR2004 - Unauthorized
    return Reply(refusal.status, refusal.text, _dumped(body), JSON, is_refused_login=is_login)


def refused_in_extjs(refusal: RefusalError, *, close: bool) -> Reply:
    """Answer with a refusal in the dialect of PVE's own web page: a 200 that says ``success: 0`` (measured)."""
    status = str(refusal.status)
    body = {"data": None, "message": refusal.text, "status": status, "success": 0, **_errors(refusal)}
    return Reply(200, "OK", _dumped(body), JSON, close=close)


def made_up(status: int, reason: str) -> Reply:
    """Answer for a fault; 401, 595 and 596 have no body (measured)."""
    if status in _EMPTY_BODIES:
        return Reply(status, reason)
    message = {"message": f"{reason}\n"} if status >= _FIRST_ERROR else {}
    return Reply(status, reason, _dumped({"data": None, **message}), JSON)


def spoilt(reply: Reply, arrival: Arrival) -> Reply:
    """Turn an answer into what arrives of it; how it travels is the server's part."""
    if arrival is Arrival.GARBAGE:
        return Reply(200, "OK", b"<html><h1>It works!</h1></html>", "text/html")
    if arrival is Arrival.REDIRECTED:
        return Reply(302, "Found", b"", location="https://127.0.0.1:1/login")
    return replace(reply, close=True, arrival=arrival)


def refused_in_plain() -> bytes:
    """Answer a TLS handshake as a server does that speaks HTTP alone."""
    return b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


def moved(message: Message) -> bytes:
    """Send plain HTTP on the TLS port to HTTPS; PVE says nothing of the connection there, and closes it (measured)."""
    text = "Moved Permanently"
    location = f"https://{message.header('host')}{message.target}"
    return f"HTTP/1.1 301 {text}\r\nLocation: {location}\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode()


def json_body(body: bytes) -> Mapping[str, object]:
    """Read a JSON object, or complain as Perl's parser does. Raises: ``RefusalError``."""
    text = body.decode("utf-8", "replace")
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        _complain(text, error.pos)
    if not isinstance(value, dict):
        raise RefusalError(500, "Not a HASH reference\n")
    return value


def _complain(text: str, position: int) -> NoReturn:
    near = text[position : position + 20] or "(end of string)"
    raise RefusalError(500, f'malformed JSON string, at character offset {position} (before "{near}")\n') from None


def _errors(refusal: RefusalError) -> dict[str, object]:
    return {"errors": refusal.errors} if refusal.errors else {}


def _dumped(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
