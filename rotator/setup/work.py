"""Doing the steps of a plan, one at a time. Every one may be the last: a repeat of the whole goes on from there."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from rotator.errors import ConflictError, NotFoundError, OutcomeUnknownError, RefusedError
from rotator.model import Token
from rotator.setup.operator_place import OperatorPlace
from rotator.setup.plan import Discard, Step
from rotator.setup.port import Access
from rotator.setup.present import Present
from rotator.setup.things import OperatorToken, Plain
from rotator.setup.undo import Remove


@dataclass(frozen=True)
class Worker:
    """Does one step after the other at one cluster."""

    access: Access
    place: OperatorPlace

    def look(self) -> Present:
        """Observe everything. Raises: what ``Access.present`` and reading the operator's place raise."""
        present = self.access.present()
        return replace(present, stored=self.place.look(self.access, present))

    def do(self, step: Step) -> None:
        """Do one step; a change whose answer got lost is looked for before it is given up.

        Raises: what PVE and the store raise; ``OutcomeUnknownError`` only when it has not happened so far.
        """
        thing = step.thing
        if isinstance(step, Discard):
            self._revoke(step.thing)
        elif isinstance(thing, OperatorToken):
            self.place.issue(self.access, thing, step.comment)
        else:
            self._make(thing, step.comment)

    def _make(self, thing: Plain, comment: str) -> None:
        try:
            self.access.make(thing, comment)
        except (OutcomeUnknownError, ConflictError):
            if not self.access.present().has(thing):
                raise

    def take_away(self, removal: Remove) -> None:
        """Undo one thing. Raises: as ``do``."""
        if isinstance(removal.thing, OperatorToken):
            self._revoke(removal.thing)
            return
        try:
            self.access.remove(removal.thing, removal.stays_in)
        except OutcomeUnknownError:
            if self.access.present().has(removal.thing):
                raise

    def prove(self, managed: Sequence[str]) -> None:
        """Show that the operator, as it is stored, may manage the tokens of these users; works as it from now on.

        Raises: ``RefusedError`` that says what it cannot do.
        """
        operator = self._stored()
        for userid in managed:
            self.access.managed_by(operator, userid)

    def _stored(self) -> Token:
        token = self.place.look(self.access, self.access.present()).token
        if token is None:
            raise RefusedError("the operator's token is not where it was stored", hint="run it again")
        return token

    def _revoke(self, thing: OperatorToken) -> None:
        with suppress(NotFoundError):
            self.access.revoke(thing.id)
