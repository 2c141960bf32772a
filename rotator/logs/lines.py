"""Writing a log with structlog: text for people, JSON for machines. The only module that knows it.

structlog is not configured for the whole process: a log is an object, and ends with its context. The standard
library's loggers, which other libraries write to, get one handler for as long: it lets warnings and worse through, of
packages that are allowed to speak, and they go the same way. Loggers that could carry secrets were shut where their
library is used, by filters that no log-level opens.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, TextIO, cast

import structlog

from rotator import bugs
from rotator.events import Event
from rotator.logs.journal import with_priority
from rotator.logs.redaction import Redaction
from rotator.logs.rotations import Line, told
from rotator.printing import Sturdy, brief, printable

SPEAKERS = frozenset({"apscheduler", "cheroot", "py", "rotator", "rotator_backends", "urllib3"})
"""The packages whose warnings are written; ``py`` is Python's own."""
STEP = "step"
Fields = MutableMapping[str, Any]


class Level(StrEnum):
    """What is written: that, and what is graver."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Style:
    """How it is written."""

    as_json: bool
    level: Level = Level.INFO
    has_colors: bool = False
    is_journal: bool = False


class Log:
    """Writes lines; any thread may."""

    def __init__(self, stream: TextIO, style: Style, now: Callable[[], datetime]) -> None:
        self.style = style
        self.redaction = Redaction()
        self.speakers = SPEAKERS
        self._now = now
        self._logger = self._made(structlog.WriteLogger(cast("TextIO", Sturdy(stream))), style)
        self._at_once = self._made(Unlocked(stream), style)

    def tell(self, level: str, event: str, **fields: Any) -> None:  # noqa: ANN401 - whatever is to be told
        """Write a line: what happened in a word or two, and all about it. What is empty is left out."""
        getattr(self._logger, level)(event, **fields)

    def tell_at_once(self, event: str) -> None:
        """Write a line past all locks and buffers, for a signal handler: it may have interrupted who holds them."""
        self._at_once.warning(event)

    def put(self, line: Line) -> None:
        """Write a line of a rotation."""
        self.tell(line.level, line.event, **line.fields)

    def hear(self, event: Event) -> None:
        """Write a step down, at the level of details; a listener."""
        about = {"reason": event.reason, "rotation": event.rotation, "trigger": str(event.trigger or "")}
        fields = {**told(event), "token": event.token, "message": event.message, "hint": event.hint}
        self.tell("debug", STEP, credential=event.credential, cluster=event.cluster, **fields, **about)

    def caught(self, error: BaseException) -> None:
        """Write a bug down that was survived: its type and the way there, nothing of its words."""
        self.tell("error", bugs.named(error), exception=list(bugs.traced(error)))

    def _made(self, writer: object, style: Style) -> Any:  # noqa: ANN401 - a logger that is filtered by its level
        level = logging.getLevelNamesMapping()[style.level.upper()]
        wrapper = structlog.make_filtering_bound_logger(level)
        return structlog.wrap_logger(writer, list(self._processors(style)), wrapper_class=wrapper)

    def _processors(self, style: Style) -> Iterator[Callable[[Any, str, Fields], Any]]:
        yield self._prepared
        if style.as_json:
            yield _as_json
        else:
            yield _plain
            yield structlog.dev.ConsoleRenderer(colors=style.has_colors, sort_keys=False, pad_event_to=0)
        if style.is_journal:
            yield lambda _logger, level, text: with_priority(text, level)  # type: ignore[arg-type] # rendered

    def _prepared(self, _logger: object, level: str, fields: Fields) -> Fields:
        """Put time and level first, take secrets out, and leave out what is empty."""
        full = {key: value for key, value in fields.items() if value not in ("", None, [], ())}
        clean = self.redaction.fields(full)
        return {"timestamp": self._now().astimezone(UTC), "level": level, "event": clean.pop("event"), **clean}


class Unlocked:
    """Writes to the file behind a stream; a logger for structlog."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def warning(self, text: str) -> None:
        """Write a line."""
        try:
            os.write(self._stream.fileno(), f"{text}\n".encode(errors="replace"))
        except (OSError, ValueError):  # nobody reads any more
            return


class Foreign(logging.Handler):
    """Takes what libraries write with the standard library."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write it down, if its package may speak."""
        if record.name.partition(".")[0] not in self._log.speakers:
            return
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001 - arguments that do not go with their message
            message = str(record.msg)
        error = record.exc_info[1] if record.exc_info else None
        level = "error" if record.levelno >= logging.ERROR else "warning"
        self._log.tell(level, message, logger=record.name, exception=list(bugs.traced(error)) if error else None)


@contextmanager
def open_log(stream: TextIO, style: Style, now: Callable[[], datetime]) -> Iterator[Log]:
    """Write to a stream for as long as the context lasts, and what libraries have to say with it."""
    log = Log(stream, style, now)
    handler, root = Foreign(log), logging.getLogger()
    root.addHandler(handler)
    logging.captureWarnings(True)  # noqa: FBT003 - the standard library's
    try:
        yield log
    finally:
        logging.captureWarnings(False)  # noqa: FBT003 - the standard library's
        root.removeHandler(handler)


def _as_json(_logger: object, _level: str, fields: Fields) -> str:
    """Write one line of ASCII, which no terminal obeys."""
    return json.dumps(_bare(dict(fields))).replace("\x7f", "\\u007f")


def _bare(value: Any) -> Any:  # noqa: ANN401 - what redaction leaves
    """Write times and durations as JSON can have them: the latter in seconds."""
    match value:
        case datetime():
            return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        case timedelta():
            return round(value.total_seconds(), 3)
        case dict():
            return {key: _bare(inner) for key, inner in value.items()}
        case list():
            return [_bare(inner) for inner in value]
    return value


def _plain(_logger: object, _level: str, fields: Fields) -> Fields:
    """Write everything for people, each in one line, with nothing in it that a terminal would obey."""
    shown = dict(fields)
    if shown["event"] == STEP:
        shown["event"] = f"{shown.pop('credential')}  {shown.pop('step'):<10} {shown.pop('outcome')}"
    frames = shown.pop("exception") if isinstance(shown.get("exception"), list) else []
    spoken = {printable(key): printable(_spoken(value)) for key, value in shown.items()}
    plain = {key: value for key, value in spoken.items() if value}
    return plain | ({"exception": "\n".join(printable(frame) for frame in frames)} if frames else {})


def _spoken(value: Any) -> str:  # noqa: ANN401 - what redaction leaves
    match value:
        case datetime():
            return value.isoformat(timespec="seconds").replace("+00:00", "Z")
        case timedelta():
            return brief(value)
        case {"step": step, "outcome": outcome, "duration": duration}:
            return " ".join(filter(None, (step, "" if outcome == "done" else outcome, brief(duration))))
        case dict():
            return json.dumps(_bare(value))
        case list():
            return ", ".join(map(_spoken, value))
    return str(value)
