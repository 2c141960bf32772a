"""What the Roles allow is what the product asks for: not one verb of one name more, and not one less."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from tests.kubernetes_secret.lab import KINDS
from tests.system.kubernetes.cluster import Site, configuration, site
from tests.system.kubernetes.manifests import OVERLAYS, Json, overlay

Watch = Callable[[str], None]
Right = tuple[str, ...]
"""A verb, a resource, a namespace, a name; without the name for what Kubernetes cannot limit to one."""
LEASE = "rotate"
MADE_BY: Mapping[Right, str] = {("create", "leases"): "update"}
"""What is made by a PUT, so that the right to make it can name it."""


def rights(objects: Sequence[Json]) -> Iterator[Right]:
    """Take the Roles apart."""
    for role in (one for one in objects if one["kind"] == "Role"):
        for rule in role["rules"]:
            for verb in rule["verbs"]:
                for resource in rule["resources"]:
                    for name in rule.get("resourceNames", [""]):
                        yield (verb, resource, role["metadata"]["namespace"], name)


def without(objects: Sequence[Json], right: Right) -> list[Json]:
    """Take one right out of the Roles, and leave all others."""
    verb, resource, namespace, name = right
    left = copy.deepcopy(list(objects))
    for role in (one for one in left if one["kind"] == "Role" and one["metadata"]["namespace"] == namespace):
        role["rules"] = [part for rule in role["rules"] for part in _less(rule, verb, resource, name)]
    assert set(rights(left)) == set(rights(objects)) - {right}
    return left


def _less(rule: Json, verb: str, resource: str, name: str) -> Iterator[Json]:
    names = rule.get("resourceNames", [""])
    if resource not in rule["resources"] or verb not in rule["verbs"] or name not in names:
        yield rule
        return
    if verbs := [left for left in rule["verbs"] if left != verb]:
        yield {**rule, "verbs": verbs}
    if others := [left for left in names if left != name]:
        yield {**rule, "verbs": [verb], "resourceNames": others}
    if others := [left for left in rule["resources"] if left != resource]:
        yield {**rule, "verbs": [verb], "resources": others}


def work(found: Site, *, leads: bool) -> bool:
    """Do all that the product does: a first token, another one, all looks, an election; say whether all went well."""
    well = found.call("due").exit_code == 0
    well &= found.call("now", *found.names).exit_code == 0
    for command in ("plan", "status", "verify", "doctor"):
        well &= found.call(command).exit_code == 0
    return well and (not leads or elected(found))


def elected(found: Site) -> bool:
    """Take the lease, renew it, give it back, and let another one take it, as two instances do."""
    first, second = found.candidate("first", LEASE), found.candidate("second", LEASE)
    for step in (first.attempt, first.attempt, second.attempt):
        step()
    is_first = first.leads() and not second.leads()
    first.resign()
    second.attempt()
    return is_first and second.leads() and second.standing().holder == "second"


KUBERNETES = [name for name in OVERLAYS if any(one["kind"] == "Role" for one in overlay(name))]
RIGHTS = [(name, right) for name in KUBERNETES for right in rights(overlay(name))]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", KUBERNETES)
def test_the_roles_allow_what_is_asked_and_nothing_else(kind: str, name: str, tmp_path: Path, watch: Watch) -> None:
    """Each call finds its right, and each right is used."""
    with site(kind, overlay(name), tmp_path, watch) as found:
        assert work(found, leads="service" in configuration(overlay(name)))
    assert {call.status for call in found.calls()} <= {200, 201, 404}
    assert kind == "live" or found.asked() == set(rights(overlay(name)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("name", "right"), RIGHTS, ids=lambda it: "-".join(it) if isinstance(it, tuple) else it)
def test_without_one_right_something_fails(kind: str, name: str, right: Right, tmp_path: Path, watch: Watch) -> None:
    """It is refused by the API server, and somebody is told."""
    with site(kind, without(overlay(name), right), tmp_path, watch) as found:
        assert not work(found, leads="service" in configuration(overlay(name)))
    refused = {(call.request.verb, call.request.plural) for call in found.calls() if call.status == 403}
    assert kind == "live" or refused == {(MADE_BY.get(right[:2], right[0]), right[1])}
