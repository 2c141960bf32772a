"""The objects of the simulated Kubernetes, with the resourceVersion semantics of the real API server.

One counter for all objects, as etcd's revision; it only rises. A change that leaves an object as it was keeps its
resourceVersion, as the real server does. A patch that names another resourceVersion than the current one is a conflict.
"""

from __future__ import annotations

import copy
import itertools
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import RLock

from rotator.testing.kubernetes_kinds import NAMESPACES, check, normalized
from rotator.testing.kubernetes_status import (
    Json,
    Resource,
    StatusError,
    already_exists,
    bad_request,
    conflict,
    forbidden,
    invalid,
    not_found,
)

_KEPT = ("name", "namespace", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation")
"""Metadata that belongs to the server: whatever a client says, they stay as they are."""

_NUMBERED = frozenset({"apps"})
"""Groups whose objects count the generations of their spec."""

Admit = Callable[["Review"], None]
"""Looks at a change before it is made. Raises: ``StatusError``."""


@dataclass(frozen=True, slots=True)
class Key:
    """Where an object is; the namespace is empty at the cluster scope."""

    resource: Resource
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Review:
    """A change that admission looks at: CREATE, UPDATE or DELETE."""

    operation: str
    key: Key
    new: Json | None
    old: Json | None
    is_dry_run: bool


class Store:
    """All objects. Several threads may use it; every method is one transaction."""

    def __init__(self, now: Callable[[], float], admit: Admit) -> None:
        self.objects: dict[Key, Json] = {}
        """As clients read them. Whoever changes one in place changes no resourceVersion; ``change`` does."""
        self.quotas: dict[str, tuple[str, dict[str, int]]] = {}
        """By namespace: the name of a ResourceQuota and its hard limits, ``{"secrets": 5}``."""
        self._now = now
        self._admit = admit
        self._revisions = itertools.count(1001)
        self._revision = 1000
        self._lock = RLock()

    @property
    def revision(self) -> str:
        """Return the newest resourceVersion of all."""
        return str(self._revision)

    def get(self, key: Key) -> Json:
        """Return an object as clients read it."""
        with self._lock:
            if key not in self.objects:
                raise not_found(key.resource, key.name)
            return copy.deepcopy(self.objects[key])

    def list(self, resource: Resource, namespace: str) -> list[Json]:
        """Return all objects of a kind, of one namespace or (empty) of all."""
        with self._lock:
            return [copy.deepcopy(self.objects[key]) for key in self._keys(resource, namespace)]

    def _keys(self, resource: Resource, namespace: str) -> Iterator[Key]:
        return (
            key
            for key in sorted(self.objects, key=lambda key: (key.namespace, key.name))
            if key.resource == resource and namespace in {"", key.namespace}
        )

    def create(self, resource: Resource, namespace: str, body: Json, *, is_dry_run: bool = False) -> Json:
        """Make an object. Raises: ``StatusError``."""
        with self._lock:
            key = Key(resource, namespace, self._name(resource, namespace, body))
            new = normalized(resource, body)
            if resource.is_namespaced:
                self._check_namespace(key)
            self._admit(Review("CREATE", key, new, None, is_dry_run))
            check(resource, key.name, new, None)
            self._check_quota(key)
            if (old := self.objects.get(key)) is not None:
                raise already_exists(resource, key.name, is_being_deleted="deletionTimestamp" in old["metadata"])
            new["metadata"] |= {
                "name": key.name,
                **({"namespace": namespace} if namespace else {}),
                "uid": str(uuid.uuid4()),
                "creationTimestamp": self._time(),
                **({"generation": 1} if resource.group in _NUMBERED else {}),
            }
            return self._commit(key, new, None, is_dry_run=is_dry_run)

    def change(self, key: Key, edit: Callable[[Json], Json], *, is_dry_run: bool = False) -> Json:
        """Put what ``edit`` makes of a copy of the object in its place. Raises: ``StatusError``."""
        with self._lock:
            old = self.get(key)
            new = normalized(key.resource, edit(copy.deepcopy(old)))
            self._check_identity(key, new, old)
            new["metadata"] = _ordered(new["metadata"], old["metadata"])
            if key.resource.group in _NUMBERED and new.get("spec") != old.get("spec"):
                new["metadata"]["generation"] = old["metadata"].get("generation", 1) + 1
            self._admit(Review("UPDATE", key, new, old, is_dry_run))
            check(key.resource, key.name, new, old)
            return self._commit(key, new, old, is_dry_run=is_dry_run)

    def delete(self, key: Key, *, is_dry_run: bool = False) -> Json:
        """Remove an object, or begin to: one with finalizers stays until they are gone. Raises: ``StatusError``."""
        with self._lock:
            old = self.get(key)
            self._admit(Review("DELETE", key, None, old, is_dry_run))
            if not old["metadata"].get("finalizers"):
                if not is_dry_run:
                    del self.objects[key]
                    self._revision = next(self._revisions)
                return old
            new = copy.deepcopy(old)
            new["metadata"].setdefault("deletionTimestamp", self._time())
            new["metadata"].setdefault("deletionGracePeriodSeconds", 0)
            return self._commit(key, new, old, is_dry_run=is_dry_run)

    def _commit(self, key: Key, new: Json, old: Json | None, *, is_dry_run: bool) -> Json:
        if new == old or is_dry_run:
            return copy.deepcopy(new)
        self._revision = next(self._revisions)
        new["metadata"]["resourceVersion"] = str(self._revision)
        self.objects[key] = new
        if "deletionTimestamp" in new["metadata"] and not new["metadata"].get("finalizers"):
            del self.objects[key]
        return copy.deepcopy(new)

    def _name(self, resource: Resource, namespace: str, body: Json) -> str:
        metadata = body.get("metadata") or {}
        if metadata.get("namespace", namespace) != namespace:
            raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
        if not (name := metadata.get("name")):
            message = "Required value: name or generateName is required"
            raise invalid(resource, "", "metadata.name", "FieldValueRequired", message)
        return str(name)

    def _check_namespace(self, key: Key) -> None:
        found = self.objects.get(Key(NAMESPACES, "", key.namespace))
        if found is None:
            raise not_found(NAMESPACES, key.namespace)
        if found.get("status", {}).get("phase") == "Terminating":
            raise _terminating(key)

    def _check_quota(self, key: Key) -> None:
        name, hard = self.quotas.get(key.namespace, ("", {}))
        plural = key.resource.plural
        used = sum(1 for _ in self._keys(key.resource, key.namespace))
        if plural in hard and used + 1 > hard[plural]:
            usage = f"requested: {plural}=1, used: {plural}={used}, limited: {plural}={hard[plural]}"
            raise forbidden(key.resource, key.name, f"exceeded quota: {name}, {usage}")

    def _check_identity(self, key: Key, new: Json, old: Json) -> None:
        given, is_ = new["metadata"], old["metadata"]
        if given.get("name", key.name) != key.name:
            raise bad_request(
                f"the name of the object ({given['name']}) does not match the name on the URL ({key.name})"
            )
        if given.get("resourceVersion", is_["resourceVersion"]) != is_["resourceVersion"]:
            raise conflict(key.resource, key.name)
        if given.setdefault("uid", is_["uid"]) != is_["uid"]:
            message = f'Invalid value: "{given["uid"]}": field is immutable'
            raise invalid(key.resource, key.name, "metadata.uid", "FieldValueInvalid", message)
        added = [one for one in given.get("finalizers", []) if one not in is_.get("finalizers", [])]
        if "deletionTimestamp" in is_ and added:
            listed = ", ".join(f'"{one}"' for one in added)
            found = f"found new finalizers []string{{{listed}}}"
            message = f"Forbidden: no new finalizers can be added if the object is being deleted, {found}"
            raise invalid(key.resource, key.name, "metadata.finalizers", "FieldValueForbidden", message)

    def _time(self) -> str:
        return datetime.fromtimestamp(self._now(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _ordered(given: Json, is_: Json) -> Json:
    """Give the server's own metadata back their values, whatever a client made of them."""
    mine = {key: is_[key] for key in (*_KEPT, "resourceVersion") if key in is_}
    return {key: value for key, value in given.items() if key not in _KEPT} | mine


def _terminating(key: Key) -> StatusError:
    namespace = key.namespace
    cause = {
        "reason": "NamespaceTerminating",
        "message": f"namespace {namespace} is being terminated",
        "field": "metadata.namespace",
    }
    why = f"unable to create new content in namespace {namespace} because it is being terminated"
    return forbidden(key.resource, key.name, why, causes=[cause])
