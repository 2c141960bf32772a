"""The document as bytes, written anew only when something has changed, however many pages look at it.

Pages ask for it every few seconds and are answered "not modified" as long as nothing has. Not taken: server-sent
events, of which each would hold a thread of the server for as long as its page is open, and which proxies like to
buffer; a page that asks also sees by itself when nobody answers.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from threading import Lock

from rotator.clock import Clock
from rotator.service import telling
from rotator.service.document import written
from rotator.service.standing import CredentialStanding, Standing
from rotator.service.web import JSON, Answer, Asked

REST = 2.0
"""Seconds for which what was written is good: in the middle of a large round everything changes all the time."""
PRESSURE = 5
"""How hard gzip tries: 10,000 credentials take it 0.1 s, and not twice that for a tenth less."""
GZIP = "gzip"
WITH_HEAD = 16
"""What zlib wants to be told for what gzip writes."""


@dataclass(frozen=True, slots=True)
class Printed:
    """A standing, written."""

    of: Standing
    at: float
    pressed: bytes
    etag: str


class Sheet:
    """Answers with the newest standing. Any thread may ask."""

    def __init__(
        self,
        standing: Callable[[], Standing],
        clock: Clock,
        *,
        offers_rotation: bool = False,
        needs_token: bool = False,
    ) -> None:
        self._standing = standing
        self._clock = clock
        self._offers_rotation = offers_rotation
        self._needs_token = needs_token
        self._lines: dict[str, tuple[CredentialStanding, str, str]] = {}
        self._printed: Printed | None = None
        self._lock = Lock()

    def answer(self, asked: Asked) -> Answer:
        """Answer, with nothing where nothing has changed."""
        printed = self._current()
        about = (("ETag", printed.etag), ("Vary", "Accept-Encoding"))
        if printed.etag in [it.strip() for it in asked.header("If-None-Match").split(",")]:
            return Answer(HTTPStatus.NOT_MODIFIED, headers=about)
        if not takes_gzip(asked.header("Accept-Encoding")):
            return Answer(HTTPStatus.OK, gzip.decompress(printed.pressed), JSON, about)
        return Answer(HTTPStatus.OK, printed.pressed, JSON, (*about, ("Content-Encoding", GZIP)))

    def _current(self) -> Printed:
        with self._lock:
            printed, standing, now = self._printed, self._standing(), self._clock.monotonic()
            if printed is None or (printed.of is not standing and now - printed.at >= REST):
                printed = self._printed = Printed(standing, now, *packed(self._written(standing)))
            return printed

    def lines(self, standing: Standing) -> Mapping[str, str]:
        """Write each credential as it stands, by its name; what has not changed is kept."""
        self._lines = {name: self._line(standing, it) for name, it in standing.credentials.items()}
        return {name: line for name, (_, _, line) in self._lines.items()}

    def _written(self, standing: Standing) -> Iterator[bytes]:
        head = telling.document(standing, offers_rotation=self._offers_rotation, needs_token=self._needs_token)
        return written(head, self.lines(standing).values())

    def _line(self, standing: Standing, it: CredentialStanding) -> tuple[CredentialStanding, str, str]:
        working = str(standing.at_work.get(it.name, ""))
        kept = self._lines.get(it.name)
        if kept and kept[0] is it and kept[1] == working:
            return kept
        return it, working, telling.line(it, working)


def packed(pieces: Iterable[bytes]) -> tuple[bytes, str]:
    """Press a document together as it is written, which is never there as a whole; returns its ``ETag``, too."""
    digest, press, pressed = sha256(), zlib.compressobj(PRESSURE, wbits=zlib.MAX_WBITS | WITH_HEAD), bytearray()
    for piece in pieces:
        digest.update(piece)
        pressed += press.compress(piece)
    return bytes(pressed + press.flush()), f'W/"{digest.hexdigest()[:32]}"'


def takes_gzip(header: str) -> bool:
    """Say whether an ``Accept-Encoding`` header allows gzip."""
    offers = (it.replace(" ", "").partition(";") for it in header.lower().split(","))
    return any(coding in {GZIP, "*"} and not quality.rstrip("0.").endswith("q=") for coding, _, quality in offers)
