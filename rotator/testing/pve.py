"""The simulated PVE: one cluster on loopback, made, looked into and disturbed by plain assignment.

::

    with SimulatedPve() as pve:
        pve.add_user("admin@pve", password="...")
        pve.grant("/", "Administrator", user="admin@pve")
        requests.get(f"{pve.nodes[0].url}/api2/json/version", verify=..., headers=...)

It behaves as PVE 9.2 was measured to behave; ``README.md`` beside this file lists what is simulated and what is not.
Without ``start`` (or ``with``) it is a model in memory: everything but the addresses works.
"""

from __future__ import annotations

import hashlib
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from threading import Lock
from typing import Self

import trustme

from rotator.testing import access, door
from rotator.testing.api import Envelope, PlainRefusalError, opened
from rotator.testing.cluster import Cluster, Edit
from rotator.testing.exchange import (
    AnswerAfter,
    AnswerInstead,
    AnswerLate,
    Arrival,
    Call,
    Delay,
    Fault,
    HangUpAfter,
    HangUpBefore,
    Intercept,
    Request,
    Spoilt,
)
from rotator.testing.latency import Latency, Pacer
from rotator.testing.names import is_acl_path, normalize_path, split_token
from rotator.testing.refusal import RefusalError, died
from rotator.testing.routes_acl import holder_exists, make_pool, make_role
from rotator.testing.routes_tokens import draw_secret, existing_token, make_token
from rotator.testing.routes_users import make_group, make_user
from rotator.testing.second_factor import Factors, Totp, is_base32
from rotator.testing.server import Front, NodeServer
from rotator.testing.state import Holder, Pool, State, Token, User
from rotator.testing.tickets import Tickets
from rotator.testing.wire import Message, Reply, made_up, spoilt

__all__ = [
    "AnswerAfter",
    "AnswerInstead",
    "AnswerLate",
    "Arrival",
    "Call",
    "Delay",
    "Fault",
    "Front",
    "HangUpAfter",
    "HangUpBefore",
    "RefusalError",
    "Request",
    "SimulatedNode",
    "SimulatedPve",
    "Spoilt",
]

_HOSTS = ("127.0.0.1", "localhost", "::1")
_LOCK_TIMEOUT = 9.9


class SimulatedPve:
    """One cluster of PVE nodes that share their users, tokens and permissions.

    ``clock`` tells our time, ``clock_offset`` is how far PVE's is ahead of it (both in seconds). ``refusal_delay`` is
    how long a refused login waits (3.0 on a real PVE). ``lag`` is how long a change made on one node stays unknown to
    the others (0 on a real PVE). With a ``latency`` calls take the time that they take on a real PVE.

    Methods raise ``RefusalError`` for what PVE would refuse. All of it may be used from any thread; ``intercept`` is
    called from the threads of the connections.
    """

    def __init__(
        self,
        *,
        nodes: int = 1,
        clock: Callable[[], float] = time.time,
        refusal_delay: float = 0.0,
        lag: float = 0.0,
        sleep: Callable[[float], None] = time.sleep,
        latency: Latency | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.clock_offset = 0.0
        self.version = "9.2.11"
        self.regenerate_supported = True
        self.refusal_delay = refusal_delay
        self.keep_alive = 5.0
        """Seconds until an idle connection is closed."""
        self.calls: list[Call] = []
        self.intercept: Intercept | None = None
        self.tickets = Tickets()
        self.cluster = Cluster(clock)
        self.cluster.lag = lag
        self.sleep = sleep
        self.pacer = Pacer(latency, monotonic, sleep)
        self._clock = clock
        self._late: list[Callable[[], Reply]] = []
        self._lock = Lock()
        self._authority = trustme.CA()
        leaf = self._authority.issue_cert(*_HOSTS)
        self.ca_pem: bytes = self._authority.cert_pem.bytes()
        self.fingerprint = _fingerprint(leaf)
        self._tls = {Front.ITSELF: _context(leaf), Front.STRANGER: _context(trustme.CA().issue_cert(*_HOSTS))}
        self.nodes = [SimulatedNode(self, number) for number in range(nodes)]

    def __repr__(self) -> str:
        return f"SimulatedPve({[node.endpoint for node in self.nodes]})"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def lag(self) -> float:
        """Seconds until a change made on one node is known to the others."""
        return self.cluster.lag

    @lag.setter
    def lag(self, seconds: float) -> None:
        self.cluster.lag = seconds

    def now(self) -> float:
        """Tell PVE's time, in seconds since 1970."""
        return self._clock() + self.clock_offset

    def start(self, listen: tuple[str, int] = ("127.0.0.1", 0)) -> None:
        """Serve every node over TLS; further nodes take the ports that follow; port 0 takes free ones.

        Repeat: nothing happens.
        Raises: ``OSError`` when an address is taken; then no node is served.
        """
        host, port = listen
        try:
            for number, node in enumerate(self.nodes):
                node.start(host, port and port + number)
        except (OSError, OverflowError):
            self.close()
            raise

    def renew_certificate(self) -> None:
        """Show another certificate of the same authority from now on, as after its renewal."""
        leaf = self._authority.issue_cert(*_HOSTS)
        leaf.configure_cert(self._tls[Front.ITSELF])
        self.fingerprint = _fingerprint(leaf)

    def close(self) -> None:
        """Stop serving; no thread is left. Repeat: nothing happens."""
        for node in self.nodes:
            node.close()

    # what tests put in and look at

    def add_user(
        self,
        userid: str,
        *,
        password: str | None = None,
        groups: Iterable[str] = (),
        enable: bool = True,
        expire: int = 0,
        totp_secret: str | None = None,
    ) -> None:
        """Make a user; ``totp_secret`` is in base32.

        Raises: ``RefusalError`` for what PVE would refuse, ``ValueError`` when the TOTP secret is none.
        """
        if totp_secret is not None and not is_base32(totp_secret):
            raise ValueError("a TOTP secret is in base32")
        factors = Factors(totp={"totp-1": Totp(totp_secret)} if totp_secret else {})
        user = User(enable=enable, expire=expire, groups=frozenset(groups), password=password, factors=factors)
        self.cluster.plant(lambda state: make_user(state, userid, user))

    def add_group(self, groupid: str) -> None:
        """Make a group."""
        self.cluster.plant(lambda state: make_group(state, groupid))

    def add_role(self, roleid: str, privs: Iterable[str]) -> None:
        """Make a role."""
        self.cluster.plant(lambda state: make_role(state, roleid, privs))

    def add_pool(self, poolid: str, *, vms: Iterable[int] = (), storages: Iterable[str] = ()) -> None:
        """Make a pool with guests and storages in it."""
        pool = Pool(vms=frozenset(vms), storages=frozenset(storages))
        self.cluster.plant(lambda state: make_pool(state, poolid, pool))

    def grant(
        self,
        path: str,
        role: str,
        *,
        user: str | None = None,
        group: str | None = None,
        token: str | None = None,
        propagate: bool = True,
    ) -> None:
        """Add an entry to the access control list, for one user, group or token."""
        holder = _holder(user, group, token)
        where = normalize_path(path)
        if where is None or not is_acl_path(where):
            raise died(f"invalid ACL path '{path}'")

        def edit(state: State) -> State:
            holder_exists(state, holder)
            if role not in state.roles:
                raise died(f"role '{role}' does not exist")
            return state.with_grant(where, holder, role, propagate=propagate)

        self.cluster.plant(edit)

    def add_token(self, userid: str, name: str, *, privsep: bool = True, expire: int = 0, comment: str = "") -> str:
        """Make a token and return its secret."""
        token = Token(draw_secret(), privsep=privsep, expire=expire, comment=comment)
        self.cluster.plant(lambda state: make_token(state, userid, name, token))
        return token.secret

    def token(self, full_id: str) -> Mapping[str, object] | None:
        """Show a token as PVE shows it (``privsep``, ``expire``, ``comment`` if any), or None if it is not there."""
        found = self._state().find_token(*_parts(full_id))
        return found.shown() if found else None

    def tokens(self, userid: str) -> list[str]:
        """List the names of a user's tokens; [] also for an unknown user."""
        user = self._state().users.get(userid)
        return sorted(user.tokens) if user else []

    def delete_token(self, full_id: str) -> None:
        """Delete a token, as somebody else would."""
        owner, name = _parts(full_id)

        def edit(state: State) -> State:
            existing_token(state, owner, name)
            return state.without_token(owner, name)

        self.cluster.plant(edit)

    def accepts(self, full_id: str, secret: str, *, node: int = 0) -> bool:
        """Say whether that node, up or down, would let this in right now; without any HTTP."""
        return door.accepts(self.cluster.view(node), full_id, secret, self.now())

    def permissions(self, who: str) -> dict[str, dict[str, int]]:
        """Return the effective permissions of a user or token, as ``/access/permissions`` shows them."""
        return access.effective(self._state(), who)

    def apply_late(self) -> None:
        """Let happen what ``AnswerLate`` has put off, in the order in which it was asked for."""
        with self._lock:
            late, self._late = self._late, []
        for perform in late:
            perform()

    def _state(self) -> State:
        return self.cluster.newest()

    # what happens to a request

    def handled(self, node: SimulatedNode, message: Message) -> Reply | None:
        """Answer one request at one node, faults included; None hangs up."""
        try:
            envelope = opened(node, message)
        except PlainRefusalError as refusal:
            return refusal.reply
        fault = self.intercept(envelope.request) if self.intercept else None
        asked = envelope.request
        with self.pacer.calling(asked.method, asked.path):
            reply = self._disturbed(envelope, fault)
        call = Call(asked.node, asked.method, asked.path, asked.who, reply.status if reply else 0, asked.params)
        with self._lock:
            self.calls.append(call)
        return reply

    def _disturbed(self, envelope: Envelope, fault: Fault | None) -> Reply | None:
        match fault:
            case AnswerInstead(status, reason):
                return made_up(status, reason)
            case AnswerAfter(status, reason):
                envelope.perform()
                return made_up(status, reason)
            case AnswerLate(status, reason):
                with self._lock:
                    self._late.append(envelope.perform)
                return made_up(status, reason)
            case HangUpBefore() | HangUpAfter():
                if isinstance(fault, HangUpAfter):
                    envelope.perform()
                return None
            case Spoilt(arrival, is_done):
                return spoilt(envelope.perform() if is_done else made_up(200, "OK"), arrival)
            case Delay(seconds):
                self.sleep(seconds)
        return envelope.perform()

    def refuse(self) -> None:
        """Wait as long as PVE lets a refused login wait."""
        if self.refusal_delay:
            self.sleep(self.refusal_delay)

    def serve(self, node: SimulatedNode) -> NodeServer:
        """Make the server of a node."""
        return NodeServer(
            lambda message: self.handled(node, message),
            self._tls,
            now=node.now,
            refuse=self.refuse,
            keep_alive=lambda: self.keep_alive,
            connecting=self.pacer.connecting,
            arrived=self.pacer.arrived,
        )


class SimulatedNode:
    """One node of a simulated cluster. ``down``, ``front`` and ``quorate`` may be assigned at any time.

    From within a request, ``down`` and ``front`` leave that request its answer and are for what comes after it.
    """

    def __init__(self, pve: SimulatedPve, number: int) -> None:
        self.name = f"pve{number + 1}"
        self.number = number
        self.clock_offset = 0.0
        """How far its clock is ahead of the cluster's, in seconds."""
        self._pve = pve
        self._address = ("", 0)
        self._server: NodeServer | None = None
        self._down = False
        self._front = Front.ITSELF

    def __repr__(self) -> str:
        return f"SimulatedNode({self.name}, {self.endpoint})"

    @property
    def endpoint(self) -> str:
        """Return ``host:port``; empty before the first start."""
        host, port = self._address
        host = f"[{host}]" if ":" in host else host
        return f"{host}:{port}" if port else ""

    @property
    def url(self) -> str:
        """Return ``https://host:port``."""
        return f"https://{self.endpoint}"

    @property
    def down(self) -> bool:
        """Say whether the node refuses connections."""
        return self._down

    @down.setter
    def down(self, value: bool) -> None:
        self._down = value
        if self._server is not None:
            (self._server.refuse if value else self._server.listen)()

    @property
    def front(self) -> Front:
        """Say who answers at the node's address."""
        return self._front

    @front.setter
    def front(self, value: Front) -> None:
        self._front = value
        if self._server is not None:
            self._server.turn(value)

    @property
    def quorate(self) -> bool:
        """Say whether the node belongs to the majority.

        Without quorum it keeps what it knew, also tokens that are deleted elsewhere, and its writes fail (measured).
        """
        return self._pve.cluster.is_quorate(self.number)

    @quorate.setter
    def quorate(self, value: bool) -> None:
        (self._pve.cluster.rejoin if value else self._pve.cluster.cut_off)(self.number)

    def start(self, host: str, port: int) -> None:
        """Serve over TLS. Repeat: nothing happens."""
        if self._server is None:
            self._server = self._pve.serve(self)
            self._address = self._server.start(host, port)
            self.down, self.front = self._down, self._front

    def close(self) -> None:
        """Stop serving. Repeat: nothing happens."""
        if self._server is not None:
            self._server.close()
            self._server = None

    # the node as its API methods see it

    @property
    def version(self) -> str:
        """Return the version of PVE."""
        return self._pve.version

    @property
    def unknown_parameters(self) -> frozenset[str]:
        """Return the parameters that this PVE is too old for."""
        return frozenset() if self._pve.regenerate_supported else frozenset({"regenerate"})

    @property
    def tickets(self) -> Tickets:
        """Return the cluster's tickets; they work on all nodes (measured)."""
        return self._pve.tickets

    def now(self) -> float:
        """Tell this node's time."""
        return self._pve.now() + self.clock_offset

    def view(self) -> State:
        """Return the state that this node knows."""
        return self._pve.cluster.view(self.number)

    def write(self, edit: Edit) -> None:
        """Change the state of the cluster; without quorum it fails, after 9.9 s where refusals take their time."""
        if not self.quorate and self._pve.refusal_delay:
            self._pve.sleep(_LOCK_TIMEOUT)
        self._pve.pacer.change()
        self._pve.cluster.write(self.number, edit)

    def members(self) -> list[tuple[str, bool, bool]]:
        """List all nodes: name, whether it is up, whether it is this one."""
        return [(node.name, not node.down, node is self) for node in self._pve.nodes]

    def is_quorate(self) -> bool:
        """Say whether this node has quorum."""
        return self.quorate


def _holder(user: str | None, group: str | None, token: str | None) -> Holder:
    holders = [Holder("user", user)] if user else []
    holders += [Holder("group", group)] if group else []
    holders += [Holder("token", token)] if token else []
    if len(holders) != 1:
        raise ValueError("a grant is for one user, one group or one token")
    return holders[0]


def _parts(full_id: str) -> tuple[str, str]:
    return split_token(full_id) or (full_id, "")


def _context(leaf: trustme.LeafCert) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    leaf.configure_cert(made)
    return made


def _fingerprint(leaf: trustme.LeafCert) -> str:
    der = ssl.PEM_cert_to_DER_cert(leaf.cert_chain_pems[0].bytes().decode())
    return hashlib.sha256(der).digest().hex(":").upper()
