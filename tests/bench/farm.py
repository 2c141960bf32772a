"""Clusters as slow as real ones, in a process: ``python -m tests.bench.farm CLUSTERS USERS DELAY PLANTED``.

Their users may be rotated by ``operator@pve!bench``. One line of JSON tells where they are; each line that is written
to it is answered by one on what it has done since the line before; the end of its input ends it.
"""

from __future__ import annotations

import json
import re
import resource
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta

from rotator.marker import Marker
from rotator.testing.latency import ONE_NODE
from rotator.testing.pve import Call, SimulatedPve

GROUP, ROLE, OPERATOR = "rotated", "Rotator", "operator@pve"
MANAGES = ["User.Modify", "Permissions.Modify", "Sys.Audit"]


def cluster(users: int, refusal_delay: float) -> tuple[SimulatedPve, str]:
    """Make a cluster with so many users, and return the secret of its operator."""
    pve = SimulatedPve(latency=ONE_NODE, refusal_delay=refusal_delay)
    pve.add_group(GROUP)
    pve.add_role(ROLE, MANAGES)
    pve.add_user(OPERATOR)
    pve.grant(f"/access/groups/{GROUP}", ROLE, user=OPERATOR)
    pve.grant("/vms", ROLE, user=OPERATOR)
    for number in range(users):
        pve.add_user(f"u{number}@pve", groups=[GROUP])
        pve.grant("/vms", "PVEAuditor", user=f"u{number}@pve")
    return pve, pve.add_token(OPERATOR, "bench", privsep=False)


def plant(farm: list[SimulatedPve], users: int) -> None:
    """Give each user a token as if it had been rotated an hour ago; credentials are dealt out cluster by cluster."""
    for number in range(len(farm) * users):
        pve, user = farm[number % len(farm)], f"u{number // len(farm)}@pve"
        issued = datetime.now(UTC) - timedelta(hours=1)
        marker = Marker("bench", f"t{number}", "planted", issued, published=True)
        pve.add_token(user, f"t{number}-1-aaaaa", comment=marker.comment())


class Account:
    """What one cluster has done since it was last asked."""

    def __init__(self, pve: SimulatedPve) -> None:
        self._pve = pve
        self._connections = 0

    def settle(self) -> dict[str, object]:
        """Tell it: calls by kind, connections, and the seconds that a real PVE spends on them."""
        calls, self._pve.calls = self._pve.calls, []
        connections = self._pve.pacer.connections - self._connections
        self._connections += connections
        writing = sum(ONE_NODE.of(it.method, it.path) for it in calls if it.method != "GET")
        reading = sum(ONE_NODE.of(it.method, it.path) for it in calls if it.method == "GET")
        return {
            "calls": Counter(map(kind, calls)),
            "connections": connections,
            "writing": writing,
            "own": writing + reading + connections * ONE_NODE.connect,
        }


_WHOSE = re.compile(r"/[^/]*@[^/]*(?=/|$)|(?<=/token)/[^/]+")


def kind(call: Call) -> str:
    """Name a call without what differs from user to user."""
    return f"{call.method} {re.sub(_WHOSE, '', call.path)} {call.status}"


def main(clusters: int, users: int, refusal_delay: float, *, planted: bool) -> None:
    """Serve until the input ends."""
    farm = [cluster(users, refusal_delay) for _ in range(clusters)]
    if planted:
        plant([pve for pve, _ in farm], users)
    accounts = [Account(pve) for pve, _ in farm]
    for pve, _ in farm:
        pve.start()
    told = [
        {"endpoint": pve.nodes[0].endpoint, "fingerprint": pve.fingerprint, "secret": secret, "ca": pve.ca_pem.decode()}
        for pve, secret in farm
    ]
    print(json.dumps(told), flush=True)  # noqa: T201 - the line that the other side waits for
    for _ in sys.stdin:
        done = {"clusters": [it.settle() for it in accounts], "cpu": time.process_time()}
        print(json.dumps(done), flush=True)  # noqa: T201 - the same
    for pve, _ in farm:
        pve.close()


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), planted=sys.argv[4] == "planted")
