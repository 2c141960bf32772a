"""Gather the evidence of one cluster: every question is a read, and each is asked once. It judges nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property

from rotator.backend import Backend
from rotator.clock import Clock
from rotator.doctor.evidence import (
    ClusterSeen,
    EndpointSeen,
    Login,
    OperatorSeen,
    StoreSeen,
    TokenSeen,
    Trouble,
    Users,
    lists,
)
from rotator.doctor.token_checks import held, realm_wrong, user_gone, why_refused
from rotator.errors import ConfigError, RefusedError, RotatorError, UnauthenticatedError, UnavailableError
from rotator.model import Credential, Destination, Permissions, Stored, Token, TokenId
from rotator.proving import privileges_of
from rotator.proxmox_answer import UnwellError
from rotator.proxmox_login import UnfitSecretError
from rotator.proxmox_tls import TlsTrust
from rotator.proxmox_visit import Visitor
from rotator.proxmox_wire import DEFAULT_PORT
from rotator.pve import Entry, Inspected
from rotator.references import BackendReference, resolve
from rotator.settings import ClusterSettings, RecordOperator, TicketOperator, TokenOperator
from rotator.wiring import read_operator

MISTAKABLE = frozenset(
    {"certificate-changed", "certificate-untrusted", "connection-refused", "plain-http", "wrong-port"}
)
"""What is met at once where the port is another one; to wait for silence twice would take too long."""
ASKED_AT_MOST = 2
"""Endpoints at which a refused operator is tried: each refusal takes PVE 3 s and is logged."""


def visitor(cluster: ClusterSettings) -> Visitor:
    """Make what visits a cluster as its consumers do, trusting what is configured. Raises: ``ConfigError``."""
    trust = TlsTrust(cluster.ca_file, cluster.fingerprint or "", cluster.unsafe_skip_verification)
    return Visitor(cluster.name, trust, connect=cluster.connect_timeout, read=cluster.read_timeout)


@dataclass(frozen=True)
class Look:
    """One cluster as its operator sees it; what many credentials need of it is asked once."""

    pve: Inspected
    settings: ClusterSettings
    backends: Mapping[str, Backend]
    clock: Clock
    person: str = ""
    """Who has logged in instead of the operator; then the operator itself is judged from outside."""

    @cached_property
    def cluster(self) -> ClusterSeen:
        """Look at every endpoint; once more at all lists where they differ, for somebody may be rotating just now."""
        endpoints = self._endpoints()
        seen = ClusterSeen(self.pve.name, tuple(endpoints), self._elsewhere(endpoints))
        if any(it.users is not None and seen.view and it.users != seen.view.users for it in seen.endpoints):
            again = (it if it.users is None else self._asked(it) for it in seen.endpoints)
            return replace(seen, endpoints=tuple(again))
        return seen

    def _endpoints(self) -> list[EndpointSeen]:
        seen: list[EndpointSeen] = []
        for address in self.pve.endpoints:
            greeting = self.pve.greet(address)
            one = EndpointSeen(address, greeting, self.clock.now())
            refused = sum(it.trouble is not None and it.trouble.code == "operator-refused" for it in seen)
            may_ask = one.is_reached and refused < ASKED_AT_MOST and (self.person or not self.unreadable)
            seen.append(self._asked(one) if may_ask else one)
        return seen

    def _elsewhere(self, seen: Sequence[EndpointSeen]) -> tuple[str, ...]:
        """Look at the usual port of hosts at whose configured port nobody answers, or something else; show nothing."""
        missed = [it.address for it in seen if it.greeting.code in MISTAKABLE]
        usual = dict.fromkeys(f"{address.rpartition(':')[0]}:{DEFAULT_PORT}" for address in missed)
        visits = visitor(self.settings)
        return tuple(it for it in usual if it not in self.pve.endpoints and not visits.greet(it).code)

    def _asked(self, seen: EndpointSeen) -> EndpointSeen:
        try:
            return replace(
                seen, users=self.pve.users_on(seen.address), quorum=self.pve.quorum_on(seen.address), trouble=None
            )
        except RotatorError as error:
            return replace(seen, trouble=trouble_of(error))

    @cached_property
    def unreadable(self) -> Trouble | None:
        """Say why what a store holds of the operator cannot be read, if so."""
        try:
            match self.settings.operator:
                case RecordOperator(destination):
                    read_operator(self.pve.name, destination, self.backends)
                case TokenOperator(secret=BackendReference() as kept) | TicketOperator(totp=BackendReference() as kept):
                    resolve(kept, environ={}, backends=self.backends)
        except RotatorError as error:
            return Trouble("operator-unreadable", str(error), error.hint)
        return None

    @cached_property
    def identity(self) -> tuple[str, TokenId | None]:
        """Tell who the configured operator is: user, and token if it is one. Asked once its record was read."""
        match self.settings.operator:
            case TicketOperator(userid):
                return userid, None
            case TokenOperator(token):
                return token.userid, token
            case RecordOperator(destination):
                token = read_operator(self.pve.name, destination, self.backends).id
                return token.userid, token

    @property
    def users(self) -> Users:
        """The users that count."""
        view = self.cluster.view
        return view.users or {} if view else {}

    @cached_property
    def permissions(self) -> Permissions:
        """Read what the operator may do; nothing where PVE does not say."""
        with suppress(RotatorError):
            return self.pve.own_permissions()
        return {}

    @property
    def everybody(self) -> bool:
        """Whether the operator sees all users, so that one who is not listed is not there."""
        return not {"User.Modify", "Sys.Audit"}.isdisjoint(held(self.permissions, "/access/groups"))

    @cached_property
    def nodes(self) -> tuple[str, ...]:
        """List the cluster's nodes; none where PVE does not say."""
        with suppress(RotatorError):
            return self.pve.nodes()
        return ()

    @cached_property
    def acl(self) -> tuple[Entry, ...] | None:
        """List the access control list, None unless all of it is seen."""
        if "Sys.Audit" not in held(self.permissions, "/access"):
            return None
        with suppress(RotatorError):
            return self.pve.acl()
        return None

    def prepare(self) -> None:
        """Ask now what several credentials need of it: side by side each of them might ask."""
        _ = self.permissions, self.acl, self.nodes

    def operator(self, credentials: Sequence[Credential], *, is_rotated: bool) -> OperatorSeen:
        """Find out what the operator may do, and which users' tokens it may not list."""
        userid, token = self.identity
        seen = OperatorSeen(
            self.pve.name,
            userid,
            self.pve.now(),
            token,
            is_rotated=is_rotated,
            permissions=self._permissions_of_operator(str(token or userid)),
            users=self.users,
            credentials=tuple(credentials),
        )
        if self.person:
            return seen
        userids = dict.fromkeys(it.userid for it in credentials)
        said = {it: self._refusal(it) for it in userids if not self._is_nobody(it)}
        return replace(seen, unmanaged={it: why for it, why in said.items() if why})

    def _permissions_of_operator(self, who: str) -> Permissions:
        return self.permissions_of(who) or {} if self.person else self.permissions

    def _is_nobody(self, userid: str) -> bool:
        seen = self.claimed(TokenId(userid, ""))
        return (realm_wrong(seen) or user_gone(seen)) is not None

    def _refusal(self, userid: str) -> str:
        try:
            self.pve.tokens(userid)
        except RefusedError as error:
            return str(error)
        except RotatorError:
            pass
        return ""

    def claimed(self, token: TokenId, credential: str = "") -> TokenSeen:
        """Put together what the operator knows of a token that somebody claims."""
        return TokenSeen(
            token,
            self.pve.now(),
            self.cluster.realms,
            self.users,
            everybody=self.everybody,
            is_elsewhere=self.cluster.knows(token) and not lists(self.users, token),
            credential=credential,
        )

    def of_credential(self, token: Token, credential: Credential) -> TokenSeen:
        """Look at a published token; PVE is asked with its secret only where the operator's side explains nothing."""
        seen = self.claimed(token.id, credential.name)
        if why_refused(seen):
            return seen
        seen = replace(seen, login=self.login(token))
        return self.rights(seen, token, credential) if seen.login is Login.ACCEPTED else seen

    def login(self, token: Token) -> Login:
        """Log in once, where what is known is known to be new."""
        order = sorted(self.cluster.endpoints, key=lambda it: not it.is_trusted)
        for endpoint in (it.address for it in order if it.is_reached):
            try:
                self.pve.consumer(token).login(endpoint)
            except UnfitSecretError:
                return Login.UNFIT
            except UnauthenticatedError:
                return Login.REFUSED
            except UnavailableError:
                continue
            except RefusedError:
                break
            return Login.ACCEPTED
        return Login.SILENT

    def rights(self, seen: TokenSeen, token: Token, credential: Credential | None = None) -> TokenSeen:
        """Find out what a token that logs in may do, and what its user may."""
        grants = (credential.grants or ()) if credential else ()
        wanted: Mapping[str, frozenset[str]] = {}
        with suppress(RotatorError):
            wanted = privileges_of(grants, self.pve)
        return replace(
            seen,
            wanted=wanted,
            granted=tuple(it.path for it in grants),
            role=grants[0].role if grants else "",
            effective=self._permissions(token),
            user_permissions=self.permissions_of(token.id.userid),
            entries=self.entries_of(token.id),
            nodes=self.nodes,
        )

    def _permissions(self, token: Token) -> Permissions | None:
        with suppress(RotatorError):
            return self.pve.consumer(token).permissions()
        return None

    def permissions_of(self, userid: str) -> Permissions | None:
        """Ask what a user may do; None where PVE does not say."""
        with suppress(RotatorError):
            return self.pve.permissions_of(userid)
        return None

    def entries_of(self, token: TokenId) -> tuple[Entry, ...] | None:
        """List a token's own entries, None where the list may be shorter than it is."""
        if self.acl is None:
            return None
        return tuple(it for it in self.acl if it.kind == "token" and it.holder == str(token))


def trouble_of(error: RotatorError) -> Trouble:
    """Say in a word what kept the operator from asking."""
    if isinstance(error, UnwellError):
        return Trouble(error.code, str(error))
    if isinstance(error, (ConfigError, UnfitSecretError)):
        return Trouble("operator-unreadable", str(error), error.hint)
    code = "operator-refused" if isinstance(error, RefusedError) else "no-answer"
    return Trouble(code, str(error))


def see_store(destination: Destination, backends: Mapping[str, Backend]) -> tuple[StoreSeen, Stored | None]:
    """Read a destination, and ask whether it may be written, writing nothing."""
    backend = backends[destination.backend]
    seen = StoreSeen(destination.label, destination.backend, compares_and_sets=backend.traits.compare_and_set)
    try:
        stored = backend.read(destination.location)
    except RotatorError as error:
        return replace(seen, unread=store_trouble(error, "store-unreadable")), None
    try:
        backend.preflight(destination.location)
    except RotatorError as error:
        return replace(seen, unwritable=store_trouble(error, "store-not-writable")), stored
    return seen, stored


def store_trouble(error: RotatorError, refused: str) -> Trouble:
    """Say in a word why a store cannot be used."""
    code = "store-unavailable" if isinstance(error, UnavailableError) else refused
    return Trouble(code, str(error), error.hint)
