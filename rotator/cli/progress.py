"""What happens, while it happens: every step as a line, with a live display underneath on a terminal.

rich draws the live display (``progress_live``) and is imported for a terminal only: it takes longer to load than a
``rotate due`` with nothing to do takes to run. The plain lines are written here: one for each event, for pipes, files
and the logs of a CronJob; a logging set-up of its own would only be in the way of the one for the JSON log.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import TextIO, cast

from rotator.events import Event, Listener, Outcome
from rotator.printing import Sturdy, brief, printable


@contextmanager
def progress(stream: TextIO, *, is_terminal: bool, verbose: bool = False) -> Iterator[Listener]:
    """Show every event on the stream, for as long as the context lasts; the listener takes them from any thread.

    On a terminal there is a live line for each credential at work, and a line for each step that ended. Elsewhere
    each event is one line; that a step starts is told only with ``verbose``. Only the fields of an event are shown.
    Nothing is raised: a reader that has gone away (``rotate now --all | head``) must not end a rotation half way.
    """
    sturdy = cast("TextIO", Sturdy(stream))
    if not is_terminal or os.environ.get("TERM") == "dumb":
        yield Lines(sturdy, verbose=verbose)
        return
    from rotator.cli.progress_live import live  # noqa: PLC0415 - rich is for terminals only, see above

    with live(sturdy) as listener:
        yield listener


class Lines:
    """Writes a line for each event; a listener."""

    def __init__(self, stream: TextIO, *, verbose: bool) -> None:
        self._stream = stream
        self._verbose = verbose
        self._width = 0
        self._lock = Lock()

    def __call__(self, event: Event) -> None:
        """Write the line of an event, unless it only says that a step starts."""
        if event.outcome is Outcome.STARTED and not self._verbose:
            return
        with self._lock:
            self._width = max(self._width, len(event.credential))
            self._stream.write(line(event, self._width) + "\n")
            self._stream.flush()


def line(event: Event, width: int) -> str:
    """Put an event into one line: when, credential, step, outcome, duration, and what it was about."""
    hint = f"hint: {event.hint}" if event.hint else ""
    about = "  ".join(filter(None, (event.token, event.destination, told(event), hint)))
    start = f"{event.at:%H:%M:%S} {event.credential:<{width}}  {event.step:<10} {event.outcome:<7}"
    return printable(f"{start} {brief(event.duration):>7}  {about}").rstrip()


def told(event: Event) -> str:
    """Say what an event says; what was decided comes with its reason."""
    is_decision = not event.token and not event.destination and event.reason
    return f"{event.reason}: {event.message}" if is_decision else event.message
