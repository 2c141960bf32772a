"""The live display: a line with a spinner for each credential at work, above it what it has done; drawn by rich."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from rotator.cli.progress import told
from rotator.events import Event, Listener, Outcome, Step
from rotator.printing import brief, printable

WIDEST = 110
"""Columns; beyond it the eye loses the line."""
LEAST_ROOM = 16
"""Columns; a token that is folded into fewer cannot be read."""

WORDS = {
    Step.OBSERVE: "look",
    Step.DECIDE: "decide",
    Step.PREFLIGHT: "check the store",
    Step.ISSUE: "issue a new token",
    Step.GRANT: "grant it a role",
    Step.VERIFY: "log in with it",
    Step.PUBLISH: "publish it",
    Step.CONFIRM: "read back, log in",
    Step.MIRROR: "copy to a mirror",
    Step.ANNOUNCE: "restart consumers",
    Step.MARK: "mark as published",
    Step.RETIRE: "let the old end",
    Step.REVOKE: "delete",
    Step.FENCE: "fence others off",
    Step.REGENERATE: "replace the secret",
    Step.RESTORE: "put the old back",
    Step.HOOK: "run a hook",
}
LONGEST_WORDS = max(map(len, WORDS.values()))
LONGEST_DURATION = len("999 ms")
MARKS = {
    Outcome.DONE: ("✓", "green"),
    Outcome.FAILED: ("✗", "bold red"),
    Outcome.UNKNOWN: ("?", "bold yellow"),
    Outcome.NOTHING: ("·", "dim"),
}
DECIDED = ("→", "cyan")
ASCII_MARKS = {"✓": "+", "✗": "x", "·": "-", "→": ">"}
LOUD = (Outcome.FAILED, Outcome.UNKNOWN)


@contextmanager
def live(stream: TextIO) -> Iterator[Listener]:
    """Draw on a terminal until the context ends; then the spinners are gone and the lines stay."""
    console = Console(file=stream, force_terminal=True, highlight=False, markup=False, emoji=False)
    board = Board(console)
    with Live(console=console, get_renderable=board.at_work, transient=True, redirect_stdout=False):
        yield board


class Board:
    """Knows who is at what, and prints what is over; a listener."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = Lock()
        self._now: dict[str, tuple[Event, Spinner]] = {}
        self._widest = 0

    def __call__(self, event: Event) -> None:
        """Take an event."""
        with self._lock:
            self._widest = max(self._widest, len(event.credential))
            if event.outcome is Outcome.STARTED:
                self._now[event.credential] = event, Spinner("line" if self._is_ascii else "dots", style="cyan")
                return
            self._now.pop(event.credential, None)
        self._console.print(self.finished(event), soft_wrap=False)

    @property
    def _is_ascii(self) -> bool:
        return not self._console.encoding.lower().startswith("utf")

    @property
    def _width(self) -> int:
        return min(self._console.width, WIDEST)

    def at_work(self) -> Group:
        """Draw the lines of those at work, always in the same order."""
        with self._lock:
            at_work = sorted(self._now.items())
        return Group(*(self._row(spinner, event, Text(style="dim")) for _, (event, spinner) in at_work))

    def finished(self, event: Event) -> Group:
        """Draw the line of a step that ended; a failure says in full what failed and what to do."""
        is_decision = event.step is Step.DECIDE and event.outcome is Outcome.DONE
        mark, style = DECIDED if is_decision else MARKS[event.outcome]
        drawn = Text(ASCII_MARKS.get(mark, mark) if self._is_ascii else mark, style=style)
        if event.outcome in LOUD:
            return Group(self._row(drawn, event, Text()), *self._reasons(event, style))
        about = Text(printable(told(event)), style="dim")
        return Group(self._row(drawn, event, about) if subject(event) else self._remark(drawn, event, about))

    def _reasons(self, event: Event, style: str) -> Iterator[Table]:
        for lead, text, its_style in (("", event.message, style), ("hint: ", event.hint, "")):
            if text:
                row = self._grid()
                row.add_column(width=3)
                row.add_column(ratio=1, overflow="fold")
                row.add_row("", Text.assemble((lead, "bold"), (printable(text), its_style)))
                yield row

    def _remark(self, mark: Text, event: Event, about: Text) -> Table:
        row = self._grid()
        row.add_column(width=1)
        row.add_column(min_width=self._widest, no_wrap=True)
        row.add_column(ratio=1, overflow="fold")
        row.add_row(mark, Text(event.credential, style="bold"), about)
        return row

    def _row(self, mark: Text | Spinner, event: Event, about: Text) -> Table | Group:
        room = self._width - self._widest - LONGEST_WORDS - LONGEST_DURATION - len("✓    ")
        parts = [part for part in (Text(subject(event)), about) if part]
        if room < LEAST_ROOM:
            return self._stacked(mark, event, parts)
        row = self._grid()
        row.add_column(width=1)
        row.add_column(min_width=self._widest, no_wrap=True)
        row.add_column(width=LONGEST_WORDS)
        row.add_column(ratio=1, overflow="fold")
        row.add_column(justify="right", width=LONGEST_DURATION, no_wrap=True)
        gap = Text("  " if len(subject(event)) + len(about) + 2 <= room else "\n")
        row.add_row(
            mark, Text(event.credential, style="bold"), WORDS[event.step], gap.join(parts), brief(event.duration)
        )
        return row

    def _stacked(self, mark: Text | Spinner, event: Event, parts: Sequence[Text]) -> Group:
        """Write below whose step it is what it was about, where there is no room beside it."""
        head, below = self._grid(), self._grid()
        for grid in head, below:
            grid.add_column(width=1)
            grid.add_column(ratio=1, overflow="fold")
        head.add_column(justify="right", width=LONGEST_DURATION, no_wrap=True)
        head.add_row(mark, Text(event.credential, style="bold"), brief(event.duration))
        below.add_row("", Text(" ").join([Text(WORDS[event.step]), *parts]))
        return Group(head, below)

    def _grid(self) -> Table:
        grid = Table.grid(padding=(0, 1), expand=True)
        grid.width = self._width
        return grid


def subject(event: Event) -> str:
    """Return what a step was about: where something was put, or else which token."""
    return printable(event.destination or event.token)
