"""The manifests are what Kubernetes takes, in three of its versions, and say what they are to say."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.docs.pages import blocks
from tests.system.kubernetes.custom import FOREIGN
from tests.system.kubernetes.manifests import (
    OVERLAYS,
    ROOT,
    STORES,
    VERSIONS,
    WORKLOADS,
    Json,
    combined,
    overlay,
    render,
    shown,
)

PAGE = "deploy/kubernetes/README.md"


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


@pytest.mark.parametrize("version", VERSIONS)
def test_what_pages_show_is_valid(version: str) -> None:
    """The Roles that a reader copies out of the text, too."""
    found = own(shown())
    assert {it["kind"] for it in found} >= {"Role", "RoleBinding"}
    for it in found:
        check(version, yaml.safe_dump(it))


def is_egress(found: Json) -> bool:
    """Say whether it is the policy about what is reached."""
    return (found["kind"], found["metadata"]["name"]) == ("NetworkPolicy", "rotate")


@pytest.mark.parametrize("name", [name for name in OVERLAYS if any(map(is_egress, overlay(name)))])
def test_the_patch_of_the_page_narrows_what_is_reached_of_pve(name: str, tmp_path: Path) -> None:
    """In an overlay of one's own on top of any other: PVE's port at those addresses, and nothing else is changed."""
    ((patch,),) = [yaml.safe_load(it.text)["patches"] for it in blocks(PAGE) if it.text.startswith("patches:")]
    (tmp_path / "patch.yaml").write_text(patch["patch"], encoding="utf-8")
    there = os.path.relpath(ROOT / "overlays" / name, os.path.realpath(tmp_path))
    whole = {"resources": [there], "patches": [{"target": patch["target"], "path": "patch.yaml"}]}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(whole), encoding="utf-8")
    (before,) = [it["spec"]["egress"] for it in overlay(name) if is_egress(it)]
    (found,) = [it for it in render(tmp_path) if is_egress(it)]
    to_pve = {"ports": [{"protocol": "TCP", "port": 8006}], "to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}]}
    assert found["spec"]["egress"] == [before[0], to_pve, *before[2:]]
    check(VERSIONS[-1], yaml.safe_dump(found))
