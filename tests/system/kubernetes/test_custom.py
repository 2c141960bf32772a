"""Our custom resources are what their operators take, to the last field."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from tests.system.kubernetes.custom import FOREIGN, OURS, PLACES, faults, theirs, violations
from tests.system.kubernetes.manifests import ROOT, Json, combined, render, shown

CONSUMERS = sorted(path.parent.name for path in ROOT.glob("consumers/*/kustomization.yaml"))
MONITORS = sorted(path.parent.name for path in ROOT.glob("monitoring/*/kustomization.yaml"))
RENDERED = [
    *(one for name in CONSUMERS for one in render(ROOT / "consumers" / name)),
    *(one for name in MONITORS for one in combined("service", f"monitoring/{name}")),
]
LYING = [one for one in RENDERED if one["apiVersion"].startswith(FOREIGN)]
CUSTOM = [*LYING, *(one for one in shown() if one["apiVersion"].startswith(FOREIGN))]
EACH = pytest.mark.parametrize("found", CUSTOM, ids=[one["kind"] for one in CUSTOM])
PLACED = pytest.mark.parametrize("place", PLACES)
DEFINITION = {
    "spec": {
        "group": "example.com",
        "names": {"kind": "Thing"},
        "versions": [
            {
                "name": "v1",
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "apiVersion": {"type": "string"},
                            "kind": {"type": "string"},
                            "metadata": {"type": "object"},
                            "spec": {
                                "type": "object",
                                "required": ["size"],
                                "properties": {
                                    "size": {"type": "integer"},
                                    "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                                    "free": {
                                        "type": "object",
                                        "properties": {"a": {"type": "string"}},
                                        "x-kubernetes-preserve-unknown-fields": True,
                                    },
                                    "parts": {
                                        "type": "array",
                                        "items": {"type": "object", "properties": {"b": {"type": "string"}}},
                                    },
                                },
                            },
                        },
                    }
                },
            }
        ],
    }
}
"""A definition as an operator brings it."""


@PLACED
@EACH
def test_a_custom_resource_is_valid(found: Json, place: str) -> None:
    """By our own closed schema, and by the definition itself where there is one."""
    assert faults(found, place) == []


def test_every_custom_resource_has_a_schema() -> None:
    """All that lies in the folders is rendered, none of it is left out, and no schema is for nothing."""
    lying = {line.removeprefix("kind: ") for path in ROOT.rglob("*.yaml") for line in _kinds(path.read_text("utf-8"))}
    assert {one["kind"] for one in LYING} == lying
    assert {(one["apiVersion"], one["kind"]) for one in CUSTOM} == OURS.keys()


def _kinds(text: str) -> Iterator[str]:
    """Yield the lines with the kinds of objects that others define."""
    for whole in text.split("\n---\n"):
        lines = whole.splitlines()
        if any(line.startswith("apiVersion: ") and line.split()[1].startswith(FOREIGN) for line in lines):
            yield from (line for line in lines if line.startswith("kind: "))


def places_in(found: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:  # noqa: ANN401 - JSON
    """Yield the way to every field of a specification."""
    inner = found.items() if isinstance(found, dict) else enumerate(found) if isinstance(found, list) else ()
    for key, value in inner:
        if isinstance(key, str) and "matchLabels" not in path:
            yield (*path, key)
        yield from places_in(value, (*path, key))


def changed(found: Json, path: tuple[Any, ...], *, name: str, value: Any = None) -> Json:  # noqa: ANN401 - JSON
    """Call a field otherwise, or give it another value."""
    whole = copy.deepcopy(found)
    place: Any = whole["spec"]
    for step in path[:-1]:
        place = place[step]
    place[name] = place.pop(path[-1]) if value is None else value
    return whole


@PLACED
@EACH
def test_a_mistyped_field_is_noticed(found: Json, place: str) -> None:
    """Wherever it stands: each field in turn has a letter too many."""
    for path in places_in(found["spec"]):
        assert faults(changed(found, path, name=f"{path[-1]}s"), place), path


@PLACED
@EACH
def test_a_value_of_another_type_is_noticed(found: Json, place: str) -> None:
    """Each field in turn is a number, which none of ours is."""
    for path in places_in(found["spec"]):
        assert faults(changed(found, path, name=path[-1], value=7), place), path


@EACH
def test_what_is_required_is_missed(found: Json) -> None:
    """A resource without a specification, and a specification with nothing in it."""
    for broken in ({key: value for key, value in found.items() if key != "spec"}, {**found, "spec": {}}):
        assert faults(broken, "ours")
    assert faults({**found, "apiVersion": f"{found['apiVersion']}alpha1"}, "ours")


@pytest.mark.parametrize(
    ("spec", "is_valid"),
    [
        ({"size": 1, "labels": {"any": "word"}, "free": {"any": 1}, "parts": [{"b": "x"}]}, True),
        ({}, False),
        ({"size": "1"}, False),
        ({"size": 1, "sizes": 1}, False),
        ({"size": 1, "labels": {"any": 1}}, False),
        ({"size": 1, "parts": [{"c": "x"}]}, False),
    ],
)
def test_a_definition_is_read_as_an_api_server_reads_it(spec: Json, is_valid: bool) -> None:  # noqa: FBT001 - a row of a table
    """Fields that it does not name are faults, but where it says that they are kept."""
    ((kind, schema),) = theirs(DEFINITION)
    assert kind == ("example.com/v1", "Thing")
    found = {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "x"}, "spec": spec}
    assert (violations(found, schema) == []) is is_valid
