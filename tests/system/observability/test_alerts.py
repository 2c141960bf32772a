"""The alerts of ``deploy/observability`` fire when they should and only then, and their tests would notice a change."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.system.prometheus import promtool

FOLDER = Path(__file__).parents[3] / "deploy" / "observability"
LEADS = re.compile(r"\s+unless on \(job, instance\) rotate_leader == 0")
CHANGES: tuple[tuple[re.Pattern[str], str], ...] = (
    (LEADS, ""),
    (re.compile(r" < "), " <= "),
    (re.compile(r" > "), " >= "),
    (re.compile(r" >= "), " > "),
    (re.compile(r" == 1\b"), " >= 0"),
    (re.compile(r"\) == 0\b"), ") <= 1"),
    (re.compile(r"\n\s*unless on \(job, cluster, credential\)[\s\S]*"), ""),
    (re.compile(r"\n\s*or .*"), ""),
)
"""What is looked for in an expression, and what is put there instead, one place at a time."""

Rule = dict[str, Any]


def read(name: str) -> Any:  # noqa: ANN401 - YAML
    """Read a file of the folder."""
    return yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))


RULES: Mapping[str, Rule] = {rule["alert"]: rule for group in read("alerts.yaml")["groups"] for rule in group["rules"]}
TESTS: list[dict[str, Any]] = read("alerts.test.yaml")["tests"]


@dataclass(frozen=True)
class Change:
    """A rule with something else in one place."""

    what: str
    rule: Rule


def changes(rule: Rule) -> Iterator[Change]:
    """Yield a rule with one thing changed each time."""
    expression = rule["expr"]
    for pattern, instead in CHANGES:
        for found in pattern.finditer(expression):
            changed = expression[: found.start()] + instead + expression[found.end() :]
            yield Change(f"{found[0].strip()!r} at {found.start()}", {**rule, "expr": changed})
    minutes = _minutes(rule.get("for", "0m"))
    for other in {0, minutes - 1, minutes + 1} - {minutes, -1}:
        yield Change(f"for {other}m", {**rule, "for": f"{other}m"})


def _minutes(text: str) -> int:
    return int(text[:-1]) * {"m": 1, "h": 60}[text[-1]]


def about(alert: str) -> list[dict[str, Any]]:
    """Return the tests of one alert."""
    return [test for test in TESTS if all(one["alertname"] == alert for one in test["alert_rule_test"])]


def tried(folder: Path, name: str, rule: Rule, tests: list[dict[str, Any]]) -> Path:
    """Write the tests of a rule beside the rule; returns their file."""
    rules, file = folder / f"{name}.rules.yaml", folder / f"{name}.yaml"
    rules.write_text(yaml.safe_dump({"groups": [{"name": "one", "rules": [rule]}]}), encoding="utf-8")
    whole = {"rule_files": [rules.name], "evaluation_interval": "1m", "tests": deepcopy(tests)}
    file.write_text(yaml.safe_dump(whole), encoding="utf-8")
    return file


def test_the_rules_are_rules() -> None:
    """As promtool reads them, without a duplicate."""
    checked = promtool("check", "rules", FOLDER / "alerts.yaml")
    assert (checked.returncode, checked.stderr) == (0, "")
    assert f"{len(RULES)} rules found" in checked.stdout


@pytest.mark.parametrize("alert", RULES)
def test_an_alert_fires_when_it_should_and_only_then(alert: str, tmp_path: Path) -> None:
    """Its tests pass; with anything in it changed, one of them fails: a bound, a wait, whom it leaves out."""
    tests = about(alert)
    assert {bool(one["exp_alerts"]) for test in tests for one in test["alert_rule_test"]} == {True, False}
    whole = promtool("test", "rules", tried(tmp_path, "whole", RULES[alert], tests))
    assert whole.returncode == 0, whole.stdout + whole.stderr
    survivors = []
    for number, change in enumerate(changes(RULES[alert])):
        if promtool("test", "rules", tried(tmp_path, str(number), change.rule, tests)).returncode == 0:
            survivors.append(change.what)
    assert survivors == []


def test_each_test_is_about_one_alert() -> None:
    """So that all of them are run above."""
    assert sum(len(about(alert)) for alert in RULES) == len(TESTS)
