"""Shut botocore's loggers for good: at DEBUG they write requests and answers with their bodies, the secrets in them.

Warnings are no better: one that tells of a role which could not be taken on brings the answer along, with the role's
secret key. What went wrong is told by our own errors.
"""

from __future__ import annotations

import http.client
import logging
from collections.abc import Iterable, Iterator
from pkgutil import iter_modules
from types import ModuleType


def shut(*packages: ModuleType) -> None:
    """Let nothing of these packages through, whatever the level is set to later.

    A filter of the logger itself is asked before any handler and before any parent, and no configuration of
    ``logging`` takes it away. Loggers are known by name, so those of modules that are imported later are shut too.
    Repeat: nothing changes.
    """
    for package in packages:
        for name in (package.__name__, *_modules(package.__path__, package.__name__)):
            logging.getLogger(name).addFilter(_nothing)


def _nothing(_record: logging.LogRecord) -> bool:
    return False


def _modules(paths: Iterable[str], package: str) -> Iterator[str]:
    """Yield the names of all modules below a package, without importing any."""
    for module in iter_modules(paths):
        name = f"{package}.{module.name}"
        yield name
        if module.ispkg:
            inner = [f"{path}/{module.name}" for path in paths]
            yield from _modules(inner, name)


def mute(*connections: type[http.client.HTTPConnection]) -> None:
    """Keep connections of these classes from printing what they send, whatever ``http.client`` is told later."""
    for connection in connections:
        connection.debuglevel = 0
