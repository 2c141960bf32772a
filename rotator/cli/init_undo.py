"""``rotate init --undo``: what goes and what stays, as actions; at PVE first, then files, the configuration last."""

from __future__ import annotations

import shlex
from functools import partial
from pathlib import Path

from rotator.cli.init_draft import Draft, schema_text
from rotator.cli.init_work import Action
from rotator.cli.shapes import SetUp
from rotator.errors import RotatorError
from rotator.setup import files
from rotator.setup.config_text import SCHEMA_FILE
from rotator.setup.plan import shown
from rotator.setup.present import Present
from rotator.setup.undo import Keep, Remove, Undoing
from rotator.setup.work import Worker

KEPT = "kept"


def removals(draft: Draft, worker: Worker, present: Present) -> tuple[list[Action], list[SetUp]]:
    """List what to do, and what stays although it was made here."""
    decided = Undoing(draft.journal.made, present, draft.settings.owner).plan()
    gone = [it for it in decided if isinstance(it, Remove)]
    kept = [kept_of(it) for it in decided if isinstance(it, Keep)]
    actions = [taken(worker, it) for it in gone]
    return [*actions, *(unlinked(path) for path in leaving(draft, is_whole=not kept))], kept


def taken(worker: Worker, removal: Remove) -> Action:
    """Make an action of a removal."""
    words = " ".join(removal.thing.words())
    return Action(words, shown(removal.words()), removal.message(), partial(worker.take_away, removal))


def kept_of(keep: Keep) -> SetUp:
    """Report what stays."""
    return SetUp(thing=" ".join(keep.thing.words()), command="", message=keep.why, state=KEPT, exit_code=0)


def unlinked(path: Path) -> Action:
    """Make an action of removing a file."""
    return Action(
        f"file {path}", f"rm {shlex.quote(str(path))}", "made here, and of no use any more", partial(files.remove, path)
    )


def leaving(draft: Draft, *, is_whole: bool) -> list[Path]:
    """List the files to remove: what was made and nobody has changed; the configuration only when nothing is left.

    The lock that the store made beside the record goes before it: later nobody would know of it.
    """
    found = [path for name in draft.journal.files if (path := Path(name)).exists() and is_ours(draft, path)]
    locks = [lock for path in found if (lock := path.with_name(f".{path.name}.lock")).exists()]
    own = [draft.path] if is_whole and draft.journal.is_untouched(draft.text) else []
    return [*locks, *found, *own]


def is_ours(draft: Draft, path: Path) -> bool:
    """Say whether a file still holds what a set-up puts there and nothing else."""
    if path.name == SCHEMA_FILE:
        return files.read(path) == schema_text()
    place = draft.place
    try:
        stored = place.backend.read(place.destination.location)
        token = place.destination.shape.read(stored)
    except (RotatorError, ValueError):
        return False
    is_alone = stored is not None and set(stored.fields) == set(place.destination.shape.keys)
    return is_alone and token is not None and token.id.userid == draft.journal.operator.userid
