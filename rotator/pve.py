"""The port to one PVE cluster: what the rotation asks of PVE, in the protocol's own words.

``rotator.proxmox`` implements it over HTTPS; nothing else in the product knows how PVE is spoken to. Facts are
measured on PVE 9.2 (access-control 9.1.1).

Errors, for every method: ``UnavailableError`` (nobody answered, or PVE's lock or quorum stood in the way: nothing
happened), ``OutcomeUnknownError`` (only from a changing call), ``RefusedError`` (403, 400), ``UnauthenticatedError``
(401: the operator is not accepted), ``NotFoundError`` ("no such token").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from rotator.model import Grant, Permissions, Secret, Token, TokenId, TokenState, UserState


@dataclass(frozen=True, slots=True)
class Greeting:
    """What an endpoint says to somebody who shows no credential (``GET /access/domains``, open to all; measured).

    ``code`` is "" when PVE's API answered, else what ``rotator.advice`` knows the cause by, and ``message`` says more.
    """

    realms: tuple[str, ...] = ()
    told: datetime | None = None
    """The ``Date`` of the answer."""
    code: str = ""
    message: str = ""
    fingerprint: str = ""
    """Of the certificate that was seen, where it was not accepted."""


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """One entry of the whole access control list; ``kind`` is ``user``, ``group`` or ``token``."""

    path: str
    kind: str
    holder: str
    role: str
    propagate: bool = True


class Consumer(Protocol):
    """PVE seen through one token, the way its consumer will see it. Every call is a read."""

    def login(self, endpoint: str) -> None:
        """Prove that the secret is accepted there (``GET /version``; it proves that and nothing else).

        Raises: ``UnauthenticatedError``, ``UnavailableError``.
        """
        ...

    def permissions(self, endpoint: str | None = None) -> Permissions:
        """Read the effective permissions of this token (``GET /access/permissions``); {} when it has none.

        At one endpoint it proves what ``login`` proves there; without one, the first that answers is asked.
        Raises: ``UnauthenticatedError``, ``UnavailableError``.
        """
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

    def greet(self, endpoint: str) -> Greeting:
        """Look who answers there, showing no credential. What goes wrong is a value, not an error."""
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


class Inspected(Pve, Protocol):
    """A cluster that can be looked into more closely than a rotation needs: what ``rotate doctor`` asks."""

    def users_on(self, endpoint: str) -> dict[str, UserState]:
        """List the users as one endpoint knows them; see ``users``."""
        ...

    def quorum_on(self, endpoint: str) -> bool | None:
        """Ask one endpoint whether it belongs to the majority; None without ``Sys.Audit`` on ``/``."""
        ...

    def acl(self) -> tuple[Entry, ...]:
        """List the access control list as far as the operator sees it: PVE leaves entries out silently (measured)."""
        ...

    def nodes(self) -> tuple[str, ...]:
        """List the names of the cluster's nodes; everybody who logs in may."""
        ...

    def knows_regenerate(self, userid: str) -> bool:
        """Find out whether this PVE can replace a secret in place, changing nothing.

        Raises: ``RefusedError`` when the operator may not manage that user's tokens.
        """
        ...


OperatorSource = Callable[[], Token]
"""Where the operator's token is read from; asked again once when PVE answers 401 (a service may hold an old one)."""
