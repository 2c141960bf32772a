"""Runs a program for somebody: without a shell, without our secrets, for a bounded time, with a bounded output.

``subprocess`` alone: ``communicate`` would keep all that a program writes, and wait for what it leaves running.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from threading import Thread
from typing import IO

from rotator.secrecy import HIDDEN, UUID, known
from rotator.settings_telling import CommandSettings

PASSED_ON = (
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "XDG_RUNTIME_DIR",
)
"""What a program gets of our own environment; the operator's secret may be in the rest of it."""
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
KEPT = 4096
"""Characters of its output, the last ones: there the error stands."""
READ = 2 * KEPT
"""Bytes of it that are looked through for secrets before it is cut: of half a one nobody could tell what it is."""
AFTER = 1.0
"""Seconds in which what it wrote at its end arrives, should something that it started keep its output open; and in
which it is gone once it was killed."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended: ``code`` is negative for a signal, None when it did not start, or goes on."""

    code: int | None
    output: str = ""
    why: str = ""
    """What kept it from ending well, in words."""

    @property
    def is_well(self) -> bool:
        """Say whether it did what it should."""
        return self.code == 0 and not self.why

    def __str__(self) -> str:
        how = self.why or (f"ended with {self.code}" if self.code else "done")
        return f"{how}; it said: {self.output}" if self.output else how


Run = Callable[[CommandSettings, Mapping[str, str], bytes], Ended]
"""Runs a program with some variables and a standard input."""


def run(command: CommandSettings, variables: Mapping[str, str], stdin: bytes) -> Ended:
    """Run a program to its end. Raises nothing.

    It leads a process group, all of which is killed when its time is over; what works as another user goes on.
    Crash: it goes on without us.
    """
    given = {"PATH": PATH} | {key: os.environ[key] for key in PASSED_ON if key in os.environ} | dict(variables)
    try:
        process = subprocess.Popen(  # noqa: S603 - what the configuration says
            command.argv,
            env=given,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        return Ended(None, why=f"did not start: {getattr(error, 'strerror', None) or type(error).__name__}")
    tail = bytearray()
    reader = Thread(target=keep_end, args=(process.stdout, tail), daemon=True)
    writer = Thread(target=write, args=(process.stdin, stdin), daemon=True)
    try:
        for thread in (reader, writer):
            thread.start()
    except RuntimeError:  # the system has no thread for us, and a program that nobody hears may wait for ever
        return unheard(process, reader)
    why = waited(process, command.timeout.total_seconds())
    reader.join(AFTER)
    return Ended(process.returncode, told(bytes(tail)), why)


def waited(process: subprocess.Popen[bytes], seconds: float) -> str:
    """Wait for its end; kill it when that does not come, and say so."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return killed(process, f"it took longer than {seconds:g} s")
    return f"killed by signal {-process.returncode}" if process.returncode < 0 else ""


def unheard(process: subprocess.Popen[bytes], reader: Thread) -> Ended:
    """Kill what was started and cannot be listened to."""
    why = killed(process, "no thread could be started to listen to it")
    for stream in (process.stdin, None if reader.ident else process.stdout):
        if stream:
            stream.close()
    return Ended(process.returncode, why=why)


def killed(process: subprocess.Popen[bytes], why: str) -> str:
    """Kill it, and say what came of that: nothing, where it works as another user (by sudo) or hangs in the system."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    try:
        process.wait(AFTER)
    except subprocess.TimeoutExpired:
        return f"goes on: {why}, and cannot be killed"
    return f"killed: {why}"


def keep_end(stream: IO[bytes], tail: bytearray) -> None:
    """Read all that comes, and keep the end of it."""
    with stream, suppress(OSError, ValueError):
        while piece := os.read(stream.fileno(), KEPT):
            tail += piece
            del tail[:-READ]


def write(stream: IO[bytes], data: bytes) -> None:
    """Write it, if anybody reads there."""
    with suppress(OSError), stream:
        stream.write(data)


def told(output: bytes) -> str:
    """Put what it said on one line, without what is known to be secret."""
    words = output.decode("utf-8", "replace").split()
    text = " ".join(words[1:] if len(output) >= READ else words)  # the first one may be the rest of a secret
    return UUID.sub(HIDDEN, known.hide("".join(it if it.isprintable() else " " for it in text)))[-KEPT:]
