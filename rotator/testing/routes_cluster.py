"""``/version``, ``/nodes``, ``/cluster`` and the indexes: what is read about the cluster itself, which has no guests.

``/version`` answers any good token, also one without a single privilege (measured): it proves the secret, nothing else.
"""

from __future__ import annotations

from collections.abc import Callable

from rotator.testing import access
from rotator.testing.method import Ask, Method, anybody, needs
from rotator.testing.refusal import died
from rotator.testing.schema import Param

_ADDRESS = "127.0.0.1"
_MEMORY = 8 * 2**30


def _version(ask: Ask) -> object:
    version = ask.place.version
    return {"version": version, "release": ".".join(version.split(".")[:2]), "repoid": "5117e5ed51b0"}


def _nodes(ask: Ask) -> object:
    rows = []
    for name, is_up, _ in ask.place.members():
        row: dict[str, object] = {"node": name, "id": f"node/{name}", "type": "node", "level": ""}
        row |= {"status": "online" if is_up else "offline", "ssl_fingerprint": ""}
        if access.is_held(ask.state, ask.who, f"/nodes/{name}", ["Sys.Audit"]):
            row |= {"maxcpu": 2, "maxmem": _MEMORY, "uptime": 3600}
        rows.append(row)
    return rows


def _node_status(ask: Ask) -> object:
    _need_node(ask)
    version = f"pve-manager/{ask.place.version}/5117e5ed51b0"
    return {"pveversion": version, "uptime": 3600, "memory": {"total": _MEMORY}, "cpuinfo": {"cpus": 2}}


def _node_time(ask: Ask) -> object:
    _need_node(ask)
    now = int(ask.place.now())
    return {"time": now, "localtime": now, "timezone": "UTC"}


def _node_index(ask: Ask) -> object:
    _need_node(ask)
    return [{"name": "status"}, {"name": "time"}]


def _need_node(ask: Ask) -> None:
    node = ask.text("node")
    if node not in {name for name, _, _ in ask.place.members()}:
        raise died(f"no such cluster node '{node}'")


def _cluster_status(ask: Ask) -> object:
    members = ask.place.members()
    rows: list[dict[str, object]] = [
        {
            "type": "node",
            "id": f"node/{name}",
            "name": name,
            "nodeid": number if len(members) > 1 else 0,
            "ip": _ADDRESS,
            "level": "",
            "local": int(is_local),
            "online": int(is_up),
        }
        for number, (name, is_up, is_local) in enumerate(members, start=1)
    ]
    if len(members) > 1:
        about = {
            "type": "cluster",
            "id": "cluster",
            "name": "simulated",
            "nodes": len(members),
            "version": len(members),
        }
        rows.insert(0, {**about, "quorate": int(ask.place.is_quorate())})
    return rows


def _resources(ask: Ask) -> object:
    nodes = [
        {"id": f"node/{name}", "node": name, "type": "node", "status": "online" if is_up else "offline"}
        for name, is_up, _ in ask.place.members()
        if access.is_held(ask.state, ask.who, f"/nodes/{name}", ["Sys.Audit"])
    ]
    pools = [
        {"id": f"/pool/{name}", "pool": name, "type": "pool"}
        for name in ask.state.pools
        if access.is_held(ask.state, ask.who, f"/pool/{name}", ["Pool.Audit"])
    ]
    kind = ask.get("type")
    return [row for row in nodes + pools if kind in {None, row["type"]}]


def _subscription(ask: Ask) -> object:
    _need_node(ask)
    return {"status": "notfound", "message": "There is no subscription key", "serverid": "0" * 32}


def _nothing_there(ask: Ask) -> object:
    _need_node(ask)
    return []


def _index(*names: str) -> Callable[[Ask], object]:
    return lambda _ask: [{"subdir": name} for name in names]


_NODE = {"node": Param()}
_ACCESS = ("users", "groups", "roles", "acl", "domains", "openid", "tfa", "ticket", "password")

METHODS = (
    Method("GET", "/", anybody, _index("version", "cluster", "nodes", "storage", "access", "pools")),
    Method("GET", "/access", anybody, _index(*_ACCESS)),
    Method("GET", "/access/openid", anybody, _index("auth-url", "login")),
    Method("GET", "/version", anybody, _version),
    Method("GET", "/nodes", anybody, _nodes),
    Method("GET", "/nodes/{node}", anybody, _node_index, _NODE),
    Method("GET", "/nodes/{node}/status", needs("/nodes/{node}", "Sys.Audit"), _node_status, _NODE, protected=True),
    Method("GET", "/nodes/{node}/time", needs("/nodes/{node}", "Sys.Audit"), _node_time, _NODE, protected=True),
    Method("GET", "/nodes/{node}/qemu", anybody, _nothing_there, _NODE, protected=True),
    Method("GET", "/nodes/{node}/lxc", anybody, _nothing_there, _NODE),
    Method("GET", "/nodes/{node}/replication", anybody, _nothing_there, _NODE, protected=True),
    Method("GET", "/nodes/{node}/subscription", anybody, _subscription, _NODE),
    Method("GET", "/cluster", anybody, _index("resources", "status")),
    Method("GET", "/cluster/status", needs("/", "Sys.Audit"), _cluster_status, protected=True),
    Method("GET", "/cluster/resources", anybody, _resources, {"type": Param(optional=True)}),
    Method("GET", "/cluster/backup-info/not-backed-up", needs("/", "Sys.Audit"), lambda _ask: [], protected=True),
    Method("GET", "/cluster/config/qdevice", needs("/", "Sys.Audit"), lambda _ask: {}, protected=True),
    Method("GET", "/storage", anybody, lambda _ask: []),
)
