"""``rotate pause`` and ``rotate resume``: in the configuration, so that it is reviewed like code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import click

from rotator import config_edit
from rotator.cli import invocation
from rotator.cli.invocation import Command, Invocation, names_in, unknown_credential
from rotator.cli.output import INDENT, Report, block
from rotator.cli.shapes import Flagged
from rotator.errors import ConfigError


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
    """Change a flag of credentials, one after the other. Raises: ``ConfigError``; ``UsageError``."""
    require_known(path, names)
    results = [flag_one(path, name, edit, paused=paused) for name in dict.fromkeys(names)]
    return Report(results, [told(result) for result in results], max(result.exit_code for result in results))


def require_known(path: Path, names: Sequence[str]) -> None:
    """Refuse before anything is changed. Raises: ``ConfigError``; ``UsageError`` for a name that is not there."""
    known = names_in(path)
    if (unknown := next((name for name in names if name not in known), None)) is not None:
        raise unknown_credential(unknown, path, known)


def flag_one(path: Path, name: str, edit: Callable[[Path, str], bool], *, paused: bool) -> Flagged:
    """Change the flag of one credential and find the line that is different now."""
    before = lines_of(path)
    try:
        changed = edit(path, name)
    except ConfigError as error:
        return flagged(name, path, paused=not paused, error=error)
    where = difference(before, lines_of(path)) if changed else (0, "", "")
    return flagged(name, path, paused=paused, changed=changed, where=where)


def flagged(
    name: str,
    path: Path,
    *,
    paused: bool,
    changed: bool = False,
    where: tuple[int, str, str] = (0, "", ""),
    error: ConfigError | None = None,
) -> Flagged:
    """Put what became of a flag into its shape."""
    return Flagged(
        credential=name,
        exit_code=int(error.exit_code) if error else 0,
        message=error.message if error else "",
        hint=error.hint if error else "",
        paused=paused,
        changed=changed,
        path=str(path),
        line=where[0],
        before=where[1],
        after=where[2],
    )


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
    if it.message:
        return block(f"{it.credential}  failed  {it.message}", live=f"it is {state}, as before", hint=it.hint)
    if not it.changed:
        return f"{it.credential}  {state} already; nothing was changed"
    lines = [f"{it.credential}  {state} from now on", f"{INDENT}{it.path}:{it.line}"]
    lines += [f"{INDENT}- {it.before}"] if it.before else []
    return "\n".join([*lines, f"{INDENT}+ {it.after}"])
