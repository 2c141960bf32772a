"""The alerts, the dashboard and the runbook speak of the metrics that there are, and of each other."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import yaml

from rotator.errors import ExitCode
from rotator.service.metrics import METRICS, Kind
from rotator.service.standing import State

FOLDER = Path(__file__).parents[2] / "deploy" / "observability"
RULES = [
    rule
    for group in yaml.safe_load((FOLDER / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
BOARD: dict[str, Any] = json.loads((FOLDER / "dashboard.json").read_text(encoding="utf-8"))
RUNBOOK = (FOLDER / "runbook.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", RUNBOOK, re.MULTILINE | re.DOTALL))
SERIES = {
    name: metric
    for metric in METRICS
    for name in (
        [f"{metric.name}_{end}" for end in ("bucket", "sum", "count")]
        if metric.kind is Kind.HISTOGRAM
        else [metric.name]
    )
}
OF_A_TARGET = {"job", "instance", "owner", "shard", "le"}
"""Labels that Prometheus, a Pushgateway or a histogram adds."""
SELECTED = re.compile(r"\b(rotate_\w+)(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)=~?"([^"]*)"')


def expressions() -> list[str]:
    """List all that is asked of Prometheus."""
    asked = [rule["expr"] for rule in RULES] + [it["expr"] for it in BOARD["annotations"]["list"]]
    asked += [target["expr"] for panel in BOARD["panels"] for target in panel.get("targets", ())]
    return asked + [it["definition"] for it in BOARD["templating"]["list"] if it["type"] == "query"]


def selected() -> Iterator[tuple[str, dict[str, str]]]:
    """Yield each series that is asked for, with what is asked of its labels."""
    for expression in expressions():
        for found in SELECTED.finditer(expression):
            yield found[1], dict(MATCHER.findall(found[2] or ""))


def test_every_series_that_is_asked_for_exists() -> None:
    """With the labels by which it is chosen."""
    chosen = list(selected())
    assert len(chosen) > 100
    wrong = [(name, labels) for name, labels in chosen if not set(labels) <= set(SERIES[name].labels) | OF_A_TARGET]
    assert wrong == []


def test_every_metric_is_asked_for() -> None:
    """But the age: what is left of it when a single run told it is wrong, so it is reckoned from the time of issue."""
    asked = {SERIES[name].name for name, _ in selected()}
    assert {metric.name for metric in METRICS} - asked == {"rotate_token_age_seconds"}


def test_every_value_of_a_label_is_a_word_of_the_product() -> None:
    """A state that does not exist would never fire."""
    known: dict[str, set[str]] = {
        "state": {*State},
        "outcome": {code.name.lower().replace("_", "-") for code in ExitCode},
    }
    for _, labels in selected():
        for label, value in labels.items():
            if not value.startswith("$"):
                assert set(value.split("|")) <= known[label]


def test_every_label_by_which_is_grouped_is_one_of_the_product_s() -> None:
    """So is each that a legend or an annotation shows."""
    known = {label for metric in METRICS for label in metric.labels} | OF_A_TARGET
    grouped = {
        label.strip()
        for expression in expressions()
        for listed in re.findall(r"\b(?:by|on) \(([^)]*)\)", expression)
        for label in listed.split(",")
    }
    legends = [target["legendFormat"] for panel in BOARD["panels"] for target in panel.get("targets", ())]
    shown = set(re.findall(r"\{\{(\w+)\}\}", " ".join(legends)))
    told = re.findall(r"\$labels\.(\w+)", json.dumps(RULES))
    assert (grouped | shown | set(told)) - known == set()


def test_an_alert_tells_only_labels_that_it_has() -> None:
    """What its expression sums up by."""
    for rule in RULES:
        kept = re.search(r"\bby \(([^)]*)\)", rule["expr"])
        labels = {label.strip() for label in kept[1].split(",")} if kept else set()
        assert set(re.findall(r"\$labels\.(\w+)", json.dumps(rule["annotations"]))) <= labels, rule["alert"]


def test_each_alert_has_its_runbook_and_each_runbook_its_alert() -> None:
    """In the same order, under the address that the alert gives."""
    assert list(SECTIONS) == [rule["alert"] for rule in RULES]
    for rule in RULES:
        assert rule["annotations"]["runbook_url"] == f"deploy/observability/runbook.md#{rule['alert'].lower()}"
        assert rule["labels"]["severity"] in {"critical", "warning"}


def test_each_section_of_the_runbook_says_what_one_needs_in_the_night() -> None:
    """What it means, what is live, what to look at, what mends it: in this order."""
    for name, text in SECTIONS.items():
        assert re.findall(r"^\*\*(\w+(?: at)?)\*\*", text, re.MULTILINE) == ["Means", "Live", "Look at", "Mended"], name


def test_no_two_panels_lie_on_each_other() -> None:
    """Each has its place and its number."""
    places = {panel["id"]: panel["gridPos"] for panel in BOARD["panels"]}
    assert len(places) == len(BOARD["panels"])
    for one, other in combinations(places.values(), 2):
        apart = (
            one["x"] + one["w"] <= other["x"]
            or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"]
            or other["y"] + other["h"] <= one["y"]
        )
        assert apart
    assert all(place["x"] + place["w"] <= 24 for place in places.values())
