"""How the command line tells of a bug that ended it."""

from __future__ import annotations

from collections.abc import Iterator

from rotator.bugs import AGAIN, LIVE, REPORT, named, traced


def told_of(error: BaseException, *, verbose: bool) -> Iterator[str]:
    """Say what it is, what is live and what to do."""
    yield f"rotate: {named(error)}"
    yield f"    live now: {LIVE}"
    yield f"    do: {REPORT if verbose else AGAIN}"
    if verbose:
        yield from traced(error)
