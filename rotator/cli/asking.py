"""Asking people: on stderr, so that results stay alone on stdout; and never where nobody can answer."""

from __future__ import annotations

import sys
from typing import Protocol

import click

YES, ALL, NO = "y", "a", "n"
WORDS = ("yes", "all", "no")


class Asker(Protocol):
    """Somebody who answers questions, or nobody."""

    @property
    def is_there(self) -> bool:
        """Say whether there is somebody."""
        ...

    def say(self, text: str) -> None:
        """Tell something that is no result."""
        ...

    def ask(self, question: str, default: str = "") -> str:
        """Ask for a text; an empty answer is the default. Raises: ``Abort``."""
        ...

    def hidden(self, question: str) -> str:
        """Ask for something that is not shown. Raises: ``Abort``."""
        ...

    def agree(self, question: str) -> bool:
        """Ask for a yes; no is the default. Raises: ``Abort``."""
        ...

    def choose(self, question: str) -> str:
        """Ask for ``YES``, the default, for ``ALL`` or for ``NO``. Raises: ``Abort``."""
        ...


class Terminal:
    """The person at the terminal, if there is one and the output is for people."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json

    @property
    def is_there(self) -> bool:
        """Say whether there is somebody."""
        return sys.stdin.isatty() and not self._as_json

    def say(self, text: str) -> None:
        """Tell something that is no result."""
        click.echo(text, err=True)

    def ask(self, question: str, default: str = "") -> str:
        """Ask for a text."""
        return str(click.prompt(question, default=default or None, err=True)).strip()

    def hidden(self, question: str) -> str:
        """Ask for something that is not shown."""
        return str(click.prompt(question, hide_input=True, err=True))

    def agree(self, question: str) -> bool:
        """Ask for a yes."""
        return click.confirm(question, err=True)

    def choose(self, question: str) -> str:
        """Ask for a yes, for all, or for a no."""
        return str(click.prompt(f"{question} [{YES}]es, [{ALL}]ll, [{NO}]o", value_proc=chosen, default=YES, err=True))


def chosen(text: str) -> str:
    """Take a word or its first letter. Raises: ``UsageError``, after which it is asked again."""
    words = {word: word[0] for word in WORDS} | {word[0]: word[0] for word in WORDS}
    if (answer := words.get(text.strip().lower())) is None:
        raise click.UsageError(f"type one of {', '.join(WORDS)}, or its first letter")
    return answer
