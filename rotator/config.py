"""The configuration: one YAML file, validated as a whole before anything is contacted.

Every error is told at once, with its line, the offending key and what to write instead. This is the door to it; the
work is done in ``rotator.config_assembly``, which is imported when a file is read: pydantic takes longer to import than
many a command to run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rotator.backend import Backend
from rotator.faults import InvalidConfigError, Problem
from rotator.settings import ClusterSettings, RecordOperator, Settings, TicketOperator, TokenOperator

__all__ = [
    "ClusterSettings",
    "InvalidConfigError",
    "Problem",
    "RecordOperator",
    "Settings",
    "TicketOperator",
    "TokenOperator",
    "load",
    "schema",
]


def load(path: Path, *, find_backend: Callable[[str], type[Backend]], environ: Mapping[str, str]) -> Settings:
    """Read and check the whole configuration, contacting nobody.

    References to secrets are looked at (is the variable set, may the file be read), but no secret is kept.
    Raises: ``InvalidConfigError`` with every error.
    """
    from rotator.config_assembly import assemble  # noqa: PLC0415 - see above

    return assemble(path, find_backend=find_backend, environ=environ)


def schema() -> dict[str, Any]:
    """Return the JSON schema (draft 2020-12) of the file, with a description of every key."""
    from rotator.config_schema import editor_schema  # noqa: PLC0415 - see above

    return editor_schema()
