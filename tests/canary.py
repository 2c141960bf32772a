"""A canary over the whole test run: no secret may come out of any test, in no output, log line or process argument.

The run draws a random value. Tests use it, through the fixtures, wherever a secret is due: operator secrets,
passwords, records. Secrets that come into being on their own (the simulated PVE draws them) are registered with
``watch``. After each phase of each test everything that it let out is searched: captured output, what ``capsys`` and
the like handed to the test, results of the command line's test runner, output and arguments of child processes, all
log records down to DEBUG, the failure report. A find fails that very test, and its report is scrubbed before anybody
sees it: a report travels from an xdist worker by itself, a verdict at the end of the session would not.
"""

from __future__ import annotations

import base64
import functools
import logging
import re
import secrets
import subprocess
import traceback
import uuid
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
SCRUBBED = "[a secret stood here]"
SHORTEST = 8
VALUES = 8


def forms(secret: str) -> Iterator[str]:
    """Yield the value as it is and as it looks inside base64, at each of the three alignments."""
    yield secret
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + secret.encode()).decode().rstrip("=")
        yield encoded[4 if shift else 0 : -1]


class Canary:
    """The secrets of one run, and what the tests have let out since the last look."""

    def __init__(self) -> None:
        self.core = secrets.token_hex(6)
        self.values = tuple(f"{str(uuid.uuid4())[: -len(self.core)]}{self.core}" for _ in range(VALUES))
        self._literals = dict.fromkeys((*self.values, *forms(self.core)))
        self._uuids: set[str] = set()
        self._overheard: list[tuple[str, str]] = []

    def watch(self, secret: str) -> None:
        """Search for this value too. UUIDs, which PVE makes, cost the same in any number.

        Raises: ``ValueError`` for a value so short that it may stand in a text by accident.
        """
        if len(secret) < SHORTEST:
            raise ValueError(f"a secret to watch for needs {SHORTEST} characters or more")
        if UUID.fullmatch(secret):
            self._uuids.add(secret)
        else:
            self._literals[secret] = None

    def overhear(self, source: str, text: object) -> None:
        """Keep what got out until the next look."""
        readable = text.decode(errors="replace") if isinstance(text, bytes) else str(text)
        self._overheard.append((source, readable))

    def leaks(self) -> list[str]:
        """Name the sources from which a secret was overheard, and forget all that was."""
        overheard, self._overheard = self._overheard, []
        return sorted({source for source, text in overheard if self.scrub(text) != text})

    def scrub(self, text: str) -> str:
        """Return the text without any secret."""
        text = UUID.sub(lambda match: SCRUBBED if match[0] in self._uuids else match[0], text)
        return functools.reduce(lambda left, secret: left.replace(secret, SCRUBBED), self._literals, text)


class Ear(logging.Handler):
    """Overhears every log record with all that hangs on it, whatever a formatter would make of it."""

    def __init__(self, canary: Canary) -> None:
        super().__init__(logging.DEBUG)
        self._canary = canary

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the message, the record's other values and the traceback."""
        error = "".join(traceback.format_exception(*record.exc_info)) if record.exc_info else ""
        self._canary.overhear(f"log of {record.name}", f"{record.getMessage()}\n{vars(record)}\n{error}")


Texts = Callable[[Any, tuple[Any, ...], Any], Iterable[object]]
"""What got out by a call: from its object, its positional arguments and what it returned."""


def _read(_self: object, _args: object, streams: Iterable[object]) -> Iterable[object]:
    return streams


def _invoked(_self: object, _args: object, result: Result) -> Iterable[object]:
    return result.output, result.stderr, "".join(traceback.format_exception(result.exception))


def _started(process: subprocess.Popen[Any], _args: object, _result: object) -> Iterable[object]:
    return (process.args,)


TAPS: tuple[tuple[str, type, str, Texts], ...] = (
    ("output that the test read", pytest.CaptureFixture, "readouterr", _read),
    ("output of the command", CliRunner, "invoke", _invoked),
    ("arguments of a process", subprocess.Popen, "__init__", _started),
    ("output of a process", subprocess.Popen, "communicate", _read),
)


def tap(canary: Canary, source: str, owner: type, name: str, texts: Texts) -> Callable[[], None]:
    """Overhear what one method lets out; returns how to stop."""
    original = getattr(owner, name)

    @functools.wraps(original)
    def overheard(self: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - stands for a method of any shape
        result = original(self, *args, **kwargs)
        for text in texts(self, args, result):
            canary.overhear(source, text)
        return result

    setattr(owner, name, overheard)
    return lambda: setattr(owner, name, original)


CANARY = pytest.StashKey[Canary]()


def pytest_configure(config: pytest.Config) -> None:
    """Draw the canary of this process and begin to listen."""
    canary = config.stash[CANARY] = Canary()
    for source, owner, name, texts in TAPS:
        config.add_cleanup(tap(canary, source, owner, name, texts))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Listen to the root logger, at DEBUG, while a test runs; a test before it may have taken our handler away."""
    root = logging.getLogger()
    ear, level = Ear(item.config.stash[CANARY]), root.level
    root.addHandler(ear)
    root.setLevel(logging.DEBUG)
    try:
        return (yield)
    finally:
        root.setLevel(level)
        root.removeHandler(ear)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail the phase of a test that let a secret out, and take it out of the report."""
    report = yield
    canary = item.config.stash[CANARY]
    for title, text in report.sections:
        if title.endswith(f" {report.when}"):  # the sections of earlier phases come along
            canary.overhear(title.lower(), text)
    canary.overhear("failure report", report.longreprtext)
    report.sections = [(title, canary.scrub(text)) for title, text in report.sections]
    if leaks := canary.leaks():
        report.outcome = "failed"
        verdict = f"{report.nodeid} ({report.when}) let a secret out: {', '.join(leaks)}"
        report.longrepr = f"{canary.scrub(report.longreprtext)}\n{verdict}".lstrip()
    return report


@pytest.fixture(scope="session")
def canary(pytestconfig: pytest.Config) -> str:
    """Return the secret to use in a test: a UUID, as PVE makes them, another one in every run."""
    return pytestconfig.stash[CANARY].values[0]


@pytest.fixture(scope="session")
def canaries(pytestconfig: pytest.Config) -> tuple[str, ...]:
    """Return eight distinct secrets; all share a random core, so that each is found inside larger values too."""
    return pytestconfig.stash[CANARY].values


@pytest.fixture(scope="session")
def watch(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Return the function that registers a secret which the test did not choose."""
    return pytestconfig.stash[CANARY].watch
