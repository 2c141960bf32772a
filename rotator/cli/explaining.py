"""``rotate explain``: what a status, a reason, an exit code or a cause means. Nobody is contacted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import wrap

import click

from rotator.advice.book import CAUSES, PAGES, SECTIONS, cause
from rotator.advice.cause import Page
from rotator.cli.invocation import Command
from rotator.cli.output import INDENT, Report
from rotator.cli.shapes import Explained, Remedy
from rotator.faults import suggestion

WIDTH = 100
CAUSE = "cause"


def complete_word(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """List the words that begin so."""
    return [word for word in known() if word.startswith(incomplete)]


@click.command(cls=Command)
@click.argument("word", required=False, shell_complete=complete_word, metavar="[WORD]")
def explain(*, word: str | None) -> Report:
    """Say what a status of PVE (401), a reason (not-adopted), an exit code (5) or a cause means, and what to do.

    Without a WORD, all of them are listed. Nobody is contacted.

    Example: rotate explain 401
    """
    if word is None:
        return Report([explained(page) for page in PAGES.values()], list(contents()))
    if word not in known():
        meant = suggestion(word, known())
        raise click.UsageError(f"nothing is known of '{word}'" + (f"; {meant}" if meant else ""))
    found = list(meanings(word))
    return Report(found, ["\n\n".join(told(it) for it in found)])


def known() -> list[str]:
    """List all words that can be explained."""
    return list(dict.fromkeys([*PAGES, *CAUSES]))


def meanings(word: str) -> Iterator[Explained]:
    """Yield what a word means; a few are a reason and a cause at once."""
    if word in PAGES:
        yield explained(PAGES[word])
    if word in CAUSES:
        found = CAUSES[word].about()
        yield Explained(name=word, kind=CAUSE, meaning=found.what, do="", notes=(), causes=(remedy(word),))


def explained(page: Page) -> Explained:
    """Put a page into its shape."""
    return Explained(
        name=page.name,
        kind=page.kind,
        meaning=page.meaning,
        do=page.do,
        notes=page.notes,
        causes=tuple(remedy(code) for code in page.causes),
    )


def remedy(code: str) -> Remedy:
    """Put a cause into its shape."""
    it = cause(code)
    return Remedy(
        code=it.code, what=it.what, tell=it.tell, consequence=it.consequence, commands=it.commands, web=it.web
    )


def contents() -> Iterator[str]:
    """Write the table of contents."""
    for title, words in SECTIONS.items():
        yield f"{title}:"
        yield from (
            f"{INDENT}{line}" for line in wrap(", ".join(words), WIDTH, break_on_hyphens=False, break_long_words=False)
        )


def told(it: Explained) -> str:
    """Write a page for people."""
    lines = [f"{it.name}  {it.kind}", *indented(it.meaning)]
    lines += indented(f"do: {it.do}") if it.do else []
    lines += [line for note in it.notes for line in indented(f"note: {note}")]
    if it.kind == CAUSE:
        return "\n".join([*lines, *about(it.causes[0])])
    if it.causes:
        lines += ["", "causes, likeliest first:"]
    for number, found in enumerate(it.causes, 1):
        lines += [f"{number:>3}. {found.code}: {found.what}", *about(found)]
    return "\n".join(lines)


def about(found: Remedy) -> Sequence[str]:
    """Write how a cause is told apart and mended."""
    lines = [*indented(f"told by: {found.tell}"), *indented(f"then: {found.consequence}")]
    lines += [f"{INDENT}do: {command}" for command in found.commands]
    return [*lines, *(indented(f"web: {found.web}") if found.web else [])]


def indented(text: str) -> list[str]:
    """Break a text into lines."""
    return wrap(
        text,
        WIDTH,
        initial_indent=INDENT,
        subsequent_indent=INDENT * 2,
        break_on_hyphens=False,
        break_long_words=False,
    )
