"""What was there and what was made, as comments in the configuration that a set-up wrote. Pure.

It is written before the first change at PVE, so that a run that ends early is known to the next one. Lines that begin
with ``# init:`` are its own, wherever they stand in the file; all else belongs to whoever edits it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Self

from rotator.errors import ConfigError
from rotator.setup.present import Present
from rotator.setup.things import Member, OperatorToken, Thing, thing_of

MARK = "# init: "
HEAD = f"""\
{MARK}what `rotate init` found and what it made; `rotate init --undo` takes away what it made, unless others use it.
{MARK}Keep these lines.
"""
MADE, FOUND, FOR, FILE, TEXT = "made", "found", "for", "file", "text"


@dataclass(frozen=True, slots=True)
class Noted:
    """One thing that is wanted, and whether it was made here."""

    thing: Thing
    is_made: bool


@dataclass(frozen=True, slots=True)
class Journal:
    """All that is remembered of a set-up: for which cluster and credential of the file, and what of it was made.

    ``files`` are those that were not there before, beside the configuration itself; ``digest`` is that of its text as
    it was written, without these lines.
    """

    cluster: str
    credential: str
    things: tuple[Noted, ...]
    digest: str
    files: tuple[str, ...] = ()

    def begun(self, present: Present) -> Self:
        """Note what is not there now: it will have been made here."""
        return replace(self, things=tuple(Noted(it.thing, is_made=not present.has(it.thing)) for it in self.things))

    @classmethod
    def read(cls, text: str) -> Self | None:
        """Find it in a configuration; None where there is none. Raises: ``ConfigError`` when it is damaged."""
        lines = [line.removeprefix(MARK).rstrip("\n").split(" ") for line in text.splitlines() if line.startswith(MARK)]
        try:
            noted = [Noted(thing_of(tuple(it[1:])), it[0] == MADE) for it in lines if it[0] in {MADE, FOUND}]
            about = {it[0]: it[1:] for it in lines if it[0] in {FOR, TEXT}}
            if not noted:
                return None
            cluster, credential = about[FOR]
            (digest,) = about[TEXT]
            files = tuple(" ".join(it[1:]) for it in lines if it[0] == FILE)
            found = cls(cluster, credential, tuple(noted), digest, files)
        except (ValueError, KeyError, IndexError):
            found = None
        if found is None or not found.is_whole:
            raise ConfigError(
                f"the lines that begin with {MARK.strip()!r} are damaged",
                hint="put them back as they were, or take them all away and look after PVE by hand",
            )
        return found

    @property
    def is_whole(self) -> bool:
        """Say whether it names an operator and a managed user."""
        kinds = {type(it.thing) for it in self.things}
        return {Member, OperatorToken} <= kinds

    @property
    def wanted(self) -> tuple[Thing, ...]:
        """List everything that shall be there."""
        return tuple(it.thing for it in self.things)

    @property
    def made(self) -> tuple[Thing, ...]:
        """List what was made here."""
        return tuple(it.thing for it in self.things if it.is_made)

    @property
    def operator(self) -> OperatorToken:
        """The operator's token."""
        return next(it.thing for it in self.things if isinstance(it.thing, OperatorToken))

    @property
    def managed(self) -> str:
        """The user whose tokens are rotated."""
        return next(it.thing.userid for it in self.things if isinstance(it.thing, Member))

    def continued(self, present: Present) -> Self:
        """Note that what was found once and is missing now will be made here, too."""
        return replace(
            self, things=tuple(Noted(it.thing, it.is_made or not present.has(it.thing)) for it in self.things)
        )

    def lines(self) -> str:
        """Write it."""
        noted = "".join(f"{MARK}{MADE if it.is_made else FOUND} {' '.join(it.thing.words())}\n" for it in self.things)
        files = "".join(f"{MARK}{FILE} {path}\n" for path in self.files)
        return f"{HEAD}{MARK}{FOR} {self.cluster} {self.credential}\n{noted}{files}{MARK}{TEXT} {self.digest}\n"

    def put_into(self, text: str) -> str:
        """Return a configuration with this in it, where one was before or at the end."""
        kept = text.splitlines(keepends=True)
        at = next((number for number, line in enumerate(kept) if line.startswith(MARK)), len(kept))
        before, after = (without("".join(part)) for part in (kept[:at], kept[at:]))
        apart = "\n" if at == len(kept) and before else ""
        return f"{before}{apart}{self.lines()}{after}"

    def is_untouched(self, text: str) -> bool:
        """Say whether nobody has changed the file since it was written."""
        return digest_of(without(text)) == self.digest


def without(text: str) -> str:
    """Return a configuration without the lines of a journal."""
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith(MARK))


def digest_of(text: str) -> str:
    """Say which text it is, whatever blank lines it ends with."""
    return hashlib.sha256(text.rstrip().encode()).hexdigest()
