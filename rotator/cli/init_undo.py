"""``rotate init --undo``: what goes and what stays, as actions; at PVE first, then files, the configuration last."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path

from rotator.cli.init_draft import Draft, schema_text
from rotator.cli.init_work import Action
from rotator.cli.shapes import SetUp
from rotator.errors import RotatorError
from rotator.model import Destination, TokenId
from rotator.setup import files
from rotator.setup.config_text import SCHEMA_FILE
from rotator.setup.plan import shown
from rotator.setup.present import Present
from rotator.setup.things import OperatorToken, User
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
    kept = [it for it in decided if isinstance(it, Keep)]
    actions = [taken(worker, it) for it in gone]
    files_gone = leaving(draft, is_whole=not kept, is_ending=partial(ends, gone=gone, present=present))
    return [*actions, *map(unlinked, files_gone)], [kept_of(it) for it in kept]


def ends(token: TokenId, *, gone: Sequence[Remove], present: Present) -> bool:
    """Say whether nobody can log in with a token afterwards."""
    own = OperatorToken(token.userid, token.name)
    return present.token(own) is None or not {own, User(token.userid)}.isdisjoint(it.thing for it in gone)


def taken(worker: Worker, removal: Remove) -> Action:
    """Make an action of a removal."""
    words = " ".join(removal.thing.words())
    return Action(words, shown(removal.words()), removal.message(), partial(worker.take_away, removal))


def kept_of(keep: Keep) -> SetUp:
    """Report what stays."""
    return SetUp(thing=" ".join(keep.thing.words()), command="", message=keep.why, state=KEPT, exit_code=0)


def remaining(draft: Draft, kept: Sequence[SetUp], *, foresees: bool) -> list[SetUp]:
    """List what stays: nothing in a store is ever deleted by ``rotate``, but for files that were made here.

    A record that cannot be read may be there, and is listed; so is a configuration that others have changed.
    """
    things = {it.thing for it in kept}
    stays = f"user {draft.journal.managed}" in things
    is_kept = is_operator_kept(draft, things)
    operator = "stays" if is_kept else "ends"
    about = f"rotations write it; the token in it {'goes on working' if stays else 'ends'}"
    credentials = [it for it in draft.settings.credentials if it.name == draft.journal.credential]
    records = {place.label: (place, about) for it in credentials for place in it.destinations}
    if is_kept or not (foresees and draft.operator.label.startswith("file:")):
        records[draft.operator.label] = (draft.operator, f"the operator's token was kept there, and {operator}")
    there = [left(place, why) for place, why in records.values() if may_be_there(draft, place)]
    return [*there, *([] if kept or draft.journal.is_untouched(draft.text) else [left_as_it_is(draft.path)])]


def is_operator_kept(draft: Draft, kept: Collection[str]) -> bool:
    """Say whether the token in the operator's record stays; one that it was rotated to does where its user does."""
    made, token = draft.journal.operator, operator_token(draft)
    if token is None or token.name == made.name:
        return " ".join(made.words()) in kept
    return f"user {token.userid}" in kept or User(token.userid) not in draft.journal.made


def operator_token(draft: Draft) -> TokenId | None:
    """Read which token the operator's record holds and nothing else; None where that is not so."""
    place = draft.place
    try:
        stored = place.backend.read(place.destination.location)
        token = place.destination.shape.read(stored)
    except (RotatorError, ValueError):
        return None
    is_alone = stored is not None and set(stored.fields) == set(place.destination.shape.keys)
    return token.id if token and is_alone else None


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


def left_as_it_is(config: Path) -> SetUp:
    """Report a configuration that stays: somebody has put work into it."""
    message = "it was changed since it was made; whatever still runs with it fails from now on"
    return SetUp(thing=f"file {config}", command="", message=message, state=LEFT, exit_code=0)


def unlinked(path: Path) -> Action:
    """Make an action of removing a file."""
    return Action(
        f"file {path}", f"rm {shlex.quote(str(path))}", "made here, and of no use any more", partial(files.remove, path)
    )


def leaving(draft: Draft, *, is_whole: bool, is_ending: Callable[[TokenId], bool]) -> list[Path]:
    """List the files to remove: what was made and nobody has changed; the configuration only when nothing is left.

    The record of an operator's token that stays does so, too: nobody could get its secret again.

    The lock that the store made beside the record goes before it: later nobody would know of it.
    """
    made = [path for name in draft.journal.files if files.is_there(path := Path(name))]
    found = [path for path in made if is_of_no_use(draft, path, is_ending)]
    locks = [lock for path in found if files.is_there(lock := path.with_name(f".{path.name}.lock"))]
    own = [draft.path] if is_whole and draft.journal.is_untouched(draft.text) else []
    return [*locks, *found, *own]


def is_of_no_use(draft: Draft, path: Path, is_ending: Callable[[TokenId], bool]) -> bool:
    """Say whether a file still holds what a set-up puts there and nothing else, and nobody needs that."""
    if path.name == SCHEMA_FILE:
        return files.read(path) == schema_text()
    token = operator_token(draft)
    return token is not None and token.userid == draft.journal.operator.userid and is_ending(token)
