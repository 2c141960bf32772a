"""The Role in the document is enough, and not one verb of it is too much."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from rotator.errors import RefusedError
from rotator.testing.backend_contract import pair
from rotator.testing.kubernetes import Rule
from rotator_backends.kubernetes_secret import KubernetesBackend
from tests.kubernetes_secret.lab import NAMESPACE, ROTATOR, SimulatedLab

DOCUMENT = Path(__file__).parents[2] / "backends" / "kubernetes.md"


def blocks() -> Iterator[Any]:
    """Yield all that the document has as YAML."""
    for text in re.findall(r"^```yaml\n(.*?)^```", DOCUMENT.read_text(), re.DOTALL | re.MULTILINE):
        yield from yaml.safe_load_all(text)


ROLE, BINDING = (next(found for found in blocks() if found.get("kind") == kind) for kind in ("Role", "RoleBinding"))
RULES = tuple(Rule.parse(rule) for rule in ROLE["rules"])
VERBS = [(number, verb) for number, rule in enumerate(RULES) for verb in rule.verbs]


def example() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the settings of the backend and of the destination that the document shows."""
    shown = next(found for found in blocks() if "backends" in found)
    (backend,) = (dict(found) for found in shown["backends"].values())
    (destination,) = (dict(found["destination"]) for found in shown["credentials"])
    assert (backend.pop("type"), destination.pop("backend")) == ("kubernetes", *shown["backends"])
    return backend, destination


def rotate(lab: SimulatedLab, rules: tuple[Rule, ...]) -> None:
    """Publish a first record and a second one with these rules, as the document's example has it."""
    lab.cluster.bindings.clear()
    lab.cluster.bind(ROTATOR, rules, namespace=ROLE["metadata"]["namespace"])
    lab.cluster.add_workload("Deployment", NAMESPACE, "web")
    settings, destination = example()
    backend = KubernetesBackend.configure({"kubeconfig": str(lab.kubeconfig), **settings})
    try:
        location, _ = backend.locate(destination)
        for number in (1, 2):
            stored = backend.read(location)
            backend.preflight(location)
            backend.write(location, pair(number), expected=stored.version if stored else None)
            backend.announce(location, rotation=f"r-{number}")
    finally:
        backend.close()


def test_the_documented_role_is_enough(lab: SimulatedLab) -> None:
    """For a first record, a second one, and the restarts."""
    rotate(lab, RULES)
    assert lab.cluster.data(NAMESPACE, "ci")["token_secret"] == pair(2)["token_secret"].reveal().encode()
    assert lab.cluster.workload("Deployment", NAMESPACE, "web")["metadata"]["generation"] == 3
    assert {call.status for call in lab.cluster.calls} <= {200, 201, 404}


@pytest.mark.parametrize(("number", "verb"), VERBS)
def test_no_verb_of_the_documented_role_is_too_much(lab: SimulatedLab, number: int, verb: str) -> None:
    """Without any one of them something is refused, and the hint names just that verb."""
    rules = list(RULES)
    rules[number] = replace(rules[number], verbs=tuple(left for left in rules[number].verbs if left != verb))
    with pytest.raises(RefusedError) as caught:
        rotate(lab, tuple(rules))
    assert caught.value.hint.endswith(f"verbs: [{verb}]}}")
    lab.cluster.bindings.clear()


def test_what_is_named_in_the_role_is_all_that_is_reached(lab: SimulatedLab) -> None:
    """Another Secret of the same namespace stays out of reach."""
    lab.cluster.add_secret(NAMESPACE, "other", {"a": b"1"})
    rotate(lab, RULES)
    backend = lab.backend()
    with pytest.raises(RefusedError, match="may not get it"):
        backend.read(backend.locate({"name": "other"})[0])
    backend.close()


def test_the_role_is_bound_to_the_account_and_has_no_wildcards() -> None:
    """What is pasted from the document fits together."""
    assert BINDING["roleRef"]["name"] == ROLE["metadata"]["name"]
    assert BINDING["metadata"]["namespace"] == ROLE["metadata"]["namespace"]
    assert "*" not in repr(RULES)
