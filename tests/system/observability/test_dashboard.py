"""The dashboard asks Prometheus for what there is: each of its queries is understood, and answered with data."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from rotator.service.metrics import METRICS
from tests.system.observability.lived import SCRAPE, lived
from tests.system.prometheus import Prometheus, backfill, prometheus

FOLDER = Path(__file__).parents[3] / "deploy" / "observability"
BOARD: Mapping[str, Any] = json.loads((FOLDER / "dashboard.json").read_text(encoding="utf-8"))
VARIABLES = {
    "$__rate_interval": "20m",
    "$__interval": "20m",
    "$__range_s": "14400",
    "$__range": "4h",
    "$cluster": "home|away",
    "$credential": "c0|c1|c2|c3",
}
"""What Grafana would put in, for four hours with a scrape every five minutes, and all chosen."""
FIRST = {"reason": "first-issue"}


def queries() -> Iterator[Any]:
    """Yield each query, by the title of its panel, without its variables."""
    for panel in BOARD["panels"]:
        for target in panel.get("targets", ()):
            yield pytest.param(filled(target["expr"]), id=f"{panel['title']} {target['refId']}")
    for note in BOARD["annotations"]["list"]:
        yield pytest.param(filled(note["expr"]), id=note["name"])


def filled(expression: str) -> str:
    """Put the variables in."""
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    assert "$" not in expression
    return expression


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Prometheus, datetime]]:
    """Run Prometheus on some hours of a service."""
    folder = tmp_path_factory.mktemp("seen")
    scrapes, end = lived(folder)
    counted = {f"{it.name}_count" if it.kind == "histogram" else it.name for it in METRICS}
    assert counted - scrapes.names == set(), "what is missing here makes a query look wrong"
    with prometheus(folder, {"scrape_configs": []}, data=backfill(folder, scrapes.openmetrics())) as server:
        yield server, end


@pytest.mark.parametrize("expression", list(queries()))
def test_a_query_is_answered(seen: tuple[Prometheus, datetime], expression: str) -> None:
    """With something that is a number, at some time in the shown range."""
    server, end = seen
    found = server.get(
        "query_range",
        query=expression,
        start=str((end - 48 * SCRAPE).timestamp()),
        end=str(end.timestamp()),
        step=str(SCRAPE.total_seconds()),
    )
    numbers = {value for series in found["result"] for _, value in series["values"]}
    assert numbers - {"NaN"}


def test_what_happened_for_the_first_time_is_shown_and_nothing_twice(seen: tuple[Prometheus, datetime]) -> None:
    """A counter that begins with it has nothing to rise from; one that is old when it is first heard of is no news."""
    server, end = seen
    (panel,) = [it for it in BOARD["panels"] if it["title"] == "Rotations by why"]
    shown = [
        sum(it.value for it in server.query(filled(panel["targets"][0]["expr"]), at) if it.labels == FIRST)
        for at in (end - number * SCRAPE for number in range(49))
    ]
    assert [value for value in reversed(shown) if value] == [4.0] * 4


def test_the_variables_offer_what_there_is(seen: tuple[Prometheus, datetime]) -> None:
    """Clusters and credentials by their names."""
    server, end = seen
    offered = {}
    for name in ("cluster", "credential"):
        ends = {"start": str((end - 48 * SCRAPE).timestamp()), "end": str(end.timestamp())}
        match = {"match[]": "rotate_credential_interval_seconds"}
        offered[name] = server.get(f"label/{name}/values", **ends, **match)
    assert offered == {"cluster": ["away", "home"], "credential": ["c0", "c1", "c2", "c3"]}
