"""A kustomization in the words of kustomize 2.0, which kubectl 1.20 of Debian 12 has built in.

The manifests are written for kustomize 4 and newer (kubectl 1.21): components, patches with targets, folders among the
resources. Where a machine has nothing newer, the same is said here by bases, and by patches for one object each.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

Json = dict[str, Any]
Render = Callable[[Path], Sequence[Json]]
KNOWN = ("configMapGenerator", "generatorOptions", "images")
"""What was said as it is today."""


def age(folder: Path, out: Path, render: Render) -> None:
    """Write what a folder says to another one; what it refers to goes below that."""
    whole = yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf-8"))
    stage, last = {key: value for key, value in whole.items() if key in ("resources", *KNOWN[:2])}, out / "stage"
    _write(folder, stage, last, (), render)
    for number, component in enumerate(whole.get("components", ())):
        found, before = folder / component, last
        last = out / f"component-{number}"
        part = yaml.safe_load((found / "kustomization.yaml").read_text(encoding="utf-8"))
        _write(found, part, last, [f"../{before.name}"], render)
    rest = {key: value for key, value in whole.items() if key in ("patches", "images")}
    _write(folder, rest, out, [last.name], render)


def _write(folder: Path, whole: Json, out: Path, bases: Sequence[str], render: Render) -> None:
    """Write one folder: what is below it first, then what is patched, which depends on what is there."""
    out.mkdir(parents=True, exist_ok=True)
    said: Json = {"bases": [*bases], "resources": [], **{key: whole[key] for key in KNOWN if key in whole}}
    for number, name in enumerate(whole.get("resources", ())):
        if (folder / name).is_dir():
            age(folder / name, out / f"base-{number}", render)
            said["bases"].append(f"base-{number}")
        else:
            shutil.copy(folder / name, out)
            said["resources"].append(name)
    for generator in whole.get("configMapGenerator", ()):
        for name in generator["files"]:
            shutil.copy(folder / name, out)
    _say(out, said)
    if patches := whole.get("patches"):
        _say(out, {**said, **_patched(folder, patches, out, render(out))})


def _say(out: Path, said: Json) -> None:
    (out / "kustomization.yaml").write_text(json.dumps(said), encoding="utf-8")


def _patched(folder: Path, patches: Sequence[Mapping[str, Any]], out: Path, objects: Sequence[Json]) -> Json:
    """Say each patch once for each object that it is about, none included."""
    merged, listed = [], []
    for patch in patches:
        body = yaml.safe_load((folder / patch["path"]).read_text(encoding="utf-8"))
        for found in _about(patch["target"], objects):
            name = f"{found['kind']}-{patch['path']}".lower()
            if isinstance(body, list):
                (out / name).write_text(json.dumps(body), encoding="utf-8")
                group, _, version = found["apiVersion"].rpartition("/")
                target = {"group": group, "version": version, "kind": found["kind"], "name": found["metadata"]["name"]}
                listed.append({"target": target, "path": name})
            else:
                where = {"name": found["metadata"]["name"], "namespace": found["metadata"].get("namespace", "")}
                whole = {**body, "metadata": {**body["metadata"], **where}}
                (out / name).write_text(json.dumps(whole), encoding="utf-8")
                merged.append(name)
    return {"patchesStrategicMerge": merged, "patchesJson6902": listed}


def _about(target: Mapping[str, str], objects: Sequence[Json]) -> Iterator[Json]:
    for found in objects:
        names = {"kind": found["kind"], "name": found["metadata"]["name"]}
        if all(re.fullmatch(pattern, names[key]) for key, pattern in target.items()):
            yield found


def main(program: str, *arguments: str) -> int:
    """Run kubectl, and tell it in its own words what a folder after ``-k`` or ``kustomize`` says."""
    words = list(arguments)
    with tempfile.TemporaryDirectory() as out:
        for number, word in enumerate(words[:-1], 1):
            if word in ("-k", "kustomize"):
                age(Path(words[number]), Path(out), lambda folder: _rendered(program, folder))
                words[number] = out
        return subprocess.run([program, *words], check=False).returncode  # noqa: S603 - kubectl, as somebody typed it


def _rendered(program: str, folder: Path) -> list[Json]:
    done = subprocess.run([program, "kustomize", folder], capture_output=True, check=True)  # noqa: S603 - kubectl
    return [found for found in yaml.safe_load_all(done.stdout) if found]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
