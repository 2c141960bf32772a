"""The paths for probes and for Prometheus."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from http import HTTPStatus

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from rotator.service.health import Pulse, unready
from rotator.service.standing import Standing
from rotator.service.web import Answer, Environ, Route


def routes(
    standing: Callable[[], Standing], pulse: Pulse, registry: CollectorRegistry, now: Callable[[], datetime]
) -> Mapping[str, Route]:
    """Return what a service answers; the probes of Kubernetes can show no token, so theirs are open."""

    def healthz(_environ: Environ) -> Answer:
        return spoken(ok=pulse.is_felt(), reasons=[] if pulse.is_felt() else ["scheduler-hangs"])

    def readyz(_environ: Environ) -> Answer:
        reasons = unready(standing(), now())
        return spoken(ok=not reasons, reasons=reasons)

    def metrics(environ: Environ) -> Answer:
        encode, kind = choose_encoder(environ.get("HTTP_ACCEPT", ""))
        return Answer(HTTPStatus.OK, encode(registry), kind)

    return {
        "/healthz": Route(healthz, is_open=True),
        "/readyz": Route(readyz, is_open=True),
        "/metrics": Route(metrics),
    }


def spoken(*, ok: bool, reasons: list[str]) -> Answer:
    """Answer a probe."""
    body = json.dumps({"ok": ok, "reasons": reasons}).encode() + b"\n"
    return Answer(HTTPStatus.OK if ok else HTTPStatus.SERVICE_UNAVAILABLE, body)
