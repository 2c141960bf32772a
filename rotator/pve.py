"""The port to one PVE cluster: what the rotation asks of PVE, in the protocol's own words.

``rotator.proxmox`` implements it over HTTPS; nothing else in the product knows how PVE is spoken to. Facts are
measured on PVE 9.2 (access-control 9.1.1).

Errors, for every method: ``UnavailableError`` (nobody answered, or PVE's lock or quorum stood in the way: nothing
happened), ``OutcomeUnknownError`` (only from a changing call), ``RefusedError`` (403, 400), ``UnauthenticatedError``
(401: the operator is not accepted), ``NotFoundError`` ("no such token").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from rotator.model import Grant, Permissions, Secret, Token, TokenId, TokenState, UserState


class Consumer(Protocol):
    """PVE seen through one token, the way its consumer will see it. Every call is a read."""

    def login(self, endpoint: str) -> None:
        """Prove that the secret is accepted there (``GET /version``; it proves that and nothing else).

        Raises: ``UnauthenticatedError``, ``UnavailableError``.
        """
        ...

    def permissions(self) -> Permissions:
        """Read the effective permissions of this token (``GET /access/permissions``); {} when it has none."""
        ...

    def get(self, path: str) -> None:
        """Do a GET and ignore what comes, for probes. Raises: ``RefusedError``."""
        ...


class Pve(Protocol):
    """One cluster, managed as the operator. It is used from several threads at once and serialises its own writes."""

    name: str
    endpoints: Sequence[str]
    """``host:port`` of each node we know; reads fail over from one to the next."""

    def now(self) -> datetime:
        """Tell PVE's time: our monotonic clock, set by the ``Date`` header of answers; asks when it has seen none."""
        ...

    def users(self) -> dict[str, UserState]:
        """List the users that the operator may see, with their tokens: one call (``GET /access/users?full=1``).

        PVE leaves out silently whom the operator may not see.
        """
        ...

    def tokens(self, userid: str) -> tuple[TokenState, ...]:
        """List one user's tokens (``GET /access/users/{userid}/token``).

        That it answers proves ``User.Modify`` on a group of that user, which is also what issuing needs.
        Raises: ``RefusedError`` also for an unknown user (measured: 403, even for an Administrator).
        """
        ...

    def token_on(self, endpoint: str, token: TokenId) -> TokenState | None:
        """Read one token from one endpoint, None when that node does not know it."""
        ...

    def issue(self, token: TokenId, *, privsep: bool, expire: datetime | None, comment: str) -> Secret:
        """Create a token and return its secret, which PVE never shows again.

        Raises: ``ConflictError`` when the id exists.
        """
        ...

    def update(self, token: TokenId, *, expire: datetime | None = None, comment: str | None = None) -> None:
        """Change the end or the comment of a token; None leaves it as it is."""
        ...

    def regenerate(self, token: TokenId, *, expire: datetime | None, comment: str) -> Secret:
        """Replace the secret in place, set end and comment with it; the old secret dies at this call.

        Raises: ``RefusedError`` with a hint when this PVE is too old for it (before access-control 9.1.0).
        """
        ...

    def revoke(self, token: TokenId) -> None:
        """Delete a token. Raises: ``NotFoundError`` when it is gone already."""
        ...

    def grants(self, token: TokenId) -> tuple[Grant, ...]:
        """Read the token's own entries of the access control list, sorted.

        Raises: ``RefusedError`` when the operator lacks ``Sys.Audit`` on ``/access``: PVE would leave entries out.
        """
        ...

    def grant(self, token: TokenId, grant: Grant) -> None:
        """Add an entry to the access control list. Repeat: nothing changes."""
        ...

    def role(self, name: str) -> frozenset[str]:
        """Read the privileges of a role. Raises: ``NotFoundError``."""
        ...

    def permissions_of(self, owner: str) -> Permissions:
        """Ask for the permissions of a user or token id as the operator.

        Raises: ``RefusedError`` without ``Sys.Audit`` on ``/access``.
        """
        ...

    def own_permissions(self) -> Permissions:
        """Read the operator's own effective permissions."""
        ...

    def consumer(self, token: Token) -> Consumer:
        """Look at the cluster through another token."""
        ...

    def switch(self, token: Token) -> None:
        """Be this operator from now on (after the operator's own rotation)."""
        ...

    def close(self) -> None:
        """Let go of connections. Repeat: nothing happens."""
        ...


OperatorSource = Callable[[], Token]
"""Where the operator's token is read from; asked again once when PVE answers 401 (a service may hold an old one)."""
