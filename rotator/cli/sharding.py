"""``--shard``: a share of the fleet, by a number of its own or by that of a Kubernetes Indexed Job."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import click

from rotator.faults import InvalidValueError
from rotator.shards import ALL, Shard

VARIABLE = "ROTATE_SHARD"
INDEX_VARIABLE = "JOB_COMPLETION_INDEX"
"""Set by Kubernetes in each pod of an Indexed Job."""

F = TypeVar("F", bound=Callable[..., Any])


def read_shard(_context: click.Context, _parameter: click.Parameter, text: str | None) -> Shard:
    """Read a shard. Raises: ``BadParameter``."""
    if text is None:
        return ALL
    try:
        return Shard.parse(text, index=os.environ.get(INDEX_VARIABLE, ""))
    except InvalidValueError as error:
        raise click.BadParameter(f"{error.message}; {error.advice}") from None


def shard() -> Callable[[F], F]:
    """Take which share of the clusters to work on."""
    return click.option(
        "--shard",
        callback=read_shard,
        envvar=VARIABLE,
        metavar="I/N",
        help=f"Only share I of N of the clusters, I from 0; with N alone I is ${INDEX_VARIABLE}.",
    )
