"""What a command says on stderr beside its results: as it is, or as a line of its log where it writes one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar

import click

SHOW_CURSOR = "\x1b[?25h"
OURS = "rotate: "

Say = Callable[[str], None]
Tell = Callable[[str, str], None]
"""Takes the level and the text."""


def echo(_level: str, text: str) -> None:
    """Write to stderr; that nobody reads there is no reason to stop."""
    with suppress(OSError):
        click.echo(text, err=True)


def echo_at_once(text: str) -> None:
    """Write a line to stderr past all buffers: a signal handler may have interrupted whoever holds their locks."""
    start = SHOW_CURSOR + "\n" if os.isatty(2) else ""
    with suppress(OSError):
        os.write(2, f"{start}{text}\n".encode())


_SAY: ContextVar[Tell] = ContextVar("say", default=echo)
_SAY_AT_ONCE: ContextVar[Say] = ContextVar("say_at_once", default=echo_at_once)


def say(text: str) -> None:
    """Say how things go."""
    _SAY.get()("info", text)


def warn(text: str) -> None:
    """Say what did not go as it should."""
    _SAY.get()("warning", text)


def say_at_once(text: str) -> None:
    """Say something in a signal handler."""
    _SAY_AT_ONCE.get()(text)


@contextmanager
def speaking(voice: Tell, at_once: Say) -> Iterator[None]:
    """Say it in another way meanwhile, in this thread; without the name of the program, which a log does not need."""
    before, at_once_before = _SAY.get(), _SAY_AT_ONCE.get()
    _SAY.set(lambda level, text: voice(level, text.removeprefix(OURS)))
    _SAY_AT_ONCE.set(lambda text: at_once(text.removeprefix(OURS)))
    try:
        yield
    finally:
        _SAY.set(before)
        _SAY_AT_ONCE.set(at_once_before)
