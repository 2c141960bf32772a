"""The fast cluster is a real one: what it answers and what it refuses is what the adapter over TLS does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from rotator.errors import NotFoundError, RotatorError, UnreachableError
from rotator.model import Grant, Secret, Token, TokenId
from rotator.proxmox import ProxmoxCluster, TlsTrust
from rotator.pve import Pve
from rotator.testing.pve import SimulatedPve
from tests.explore.direct import DirectPve
from tests.explore.world import World
from tests.world import TurnedClock, populate, short, world

T = TypeVar("T")

ONE, TWO, HAND = (TokenId("ci@pve", name) for name in ("ci-1-aaaaa", "ci-2-aaaaa", "hand"))
NOBODY = TokenId("nobody@pve", "ci-1-aaaaa")
END = datetime(2026, 3, 2, tzinfo=UTC)
PVE_GRANT = Grant("/vms", "PVEVMUser")

Call = Callable[[Pve, dict[str, Token]], object]
"""One call of the port; what it keeps is a token for later calls."""


def kept(pve: Pve, tokens: dict[str, Token], token: TokenId) -> None:
    """Issue a token and keep it."""
    tokens[token.name] = Token(token, pve.issue(token, privsep=True, expire=END, comment="a b"))


def regenerated(pve: Pve, tokens: dict[str, Token], token: TokenId) -> None:
    """Replace a secret; the old one is kept."""
    assert pve.regenerate(token, expire=None, comment="new") != tokens[token.name].secret


CALLS: dict[str, Call] = {
    "now": lambda pve, _: pve.now(),
    "users": lambda pve, _: pve.users(),
    "no tokens": lambda pve, _: pve.tokens("ci@pve"),
    "tokens of nobody": lambda pve, _: pve.tokens("nobody@pve"),
    "tokens of somebody else": lambda pve, _: pve.tokens("root@pam"),
    "issue": lambda pve, tokens: kept(pve, tokens, ONE),
    "issue without privsep": lambda pve, _: str(pve.issue(TWO, privsep=False, expire=None, comment="")),
    "issue again": lambda pve, tokens: kept(pve, tokens, ONE),
    "issue for nobody": lambda pve, tokens: kept(pve, tokens, NOBODY),
    "issue a wrong name": lambda pve, tokens: kept(pve, tokens, TokenId("ci@pve", "-")),
    "tokens": lambda pve, _: pve.tokens("ci@pve"),
    "users with tokens": lambda pve, _: pve.users(),
    "grant": lambda pve, _: pve.grant(ONE, PVE_GRANT),
    "grant twice": lambda pve, _: pve.grant(ONE, PVE_GRANT),
    "grant without propagation": lambda pve, _: pve.grant(ONE, Grant("/vms/100", "PVEAuditor", propagate=False)),
    "grant no role": lambda pve, _: pve.grant(ONE, Grant("/vms", "NoSuchRole")),
    "grant what one may not": lambda pve, _: pve.grant(ONE, Grant("/", "Administrator")),
    "grant to nobody": lambda pve, _: pve.grant(HAND, PVE_GRANT),
    "grants": lambda pve, _: pve.grants(ONE),
    "grants of nobody": lambda pve, _: pve.grants(NOBODY),
    "role": lambda pve, _: pve.role("PVEVMUser"),
    "no role": lambda pve, _: pve.role("NoSuchRole"),
    "own permissions": lambda pve, _: pve.own_permissions(),
    "permissions": lambda pve, _: pve.permissions_of(str(ONE)),
    "permissions of nobody": lambda pve, _: pve.permissions_of(str(NOBODY)),
    "login": lambda pve, tokens: pve.consumer(tokens[ONE.name]).login(pve.endpoints[0]),
    "login with a wrong secret": lambda pve, _: pve.consumer(Token(ONE, Secret("no"))).login(pve.endpoints[0]),
    "login with no secret": lambda pve, _: pve.consumer(Token(ONE, Secret(""))).login(pve.endpoints[0]),
    "a consumer's permissions": lambda pve, tokens: pve.consumer(tokens[ONE.name]).permissions(),
    "a probe": lambda pve, tokens: pve.consumer(tokens[ONE.name]).get("/cluster/resources?type=vm"),
    "a probe that is refused": lambda pve, tokens: pve.consumer(tokens[ONE.name]).get("/cluster/status"),
    "a probe of nothing": lambda pve, tokens: pve.consumer(tokens[ONE.name]).get("/no/such/thing"),
    "update the end": lambda pve, _: pve.update(ONE, expire=END + timedelta(hours=1)),
    "update the comment": lambda pve, _: pve.update(ONE, comment="a longer comment: with=all sorts & of signs"),
    "update nothing": lambda pve, _: pve.update(ONE),
    "update nobody": lambda pve, _: pve.update(HAND, comment="x"),
    "token on a node": lambda pve, _: pve.token_on(pve.endpoints[0], ONE),
    "token not on a node": lambda pve, _: pve.token_on(pve.endpoints[0], HAND),
    "regenerate": lambda pve, tokens: regenerated(pve, tokens, ONE),
    "login with the old secret": lambda pve, tokens: pve.consumer(tokens[ONE.name]).login(pve.endpoints[0]),
    "regenerate nobody": lambda pve, tokens: regenerated(pve, {**tokens, "hand": tokens[ONE.name]}, HAND),
    "revoke": lambda pve, _: pve.revoke(ONE),
    "revoke again": lambda pve, _: pve.revoke(ONE),
    "grants of what is gone": lambda pve, _: pve.grants(ONE),
    "now, later": lambda pve, _: pve.now(),
    "tokens at last": lambda pve, _: pve.tokens("ci@pve"),
}


def outcome(call: Call, pve: Pve, tokens: dict[str, Token]) -> object:
    """Tell what came of a call: its result, or the error with its words."""
    try:
        return call(pve, tokens)
    except UnreachableError:
        return UnreachableError  # there is no connection that could fail in as many words
    except RotatorError as error:
        place = pve.endpoints[0]
        return type(error), error.message.replace(place, "the node"), error.hint


def all_outcomes(connect: Callable[[SimulatedPve, Token, TurnedClock], Pve]) -> dict[str, object]:
    """Make all calls of one kind of cluster, one after the other, a fraction of a second apart."""
    with SimulatedPve(nodes=2, clock=(clock := TurnedClock()).time) as pve:
        cluster, tokens, told = connect(pve, populate(pve, "ci@pve"), clock), dict[str, Token](), dict[str, object]()
        for name, call in CALLS.items():
            told[name] = outcome(call, cluster, tokens)
            clock.sleep(0.3)
        for node in pve.nodes:
            node.down = True
            told[f"without {node.name}"] = outcome(lambda pve, _: pve.tokens("ci@pve"), cluster, tokens)
        cluster.close()
        return told


def test_the_fast_cluster_says_what_the_adapter_hears_over_tls(tmp_path: Path) -> None:
    """Each call's result, or the error with all its words; and what time it is; and a node that is down."""

    def over_tls(pve: SimulatedPve, operator: Token, clock: TurnedClock) -> Pve:
        (tmp_path / "ca.pem").write_bytes(pve.ca_pem)
        endpoints, trust = [node.endpoint for node in pve.nodes], TlsTrust(ca_file=tmp_path / "ca.pem")
        return ProxmoxCluster("home", endpoints, login=lambda: operator, trust=trust, monotonic=clock.monotonic)

    def direct(pve: SimulatedPve, operator: Token, clock: TurnedClock) -> Pve:
        return DirectPve(pve, lambda: operator, clock.monotonic)

    heard, said = all_outcomes(over_tls), all_outcomes(direct)
    assert {name: said[name] for name in heard} == heard
    assert sum(isinstance(it, tuple) and it[:1] == (NotFoundError,) for it in heard.values()) >= 3


def test_a_rotation_asks_the_fast_world_for_what_it_asks_the_real_one(tmp_path: Path) -> None:
    """The same requests in the same order, and the same tokens afterwards."""
    fast = World()
    asked: list[str] = []

    def note(label: str, call: Callable[[], T], /) -> T:
        asked.append(label)
        return call()

    fast.run(fast.due(), guard=note)
    with world(tmp_path) as real:
        real.run(real.due())
        over_tls = [f"{call.method} {call.path}" for call in real.pve.calls]
        assert [label for label in asked if "json" not in label] == over_tls
        assert list(real.standing()) == [short(name) for name in fast.standing(fast.credential())]
