"""What is wrong with the nodes of a cluster: small pure checks of each endpoint, the first finding of each counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta

from rotator.doctor.evidence import ClusterSeen, EndpointSeen, Users
from rotator.doctor.finding import Finding, Severity, found

TOLERANCE = timedelta(seconds=10)
"""How far clocks may differ: `Date` has whole seconds, one-time passwords live for 30."""
_SHOWN = 4


def not_reached(seen: EndpointSeen, cluster: ClusterSeen) -> Finding | None:
    """Say why PVE's API does not answer there; another port of the same host that does tells a wrong port."""
    greeting, about = seen.greeting, {"endpoint": seen.address, "host": host_of(seen.address)}
    if not greeting.code:
        return None
    reached = (it.address for it in cluster.endpoints if it.is_reached)
    is_port = greeting.code in {"connection-refused", "no-answer", "wrong-port"}
    right = right_port(seen.address, (*cluster.elsewhere, *(reached if is_port else ())))
    if right:
        return found("wrong-port", greeting.message, f"PVE's API answers at {right}", about={**about, "right": right})
    return found(greeting.code, greeting.message, about={**about, "fingerprint": greeting.fingerprint})


def right_port(address: str, answering: Iterable[str]) -> str:
    """Find another port of the same host at which PVE's API answers, "" when there is none."""
    host = host_of(address)
    return next((other for other in answering if host_of(other) == host and other != address), "")


def host_of(address: str) -> str:
    """Return an address without its port."""
    return address.rpartition(":")[0].strip("[]").lower()


def no_quorum(seen: EndpointSeen, _cluster: ClusterSeen) -> Finding | None:
    """See that a node does not belong to the majority."""
    if seen.quorum is not False:
        return None
    return found("no-quorum", "/cluster/status there says quorate 0", about={"endpoint": seen.address})


def troubled(seen: EndpointSeen, cluster: ClusterSeen) -> Finding | None:
    """Say why the list of users does not come from there, if that is the node's own fault."""
    if seen.trouble is None:
        return None
    about = {"endpoint": seen.address}
    if not seen.trouble.code.startswith("operator"):
        return found(seen.trouble.code, *seen.trouble.told, about=about)
    if cluster.view is None:  # it is refused everywhere: the operator's own affair
        return None
    return found("node-lag", "it refuses the operator, which other nodes let in", about=about)


def node_lag(seen: EndpointSeen, cluster: ClusterSeen) -> Finding | None:
    """Compare what a node knows of users and tokens with what the others know."""
    view = cluster.view
    if view is None or seen.users is None or seen.users == usual(cluster):
        return None
    usually = usual(cluster) or {}
    differing = sorted(tokens_of(seen.users) ^ tokens_of(usually))
    what = ", ".join(differing[:_SHOWN]) or "settings of users"
    return found("node-lag", f"it differs from the others in: {what}", about={"endpoint": seen.address})


def usual(cluster: ClusterSeen) -> Users | None:
    """Return the list that most nodes have, of those that belong to the majority; the first one where it is a tie."""
    lists = [it.users for it in cluster.endpoints if it.is_trusted and it.users is not None]
    counted = Counter(lists.index(it) for it in lists)
    return lists[max(counted, key=lambda index: (counted[index], -index))] if counted else None


def tokens_of(users: Users) -> set[str]:
    """Name the users and tokens of a list, with their ends."""
    return set(users) | {f"{it.id} (ends {it.expire or 'never'})" for user in users.values() for it in user.tokens}


CHECKS: tuple[Callable[[EndpointSeen, ClusterSeen], Finding | None], ...] = (
    not_reached,
    no_quorum,
    troubled,
    node_lag,
)


def ailments(cluster: ClusterSeen) -> list[Finding]:
    """Find what is wrong with the nodes, one finding each, and with their clocks."""
    of_nodes = (
        next((finding for check in CHECKS if (finding := check(seen, cluster))), None) for seen in cluster.endpoints
    )
    return [*filter(None, of_nodes), *wrong_clocks(cluster)]


def wrong_clocks(cluster: ClusterSeen) -> list[Finding]:
    """Compare the clocks of the nodes with ours and with each other's; where all agree, it may be ours that is off."""
    ahead = skews(cluster.endpoints)
    wrong = {address: skew for address, skew in ahead.items() if abs(skew) > TOLERANCE}
    if not wrong:
        return []
    spread = max(ahead.values()) - min(ahead.values())
    if len(wrong) == len(ahead) and spread <= TOLERANCE:
        told = f"{spelled(next(iter(wrong.values())))} this machine's clock"
        agreeing = "all nodes agree with each other: it may be this machine's clock" if len(ahead) > 1 else ""
        return [skewed(", ".join(ahead), told, agreeing)]
    return [skewed(address, f"{spelled(skew)} this machine's clock", "") for address, skew in wrong.items()]


def skews(endpoints: Iterable[EndpointSeen]) -> Mapping[str, timedelta]:
    """Tell how far each node's clock is ahead of ours."""
    return {it.address: it.greeting.told - it.asked for it in endpoints if it.greeting.told is not None}


def spelled(skew: timedelta) -> str:
    """Write how far a clock is off."""
    seconds = round(skew.total_seconds())
    return f"{abs(seconds)} s {'ahead of' if seconds > 0 else 'behind'}"


def skewed(where: str, *evidence: str) -> Finding:
    """Make the finding of a clock that is off."""
    return found("clock-skew", *filter(None, evidence), about={"endpoint": where}, severity=Severity.WARNING)


def unknown_of(cluster: ClusterSeen) -> list[str]:
    """Say what could not be found out."""
    unasked = [it.address for it in cluster.endpoints if it.is_reached and it.quorum is None and it.users is not None]
    if not unasked:
        return []
    they = f"{', '.join(unasked)} {'belongs' if len(unasked) == 1 else 'belong'}"
    return [f"whether {they} to the majority: the operator lacks Sys.Audit on /"]
