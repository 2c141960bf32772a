"""What is deployed to Kubernetes, rendered by ``kubectl kustomize``."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.docs.pages import blocks
from tests.docs.stages import PAGES
from tests.system.kubernetes.aged import age

Json = dict[str, Any]

ROOT = Path(__file__).parents[3] / "deploy" / "kubernetes"
OVERLAYS = sorted(path.parent.name for path in ROOT.glob("overlays/*/kustomization.yaml"))
WORKLOADS = sorted(path.parent.name for path in ROOT.glob("workloads/*/kustomization.yaml"))
STORES = sorted(path.parent.name for path in ROOT.glob("stores/*/kustomization.yaml"))
VERSIONS = ("1.33", "1.35", "1.37")
"""The oldest that is supported, the newest that kubernetes-validate knows, and one in between."""


def kubectl(*arguments: str) -> str:
    """Run kubectl without a cluster, and return what it printed."""
    done = subprocess.run(["kubectl", *arguments], capture_output=True, text=True, check=False)  # noqa: S603, S607 - Debian's
    assert done.returncode == 0, done.stderr
    return done.stdout


@cache
def is_aged() -> bool:
    """Say whether the kustomize in kubectl is older than the manifests; from 1.21 on kubectl tells its version."""
    version = json.loads(kubectl("version", "--client", "-o", "json"))
    return int(version["clientVersion"]["minor"].rstrip("+")) < 21


def _kustomized(folder: Path) -> list[Json]:
    return [found for found in yaml.safe_load_all(kubectl("kustomize", str(folder))) if found]


def render(folder: Path) -> list[Json]:
    """Render a folder."""
    if not is_aged():
        return _kustomized(folder)
    with tempfile.TemporaryDirectory() as out:
        age(folder, Path(out), _kustomized)
        return _kustomized(Path(out))


@cache
def overlay(name: str) -> Sequence[Json]:
    """Render one of the overlays that people copy."""
    return tuple(render(ROOT / "overlays" / name))


@cache
def combined(workload: str, *components: str) -> Sequence[Json]:
    """Render a workload with components, as an overlay of one's own puts them together."""
    with tempfile.TemporaryDirectory() as own:
        there = os.path.relpath(ROOT, os.path.realpath(own))
        whole = {
            "resources": [f"{there}/workloads/{workload}"],
            "components": [f"{there}/{component}" for component in components],
        }
        (Path(own) / "kustomization.yaml").write_text(yaml.safe_dump(whole), encoding="utf-8")
        return tuple(render(Path(own)))


def shown() -> Iterator[Json]:
    """Yield the objects that a reader copies out of a page; the namespace may be left to them."""
    for page in PAGES:
        for block in blocks(page):
            if block.language == "yaml" and "\napiVersion: " in f"\n{block.text}":
                for found in yaml.safe_load_all(block.text):
                    yield {**found, "metadata": {"namespace": "any", **found["metadata"]}}


def pods(objects: Sequence[Json]) -> Iterator[tuple[str, Json]]:
    """Yield the pod templates of workloads, each with the name of its kind."""
    for found in objects:
        spec = found.get("spec", {})
        template = spec.get("jobTemplate", found).get("spec", {}).get("template")
        if template:
            yield found["kind"], template
