"""What a kubelet does with a pod of ours, done with Docker: its command, its user, its limits, its mounts, and no more.

A field of the manifest that is not known here fails: nothing that it says is left out silently.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.system.container.daemon import Docker

Json = dict[str, Any]
Given = Mapping[str, Mapping[str, str] | str]
"""The files of each ConfigMap and Secret by its name, and the token for each audience."""

OF_THE_CLUSTER = {
    *("serviceAccountName", "automountServiceAccountToken", "enableServiceLinks"),
    *("restartPolicy", "terminationGracePeriodSeconds"),
}
"""What a pod says to Kubernetes, and not of how its container runs."""
POD = OF_THE_CLUSTER | {"securityContext", "containers", "volumes"}
CONTAINER = {"name", "image", "command", "args", "env", "securityContext", "resources", "volumeMounts"}
UNITS = {"Mi": 1 << 20, "Gi": 1 << 30}


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod with one container, and a folder in which its volumes are made."""

    spec: Json
    folder: Path
    given: Given = field(repr=False)

    @property
    def container(self) -> Json:
        """Its one container."""
        (found,) = self.spec["containers"]
        return dict(found)

    def run(self, docker: Docker, image: str) -> subprocess.CompletedProcess[str]:
        """Run it to its end, on the network of this machine."""
        more = [*self.container.get("command", [])[1:], *self.container.get("args", [])]
        return docker.run("run", "--rm", "--network=host", *self.options(), image, *more)

    def options(self) -> list[str]:
        """List what the manifest says, in Docker's words."""
        assert self.spec.keys() <= POD, self.spec.keys() - POD
        assert self.container.keys() <= CONTAINER, self.container.keys() - CONTAINER
        mounts = [f"--volume={self._volume(one['name'])}:{one['mountPath']}:ro" for one in self._mounts()]
        environ = [f"--env={one['name']}={one['value']}" for one in self.container.get("env", [])]
        memory = self.container["resources"]["limits"]["memory"]
        limit = f"--memory={int(memory[:-2]) * UNITS[memory[-2:]]}"
        entry = self.container.get("command", [])
        return [*self._security(), *mounts, *environ, limit, *([f"--entrypoint={entry[0]}"] if entry else [])]

    def _mounts(self) -> Iterator[Json]:
        for one in self.container["volumeMounts"]:
            assert one.keys() <= {"name", "mountPath", "readOnly"}
            assert one["readOnly"]
            yield one

    def _security(self) -> Iterator[str]:
        ours, whole = self.container["securityContext"], self.spec["securityContext"]
        assert whole.keys() == {"runAsNonRoot", "runAsUser", "runAsGroup", "fsGroup", "seccompProfile"}
        assert whole["seccompProfile"] == {"type": "RuntimeDefault"}  # Docker's own, unless it is told otherwise
        assert ours.keys() == {"allowPrivilegeEscalation", "readOnlyRootFilesystem", "capabilities"}
        yield f"--user={whole['runAsUser']}:{whole['runAsGroup']}"
        yield f"--group-add={whole['fsGroup']}"
        if ours["readOnlyRootFilesystem"]:
            yield "--read-only"
        if not ours["allowPrivilegeEscalation"]:
            yield "--security-opt=no-new-privileges"
        for name in ours["capabilities"]["drop"]:
            yield f"--cap-drop={name}"

    def _volume(self, name: str) -> Path:
        """Make a volume as a kubelet does: files of one group, behind links that a change moves all at once."""
        (volume,) = [one["projected"] for one in self.spec["volumes"] if one["name"] == name]
        place = self.folder / name
        held = place / "..2026"
        held.mkdir(parents=True, exist_ok=True)
        for path, text in self._files(volume["sources"]):
            file = held / path
            file.write_text(text, encoding="utf-8")
            os.chown(file, 0, self.spec["securityContext"]["fsGroup"])
            file.chmod(volume["defaultMode"])
            (place / path).unlink(missing_ok=True)
            (place / path).symlink_to(Path("..data", path))
        (place / "..data").unlink(missing_ok=True)
        (place / "..data").symlink_to("..2026")
        for folder in (self.folder, place, held):
            folder.chmod(0o755)
        return place

    def _files(self, sources: list[Json]) -> Iterator[tuple[str, str]]:
        for source in sources:
            ((kind, what),) = source.items()
            if kind == "serviceAccountToken":
                yield what["path"], str(self.given[what["audience"]])
                continue
            assert kind in ("configMap", "secret"), kind
            held = self.given[what["name"]]
            assert not isinstance(held, str)
            yield from ((item["path"], held[item["key"]]) for item in what["items"])
