"""Restarting workloads as ``kubectl rollout restart`` does: a new annotation on the pod template makes new pods.

A second annotation there names the rotation, so that a repeat finds what is done. Both are written in one patch that
names the resourceVersion: of two rotators that do the same at once one meets a conflict, looks again and finds it done.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol

from rotator.errors import ConflictError, NotFoundError, RefusedError, UnavailableError
from rotator_backends.kubernetes_answer import Call, Json, NoDryRunError, Verb, version_in
from rotator_backends.kubernetes_settings import Kind, Workload

RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
ROTATION = "proxmox-token-rotator/rotation"
TRIES = 10
"""A controller that reports its status makes a new resourceVersion, too."""


class Caller(Protocol):
    """What calls the API: ``kubernetes_client.Cluster``."""

    server: str

    def find(self, call: Call) -> Json | None:
        """Get an object, None where there is none."""
        ...

    def call(self, call: Call, body: Json | None = None) -> Json:
        """Make one call."""
        ...


def rehearse(cluster: Caller, namespace: str, workload: Workload) -> None:
    """Return when a workload could be restarted now, changing nothing.

    Raises: ``NotFoundError``; ``RefusedError`` with the missing rule of a Role; ``UnavailableError``.
    """
    found = _found(cluster, namespace, workload)
    try:
        cluster.call(_asked(cluster, "patch", namespace, workload, is_dry_run=True), _patch(found, {RESTARTED_AT: ""}))
    except (ConflictError, NoDryRunError):
        return


def restart(cluster: Caller, namespace: str, workload: Workload, *, rotation: str, now: datetime) -> None:
    """Restart a workload once for a rotation.

    Repeat: nothing happens.
    Raises: ``NotFoundError``; ``RefusedError``; ``UnavailableError``; ``OutcomeUnknownError``.
    """
    annotations = {RESTARTED_AT: now.strftime("%Y-%m-%dT%H:%M:%SZ"), ROTATION: rotation}
    for _ in range(TRIES):
        found = _found(cluster, namespace, workload)
        if _annotations(found).get(ROTATION) == rotation:
            return
        try:
            cluster.call(_asked(cluster, "patch", namespace, workload), _patch(found, annotations))
        except ConflictError:
            continue
        return
    raise UnavailableError(f"{_subject(namespace, workload)} is changed all the time; it was not restarted")


def _found(cluster: Caller, namespace: str, workload: Workload) -> Json:
    """Read a workload that can be restarted."""
    look = _asked(cluster, "get", namespace, workload)
    found = cluster.find(look)
    if found is None:
        hint = "correct restart: in the configuration, or take it out"
        raise NotFoundError(f"{_subject(namespace, workload)} is to be restarted and does not exist", hint=hint)
    version_in(look, found)
    spec: dict[str, Any] = found.get("spec") or {}
    if spec.get("paused"):
        hint = f"kubectl -n {namespace} rollout resume deployment {workload.name}"
        raise RefusedError(f"{_subject(namespace, workload)} is paused and cannot be restarted", hint=hint)
    if (spec.get("updateStrategy") or {}).get("type") == "OnDelete":
        hint = "its pods are replaced by hand (updateStrategy OnDelete): set RollingUpdate, or take it out of restart:"
        raise RefusedError(f"{_subject(namespace, workload)} does not restart its pods by itself", hint=hint)
    return found


def _annotations(found: Json) -> dict[str, str]:
    template: dict[str, Any] = (found.get("spec") or {}).get("template") or {}
    return (template.get("metadata") or {}).get("annotations") or {}


def _patch(found: Json, annotations: dict[str, str]) -> Json:
    version = {"resourceVersion": found["metadata"]["resourceVersion"]}
    return {"metadata": version, "spec": {"template": {"metadata": {"annotations": annotations}}}}


def _asked(cluster: Caller, verb: Verb, namespace: str, workload: Workload, *, is_dry_run: bool = False) -> Call:
    return Call(cluster.server, verb, Kind(workload.kind).value, namespace, workload.name, is_dry_run=is_dry_run)


def _subject(namespace: str, workload: Workload) -> str:
    return f"{workload.kind.lower()} {namespace}/{workload.name}"
