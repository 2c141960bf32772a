"""The Pod Security Standard ``restricted``, as its page in the documentation of Kubernetes lists it. Pure.

The admission plug-in of a real API server says the same of every template here (measured on 1.34); it is not taken
because it is a part of that server.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
PROFILES = {"RuntimeDefault", "Localhost"}
ROOT = 0


def faults(template: Json) -> Iterator[str]:
    """Name what the standard forbids, and what it demands and is not there."""
    spec = template["spec"]
    yield from (key for key in ("hostNetwork", "hostPID", "hostIPC") if spec.get(key))
    whole = spec.get("securityContext", {})
    if whole.get("sysctls"):
        yield "sysctls"
    for volume in spec.get("volumes", ()):
        yield from (f"volume {kind}" for kind in volume.keys() - VOLUMES - {"name"})
    for container in (*spec.get("initContainers", ()), *spec["containers"]):
        yield from _faults(container, whole)


def _faults(container: Json, whole: Json) -> Iterator[str]:
    own = container.get("securityContext", {})
    both = {**whole, **own}
    kept = {
        "privileged": not own.get("privileged"),
        "allowPrivilegeEscalation": own.get("allowPrivilegeEscalation") is False,
        "runAsNonRoot": both.get("runAsNonRoot") is True,
        "runAsUser": both.get("runAsUser") != ROOT,
        "seccompProfile": both.get("seccompProfile", {}).get("type") in PROFILES,
        "procMount": own.get("procMount", "Default") == "Default",
        "seLinuxOptions": not both.get("seLinuxOptions"),
        "capabilities": _are_dropped(own.get("capabilities", {})),
        "hostPort": not any(port.get("hostPort") for port in container.get("ports", ())),
    }
    yield from (rule for rule, is_kept in kept.items() if not is_kept)


def _are_dropped(capabilities: Json) -> bool:
    return capabilities.get("drop") == ["ALL"] and set(capabilities.get("add", ())) <= {"NET_BIND_SERVICE"}
