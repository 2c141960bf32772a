"""The page on errors, made of the advice; ``python -m tests.doctor.errors_page`` writes ``rotator/ERRORS.md`` anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import rotator
from rotator.advice.book import CAUSES, PAGES, SECTIONS
from rotator.advice.cause import Cause, Page

CHECKED_IN = Path(rotator.__file__).with_name("ERRORS.md")
HEAD = """# Errors

What a status of PVE, a reason, an exit code and a cause mean. `rotate explain WORD` says the same in a terminal, and
`rotate doctor` finds out which cause it is; this page is written from the same text, so do not change it by hand. Words
in capitals stand for what is meant. Commands are typed as root on a node of PVE unless they begin with `rotate`.

PVE answers every refused credential with the same words, 3 s late. `rotate doctor` asks from the operator's side, where
the difference can be seen; with a stored secret it logs in only where that explains nothing, and then once.
"""


def page() -> str:
    """Write the whole page."""
    return "\n".join([HEAD, *parts()])


def parts() -> Iterator[str]:
    """Write each section."""
    for title, words in SECTIONS.items():
        yield f"## {title[0].upper()}{title[1:]}\n"
        if words[0] in PAGES:
            yield from (of_page(PAGES[word]) for word in words)
        else:
            yield from (of_cause(CAUSES[word].about()) for word in words)


def of_page(it: Page) -> str:
    """Write a status, a reason or an exit code."""
    lines = [f"### {it.name}\n", f"{sentence(it.meaning)} To do: {it.do}.\n" if it.do else f"{sentence(it.meaning)}\n"]
    lines += [f"- {note}" for note in it.notes] + [""] * bool(it.notes)
    if it.causes:
        links = ", ".join(f"[{code}](#{anchor(code)})" for code in it.causes)
        lines.append(f"Causes, likeliest first: {links}.\n")
    return "\n".join(lines)


def anchor(code: str) -> str:
    """Return where a cause stands."""
    return heading(code).replace(" ", "-").replace("(", "").replace(")", "")


def heading(code: str) -> str:
    """Return the heading of a cause; one that is a reason, too, is told apart."""
    return f"{code} (cause)" if code in PAGES else code


def of_cause(it: Cause) -> str:
    """Write a cause."""
    lines = [f"### {heading(it.code)}\n", f"{sentence(it.what)} Told by: {it.tell}. Then: {it.consequence}.\n"]
    lines += ["```text", *it.commands, "```\n"]
    lines += [f"In the web interface: {it.web}.\n"] if it.web else []
    return "\n".join(lines)


def sentence(text: str) -> str:
    """Make a sentence of a text; words that are code stay as they are."""
    return f"{text[0].upper()}{text[1:]}."


if __name__ == "__main__":
    CHECKED_IN.write_text(page().rstrip("\n") + "\n", encoding="utf-8")
