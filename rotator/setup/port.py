"""The port for setting up: what is asked of PVE beside what a rotation asks. Spoken as a person, with a ticket.

Errors are those of ``rotator.pve``. Facts are measured on PVE 9.2.
"""

from __future__ import annotations

from typing import Protocol

from rotator.model import Secret, Token, TokenId, TokenState
from rotator.setup.present import Present
from rotator.setup.things import Plain


class Access(Protocol):
    """Users, groups, roles and permissions of one cluster."""

    def enter(self) -> None:
        """Log in, and make sure that all can be seen: PVE leaves out silently what may not be.

        Raises: ``UnauthenticatedError``; ``RefusedError`` that says what this login lacks.
        """
        ...

    def present(self) -> Present:
        """Read all there is; five calls. The operator's place is not looked at."""
        ...

    def make(self, thing: Plain, comment: str) -> None:
        """Make one thing.

        Repeat: PVE refuses a group, role or user of a name that is there; a place in a group, or an entry, stays.
        """
        ...

    def remove(self, thing: Plain, stays_in: tuple[str, ...]) -> None:
        """Take one thing away; ``stays_in`` are the groups that a user stays in."""
        ...

    def issue_operator(self, token: TokenId, comment: str) -> Secret:
        """Issue a token without end and without privilege separation. Raises: ``ConflictError`` when it exists."""
        ...

    def revoke(self, token: TokenId) -> None:
        """Delete a token. Raises: ``NotFoundError`` when it is gone already."""
        ...

    def is_accepted(self, token: Token) -> bool:
        """Say whether a token logs in. One that is not accepted costs 3 s and a line in the node's log."""
        ...

    def managed_by(self, operator: Token, userid: str) -> tuple[TokenState, ...]:
        """List a user's tokens as the operator, which is the proof that it may issue and delete them.

        Raises: ``RefusedError`` when it may not.
        """
        ...
