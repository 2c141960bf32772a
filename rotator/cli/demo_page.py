"""How the demo's story looks, on a terminal and in a pipe; rich wraps and colours."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from contextlib import nullcontext
from typing import TextIO, cast

from rich.console import Console
from rich.text import Text

from rotator.cli.demo_claims import Claim
from rotator.clock import Clock
from rotator.printing import Sturdy

WIDEST = 100
"""Columns; longer lines are hard to read."""
INDENT = "   "
TICK = 0.2
"""Seconds between two looks at what is waited for."""


class Page:
    """Where the story is told."""

    def __init__(self, stream: TextIO, *, is_terminal: bool) -> None:
        self.stream = stream
        self.is_terminal = is_terminal
        self._console = Console(
            file=cast("TextIO", Sturdy(stream)),
            force_terminal=is_terminal,
            highlight=False,
            markup=False,
            emoji=False,
        )
        self._console.width = min(self._console.width, WIDEST)
        self._is_ascii = not self._console.encoding.lower().startswith("utf")
        self._chapter = 0

    def title(self, text: str) -> None:
        """Begin."""
        self._console.print(Text(text, style="bold"))

    def chapter(self, heading: str, *, command: str = "") -> None:
        """Begin a chapter; ``command`` is what one would type for it."""
        self._chapter += 1
        tail = Text(f"   $ {command}" if command else "", style="cyan")
        self._console.print(Text(f"\n{self._chapter}. {heading}", style="bold underline"), tail, sep="")

    def say(self, text: str) -> None:
        """Say something, in one paragraph."""
        self._print(Text(), text)

    def quote(self, text: str) -> None:
        """Show a text as it is."""
        for line in text.splitlines():
            self._console.print(Text(f"{INDENT}  {line}", style="dim"), soft_wrap=True)

    def rows(self, rows: list[tuple[str, str]]) -> None:
        """List words with what they stand for."""
        longest = max(len(word) for word, _ in rows)
        for word, what in rows:
            self._print(Text(f"{word:<{longest}}  ", style="cyan"), what)

    def claim(self, claim: Claim) -> None:
        """Show whether a claim is true."""
        if claim.held:
            self._print(Text("+ " if self._is_ascii else "✓ ", style="green"), claim.message)
        else:
            mark = Text("x " if self._is_ascii else "✗ ", style="bold red")
            self._print(mark, f"not true ({claim.claim}): {claim.message}", style="bold red")

    def wait(self, clock: Clock, is_over: Callable[[], bool], told: Callable[[], str]) -> None:
        """Wait for something; on a terminal, say all the while how it goes."""
        with self._console.status(told()) if self.is_terminal else nullcontext() as status:
            while not is_over():
                clock.sleep(TICK)
                if status:
                    status.update(told())

    def _print(self, lead: Text, text: str, style: str = "") -> None:
        """Print a paragraph whose lines stand below its first word; nothing is put behind a line to fill it."""
        room = self._console.width - len(INDENT) - len(lead)
        first, *more = textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False)
        self._console.print(Text.assemble(INDENT, lead, (first, style)), soft_wrap=True)
        for line in more:
            self._console.print(Text.assemble(INDENT, " " * len(lead), (line, style)), soft_wrap=True)
