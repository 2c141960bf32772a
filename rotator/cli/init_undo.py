"""``rotate init --undo``: what goes and what stays, as actions; at PVE first, then files, the configuration last."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from rotator.cli.init_draft import Draft, schema_text
from rotator.cli.init_work import Action
from rotator.cli.shapes import SetUp
from rotator.errors import RotatorError
from rotator.model import Destination
from rotator.setup import files
from rotator.setup.config_text import SCHEMA_FILE
from rotator.setup.plan import shown
from rotator.setup.present import Present
from rotator.setup.undo import Keep, Remove, Undoing
from rotator.setup.work import Worker

KEPT, LEFT = "kept", "left"
REMOVING: Mapping[str, str] = {
    "aws": "`aws secretsmanager delete-secret`",
    "file": "`rm`",
    "kubernetes": "`kubectl delete secret`",
    "vault": "`vault kv metadata delete`",
}
"""How people remove a record, by the store that its label begins with."""


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


def remaining(draft: Draft, kept: Sequence[SetUp], *, foresees: bool) -> list[SetUp]:
    """List the records that stay: nothing in a store is ever deleted by ``rotate``, but for files that were made here.

    One that cannot be read may be there, and is listed.
    """
    stays = f"user {draft.journal.managed}" in {it.thing for it in kept}
    about = f"rotations write it; the token in it {'goes on working' if stays else 'ends'}"
    credentials = [it for it in draft.settings.credentials if it.name == draft.journal.credential]
    records = {place.label: (place, about) for it in credentials for place in it.destinations}
    if not (foresees and draft.operator.label.startswith("file:")):
        records[draft.operator.label] = (draft.operator, "the operator's token was kept there, and ends")
    return [left(place, why) for place, why in records.values() if may_be_there(draft, place)]


def may_be_there(draft: Draft, place: Destination) -> bool:
    """Say whether a record is there, as far as that can be found out."""
    try:
        return draft.settings.backends[place.backend].read(place.location) is not None
    except RotatorError:
        return True


def left(place: Destination, why: str) -> SetUp:
    """Report a record that stays, and how to remove it."""
    how = REMOVING.get(place.label.partition(":")[0], "the store's own means")
    message = f"{why}; when nobody reads it any more, remove it with {how}"
    return SetUp(thing=f"record {place.label}", command="", message=message, state=LEFT, exit_code=0)


def unlinked(path: Path) -> Action:
    """Make an action of removing a file."""
    return Action(
        f"file {path}", f"rm {shlex.quote(str(path))}", "made here, and of no use any more", partial(files.remove, path)
    )


def leaving(draft: Draft, *, is_whole: bool) -> list[Path]:
    """List the files to remove: what was made and nobody has changed; the configuration only when nothing is left.

    The lock that the store made beside the record goes before it: later nobody would know of it.
    """
    found = [path for name in draft.journal.files if files.is_there(path := Path(name)) and is_ours(draft, path)]
    locks = [lock for path in found if files.is_there(lock := path.with_name(f".{path.name}.lock"))]
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
