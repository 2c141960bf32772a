"""The paths for probes and for Prometheus."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from http import HTTPStatus

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from rotator.service.health import Pulse, unready
from rotator.service.standing import Standing
from rotator.service.web import Access, Answer, Asked, Route


def routes(
    standing: Callable[[], Standing], pulse: Pulse, registry: CollectorRegistry, now: Callable[[], datetime]
) -> Mapping[str, Route]:
    """Return what machines ask for; the probes of Kubernetes can show no token, so theirs are open."""

    def healthz(_asked: Asked) -> Answer:
        return spoken(ok=pulse.is_felt(), reasons=[] if pulse.is_felt() else ["scheduler-hangs"])

    def readyz(_asked: Asked) -> Answer:
        reasons = unready(standing(), now())
        return spoken(ok=not reasons, reasons=reasons)

    def metrics(asked: Asked) -> Answer:
        encode, kind = choose_encoder(asked.header("Accept"))
        return Answer(HTTPStatus.OK, in_parts(registry, encode), kind)

    return {
        "/healthz": Route(healthz, Access.OPEN),
        "/readyz": Route(readyz, Access.OPEN),
        "/metrics": Route(metrics),
    }


@dataclass(frozen=True, slots=True)
class Only(Collector):
    """Hands out some families."""

    families: Sequence[Metric]

    def collect(self) -> Iterable[Metric]:
        """Return them."""
        return self.families


def in_parts(registry: CollectorRegistry, encode: Callable[[Collector], bytes]) -> bytes:
    """Write each family by itself: a list of all lines at once takes several times what is written.

    OpenMetrics ends with a line of its own, which is all that is written of nothing.
    """
    end = encode(Only(()))
    return b"".join([*(encode(Only((family,))).removesuffix(end) for family in registry.collect()), end])


def spoken(*, ok: bool, reasons: list[str]) -> Answer:
    """Answer a probe."""
    body = json.dumps({"ok": ok, "reasons": reasons}).encode() + b"\n"
    return Answer(HTTPStatus.OK if ok else HTTPStatus.SERVICE_UNAVAILABLE, body)


def opened(routes: Mapping[str, Route]) -> Mapping[str, Route]:
    """Return the same for an address at which everybody may ask everything: inside a pod."""
    return {path: replace(route, access=Access.OPEN) for path, route in routes.items()}
