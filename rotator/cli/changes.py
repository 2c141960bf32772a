"""``rotate pause`` and ``rotate resume``: in the configuration, so that it is reviewed like code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import click

from rotator import config_edit
from rotator.cli import invocation
from rotator.cli.invocation import Command, Invocation
from rotator.cli.output import INDENT, Report
from rotator.cli.shapes import Flagged


@click.command(cls=Command)
@invocation.names(required=True)
@click.pass_obj
def pause(asked: Invocation, *, names: Sequence[str]) -> Report:
    """Leave credentials alone until they are resumed; `rotate now NAME` rotates them all the same.

    What is retiring already ends in time: PVE sees to that.

    Example: rotate pause ci
    """
    return flag(asked.path, names, config_edit.pause, paused=True)


@click.command(cls=Command)
@invocation.names(required=True)
@click.pass_obj
def resume(asked: Invocation, *, names: Sequence[str]) -> Report:
    """Rotate paused credentials again, when they are due.

    Example: rotate resume ci
    """
    return flag(asked.path, names, config_edit.resume, paused=False)


def flag(path: Path, names: Sequence[str], edit: Callable[[Path, str], bool], *, paused: bool) -> Report:
    """Change a flag of credentials, one after the other. Raises: ``ConfigError``; those before it are changed then."""
    results = [flag_one(path, name, edit, paused=paused) for name in dict.fromkeys(names)]
    return Report(results, [told(result) for result in results])


def flag_one(path: Path, name: str, edit: Callable[[Path, str], bool], *, paused: bool) -> Flagged:
    """Change the flag of one credential and find the line that is different now."""
    before = lines_of(path)
    changed = edit(path, name)
    line, old, new = difference(before, lines_of(path)) if changed else (0, "", "")
    return Flagged(credential=name, paused=paused, changed=changed, path=str(path), line=line, before=old, after=new)


def lines_of(path: Path) -> list[str]:
    """Read the lines of a file; what is not text, or not there, is for the edit to complain of."""
    try:
        return path.read_bytes().decode(errors="replace").splitlines()
    except OSError:
        return []


def difference(before: Sequence[str], after: Sequence[str]) -> tuple[int, str, str]:
    """Return the number of the one line that differs, as it was ("" when it was added or taken away) and as it is."""
    same = next((i for i, (old, new) in enumerate(zip(before, after, strict=False)) if old != new), len(before))
    if len(before) == len(after):
        return same + 1, before[same].strip(), after[same].strip()
    return same + 1, "", after[same].strip()


def told(it: Flagged) -> str:
    """Say what was changed, as a difference."""
    state = "paused" if it.paused else "not paused"
    if not it.changed:
        return f"{it.credential}  {state} already; nothing was changed"
    lines = [f"{it.credential}  {state} from now on", f"{INDENT}{it.path}:{it.line}"]
    lines += [f"{INDENT}- {it.before}"] if it.before else []
    return "\n".join([*lines, f"{INDENT}+ {it.after}"])
