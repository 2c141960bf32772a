"""A program that logs all it can while it uses the backend; run by ``test_secrets`` as a process of its own.

The secrets come on standard input, one a line. Everything else goes out.
"""

from __future__ import annotations

import http.client
import logging
import logging.config
import os
import sys
import traceback
from collections.abc import Callable, Iterator

import boto3

from rotator.errors import RotatorError
from rotator.testing.aws import Call, Fault, Garbage, HangUp, Refuse, SimulatedAws
from rotator_backends.aws import AwsBackend
from tests.aws.lab import REGION, token


def turn_everything_up() -> None:
    """Do what people do when they want to see what goes on, after everything is imported."""
    logging.basicConfig(level=logging.DEBUG, stream=sys.stdout)
    names = (*logging.root.manager.loggerDict, "botocore.retries.standard", "urllib3", "http.client")
    loggers = {name: {"level": "DEBUG", "propagate": True, "handlers": ["out"]} for name in names}
    root = {"level": "DEBUG", "handlers": ["out"]}
    handlers = {"out": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout"}}
    logging.config.dictConfig(
        {"version": 1, "disable_existing_loggers": True, "loggers": loggers, "root": root, "handlers": handlers}
    )
    boto3.set_stream_logger("", logging.DEBUG)
    http.client.HTTPConnection.debuglevel = 2


def say(*values: object) -> None:
    """Print all there is to see of some values."""
    for value in values:
        sys.stdout.write(f"{value} {value!r} {getattr(value, '__dict__', '')}\n")


def calls(backend: AwsBackend, old: str, new: str) -> Iterator[Callable[[], object]]:
    """List everything that has a secret on one side or the other."""
    place = backend.locate({"secret_id": "loud"})[0]
    yield lambda: backend.read(place)
    yield lambda: backend.preflight(place)
    yield lambda: backend.write(place, token(1, old), expected=None)
    stored = backend.read(place)
    version = stored.version if stored else None
    yield lambda: backend.write(place, token(2, new), expected=version)
    yield lambda: backend.write(place, token(2, new), expected=version)
    yield lambda: backend.write(place, token(2, f"{new}\ud83d"), expected=version)
    yield lambda: backend.staged(place).held()


def use(backend: AwsBackend, aws: SimulatedAws, fault: Callable[[Call], Fault | None] | None, *values: str) -> None:
    """Make all calls, and show what they return or raise."""
    aws.intercept = None
    for call in calls(backend, *values):
        aws.intercept = fault
        try:
            say(call())
        except RotatorError as error:
            logging.getLogger("loud").exception("failed, %s", error.hint)
            say(error, error.__context__, error.__cause__, *traceback.format_exception(error))
        aws.intercept = None
    say(backend)


def always(fault: Fault | None) -> Callable[[Call], Fault | None]:
    """Let every call fail."""
    return lambda _: fault


def on_changes(fault: Fault | None) -> Callable[[Call], Fault | None]:
    """Let every change fail."""
    return lambda call: None if call.action.endswith(("DescribeSecret", "GetSecretValue")) else fault


def main() -> None:
    """Let everything go well, and wrong."""
    old, new, key, session = sys.stdin.read().split()
    os.environ["AWS_SECRET_ACCESS_KEY"], os.environ["AWS_SESSION_TOKEN"] = key, session
    turn_everything_up()
    echo = Refuse("ValidationException", f"Value '{new}' at 'secretString' {key} {session}")
    broken = Refuse("InternalServiceError", new, 500)
    with SimulatedAws() as aws:
        backend = AwsBackend.configure({"region": REGION, "endpoint_url": aws.url, "read_attempts": 2})
        for fault in (None, echo, HangUp(after=True), Garbage(), broken):
            use(backend, aws, always(fault), old, new)
            use(backend, aws, on_changes(fault), old, new)
        backend.close()


if __name__ == "__main__":
    main()
