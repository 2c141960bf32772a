"""The manifests are what Kubernetes takes, in three of its versions, and say what they are to say."""

from __future__ import annotations

import functools
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.system.kubernetes.custom import FOREIGN
from tests.system.kubernetes.manifests import OVERLAYS, STORES, WORKLOADS, Json, combined, overlay

VERSIONS = ("1.33", "1.35", "1.37")
"""The oldest that is supported, the newest that kubernetes-validate knows, and one in between."""


@functools.cache
def check(version: str, text: str) -> None:
    """Validate an object, once for each version; unknown fields are faults."""
    kubernetes_validate.validate(yaml.safe_load(text), version, strict=True)


def own(objects: Any) -> list[Json]:  # noqa: ANN401 - objects
    """Leave out what Kubernetes does not define itself; ``test_custom`` has the rest."""
    return [found for found in objects if not found["apiVersion"].startswith(FOREIGN)]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", OVERLAYS)
def test_an_overlay_is_valid(name: str, version: str) -> None:
    """In each of three versions, to the last field."""
    for found in own(overlay(name)):
        check(version, yaml.safe_dump(found))


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("workload", WORKLOADS)
def test_each_way_to_run_goes_with_each_store(workload: str, store: str) -> None:
    """Whatever somebody puts together."""
    for found in own(combined(workload, f"stores/{store}")):
        check(VERSIONS[-1], yaml.safe_dump(found))
