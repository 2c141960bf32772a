"""The product without one of its safeguards: a copy of its source from which a few words are taken out.

No module of ours is patched: the copy is a package ``rotator`` of its own, which a process of its own imports instead
of the real one. What is to be taken out is looked for as it is written in the source, and it is an error when it does
not stand there exactly once: a removal that removes nothing would prove nothing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import rotator

ROOT = Path(__file__).parents[2]
STARTED = """
import sys, rotator
from tests.explore.__main__ import main
if not rotator.__file__.startswith(sys.argv[1]):
    sys.exit(f"{rotator.__file__} is not the copy")
sys.exit(main(sys.argv[2:]))
"""


@dataclass(frozen=True)
class Edit:
    """What stands in a module, and what stands there instead."""

    module: str
    text: str
    instead: str


@dataclass(frozen=True)
class Removal:
    """A safeguard, how it is taken out, and the exploration that must see it missing."""

    safeguard: str
    edits: tuple[Edit, ...]
    explores: str
    """Options of ``python -m tests.explore crash``."""
    breaks: str
    """The promise that a violation must be about."""
    races: str = ""
    """Options of ``python -m tests.explore race`` that see it too, where it matters in a race."""


def product(folder: Path, edits: Sequence[Edit] = ()) -> Path:
    """Copy the product into a folder, edited; return the folder.

    Raises: ``LookupError`` when what is to be edited does not stand there exactly once.
    """
    copy = folder / "rotator"
    shutil.copytree(Path(rotator.__file__).parent, copy)
    for edit in edits:
        path = copy / edit.module
        path.write_text(edited(path.read_text(), edit))
    return folder


def edited(source: str, edit: Edit) -> str:
    """Return a source with an edit made.

    Raises: ``LookupError``.
    """
    if (count := source.count(edit.text)) != 1:
        raise LookupError(f"{edit.module} has this {count} times, not once: {edit.text}")
    return source.replace(edit.text, edit.instead)


def explored(folder: Path, part: str, options: str) -> subprocess.CompletedProcess[str]:
    """Explore the copy of the product in a folder with a part of the exploration, in a process of its own."""
    path = os.pathsep.join([str(folder), str(ROOT), str(ROOT / "backends")])
    command = [sys.executable, "-P", "-c", STARTED, str(folder), part, "--jobs", "1", *options.split()]
    environ = {**os.environ, "PYTHONPATH": path}
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)  # noqa: S603 - our own program


REMOVALS = (
    Removal(
        "the fence before an orphan is deleted",
        (Edit("plan.py", "return [Fence(), Revoke(finding.token.id)]", "return [Revoke(finding.token.id)]"),),
        "--kind forced --schedule later --how overtaken --depth 1",
        "I1",
        "--race paused-forced --preemptions 1",
    ),
    Removal(
        "the fence before a rotation is finished that somebody else has begun",
        (Edit("plan.py", "return [*confirm, Fence(), *mirrors, ", "return [*confirm, *mirrors, "),),
        "--kind altered --schedule soon --how overtaken --depth 1",
        "I2",
    ),
    Removal(
        "compare-and-set",
        (
            Edit(
                "publishing.py",
                "    return act.seen.primary.version if isinstance(act.seen.primary, Held) else None\n",
                "    held = read(act.credential.primary, act.ports.backends)\n"
                "    return held.version if isinstance(held, Held) else None\n",
            ),
        ),
        "--kind normal --schedule later --how overtaken --depth 1",
        "I1",
        "--race alike --preemptions 1",
    ),
    Removal(
        "the random part of a name",
        (
            Edit(
                "issuing.py",
                "str(Name(act.credential.base, serial, act.ports.draw()))",
                'f"{act.credential.base}-{serial}-aaaaa"',
            ),
        ),
        "--kind normal --schedule later --first POST --how overtaken --depth 2",
        "I1",
        "--race paused-minutes --preemptions 1",
    ),
    Removal(
        "the confirm step",
        (Edit("plan.py", "published = [Publish(), Confirm(), *announced", "published = [Publish(), *announced"),),
        "--kind spoilt --schedule soon --how slow --depth 1",
        "I1",
    ),
    Removal(
        "the overlap",
        (Edit("view.py", "    end = now + overlap\n", "    end = now\n"),),
        "--kind normal --schedule soon --how slow --depth 1",
        "I2",
        "--race alike --preemptions 0",
    ),
    Removal(
        "that no destination holds it, before it is retired",
        (
            Edit("policy.py", " and not view.is_held(token):", ":"),
            Edit("policy.py", "    unfinished,\n    not_retired,\n", "    not_retired,\n    unfinished,\n"),
        ),
        "--kind mirrors --schedule later --first write --how after --depth 2",
        "I2",
    ),
    Removal(
        "the owner in the marker",
        (
            Edit(
                "view.py",
                "return marker.credential == credential.name and marker.owner == credential.owner",
                "return marker.credential == credential.name",
            ),
        ),
        "--kind normal --schedule later --how slow --depth 1",
        "I6",
        "--race alike --preemptions 0",
    ),
)
"""What must not be taken out."""
