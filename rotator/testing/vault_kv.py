"""The KV secrets engines of the simulated Vault: version 2 with its count of versions, version 1 without."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from rotator.testing.vault_exchange import (
    NOTHING,
    Json,
    VaultRefusalError,
    VaultReply,
    VaultRequest,
    envelope,
    reply,
    seconds,
)

_MAX_VERSIONS = 10
_MISMATCH = "check-and-set parameter did not match the current version"
_REQUIRED = "check-and-set parameter required for this call"
_VERSIONED = (
    "Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API endpoints to use. "
    "If using the OpenBao CLI, use 'bao kv {}' for this operation."
)
_UPGRADING = (
    "Upgrading from non-versioned to versioned data. This backend will be unavailable for a brief period and will "
    "resume service shortly."
)
_ROOT = "Non-listing operations on the root of a K/V v2 mount are not supported."


class Engine(Protocol):
    """A secrets engine. Paths are relative to its mount."""

    version: int

    def exists(self, path: str) -> bool:
        """Say whether a write there is an update."""
        ...

    def handle(self, request: VaultRequest, path: str) -> VaultReply:
        """Do what is asked."""
        ...


@dataclass
class VersionOne:
    """KV version 1. ``records`` may be changed as one likes."""

    records: dict[str, Json] = field(default_factory=dict, repr=False)
    version: int = 1

    def exists(self, path: str) -> bool:
        """Say whether there is a record."""
        return path in self.records

    def handle(self, request: VaultRequest, path: str) -> VaultReply:
        """Read, replace, delete or list records."""
        if request.method == "LIST":
            return _listed(self.records, path)
        if request.method == "GET":
            if path not in self.records:
                raise VaultRefusalError(404)
            return VaultReply(200, {**envelope(_copied(self.records[path])), "lease_duration": 2764800})
        if request.method == "DELETE":
            self.records.pop(path, None)
            return NOTHING
        if not request.body:
            raise VaultRefusalError(400, "missing data fields")
        self.records[path] = _copied(request.body)
        return NOTHING


@dataclass
class Revision:
    """One version of a record."""

    created: str
    data: str | None = field(repr=False)
    """In JSON; None once it is destroyed or was too many."""
    deleted: float | None = None
    """When it is or will be deleted, in seconds since 1970."""
    is_destroyed: bool = False

    def is_deleted(self, now: float) -> bool:
        """Say whether a read no longer shows it."""
        return self.deleted is not None and self.deleted <= now

    def shown(self) -> Json:
        """Show what the metadata tell of it."""
        gone = _written(self.deleted) if self.deleted is not None else ""
        return {"created_time": self.created, "deletion_time": gone, "destroyed": self.is_destroyed}


@dataclass
class Path:
    """All versions of a record, by number, and what is set for it."""

    revisions: dict[int, Revision] = field(default_factory=dict)
    current: int = 0
    created: str = ""
    updated: str = ""
    max_versions: int = 0
    cas_required: bool = False
    delete_version_after: float = 0
    custom: dict[str, str] | None = None


@dataclass
class VersionTwo:
    """KV version 2. Everything in it may be changed as one likes.

    ``is_upgrading``: it is being made out of version 1, as for a moment after each mount, and takes no request yet.
    """

    clock: Callable[[], float]
    paths: dict[str, Path] = field(default_factory=dict)
    max_versions: int = 0
    cas_required: bool = False
    delete_version_after: float = 0
    is_upgrading: bool = False
    version: int = 2

    def exists(self, path: str) -> bool:
        """Say whether there are metadata, whatever became of the versions."""
        kind, _, name = path.partition("/")
        return name in self.paths if kind in {"data", "metadata"} else True

    def handle(self, request: VaultRequest, path: str) -> VaultReply:
        """Do what is asked of data, metadata, single versions or the configuration."""
        if self.is_upgrading:
            raise VaultRefusalError(400, _UPGRADING)
        kind, _, name = path.partition("/")
        if path == "config":
            return self._config(request)
        if kind in {"data", "metadata", "delete", "undelete", "destroy"} and not name and request.method != "LIST":
            return VaultReply(404, envelope(None, warnings=[_ROOT]))
        methods = {
            ("data", "GET"): self._read,
            ("data", "PUT"): self._write,
            ("data", "DELETE"): self._delete_latest,
            ("metadata", "GET"): self._metadata,
            ("metadata", "PUT"): self._set_metadata,
            ("metadata", "DELETE"): self._forget,
            ("metadata", "LIST"): lambda _, at: _listed(self.paths, at),
            ("delete", "PUT"): self._delete,
            ("undelete", "PUT"): self._undelete,
            ("destroy", "PUT"): self._destroy,
        }
        found = methods.get((kind, request.method))
        if found is None:
            doing = {"GET": "get", "PUT": "put", "DELETE": "delete", "LIST": "list"}[request.method]
            return VaultReply(404, envelope(None, warnings=[_VERSIONED.format(doing)]))
        return found(request, name)

    def _config(self, request: VaultRequest) -> VaultReply:
        if request.method == "GET":
            after = f"{self.delete_version_after:g}s"
            found = {"max_versions": self.max_versions, "cas_required": self.cas_required}
            return reply({**found, "delete_version_after": after})
        self.max_versions = int(request.body.get("max_versions", self.max_versions))
        self.cas_required = bool(request.body.get("cas_required", self.cas_required))
        self.delete_version_after = seconds(request.body.get("delete_version_after", self.delete_version_after))
        return NOTHING

    def _read(self, request: VaultRequest, name: str) -> VaultReply:
        found = self.paths.get(name)
        number = int(request.query.get("version", 0)) or (found.current if found else 0)
        revision = found.revisions.get(number) if found else None
        if found is None or revision is None:
            raise VaultRefusalError(404)
        metadata = {"version": number, **revision.shown(), "custom_metadata": found.custom}
        if revision.data is None or revision.is_destroyed or revision.is_deleted(self.clock()):
            return VaultReply(404, envelope({"data": None, "metadata": metadata}))
        return reply({"data": json.loads(revision.data), "metadata": metadata})

    def _write(self, request: VaultRequest, name: str) -> VaultReply:
        data = request.body.get("data")
        if not isinstance(data, Mapping):
            raise VaultRefusalError(400, "no data provided")
        found = self.paths.get(name) or Path()
        self._compare(request.body.get("options"), found)
        self.paths[name] = found
        now = self.clock()
        after = min(filter(None, (found.delete_version_after, self.delete_version_after)), default=0)
        found.current += 1
        found.updated = _written(now)
        found.created = found.created or found.updated
        revision = Revision(found.updated, json.dumps(data), now + after if after else None)
        found.revisions[found.current] = revision
        for old in sorted(found.revisions)[: -(found.max_versions or self.max_versions or _MAX_VERSIONS)]:
            del found.revisions[old]
        return reply({"version": found.current, **revision.shown(), "custom_metadata": found.custom})

    def _compare(self, options: object, found: Path) -> None:
        if isinstance(options, Mapping) and "cas" in options:
            if options["cas"] != found.current:
                raise VaultRefusalError(400, _MISMATCH)
        elif self.cas_required or found.cas_required:
            raise VaultRefusalError(400, _REQUIRED)

    def _delete_latest(self, _request: VaultRequest, name: str) -> VaultReply:
        found = self.paths.get(name)
        revision = found.revisions.get(found.current) if found else None
        if revision is not None and not revision.is_deleted(self.clock()):
            revision.deleted = self.clock()
        return NOTHING

    def _chosen(self, request: VaultRequest, name: str) -> list[Revision]:
        numbers = request.body.get("versions")
        if not isinstance(numbers, list) or not numbers:
            raise VaultRefusalError(400, "No version number provided")
        found = self.paths.get(name)
        return [found.revisions[number] for number in numbers if number in found.revisions] if found else []

    def _delete(self, request: VaultRequest, name: str) -> VaultReply:
        for revision in self._chosen(request, name):
            revision.deleted = self.clock()
        return NOTHING

    def _undelete(self, request: VaultRequest, name: str) -> VaultReply:
        for revision in self._chosen(request, name):
            revision.deleted = None
        return NOTHING

    def _destroy(self, request: VaultRequest, name: str) -> VaultReply:
        for revision in self._chosen(request, name):
            revision.data, revision.is_destroyed = None, True
        return NOTHING

    def _metadata(self, _request: VaultRequest, name: str) -> VaultReply:
        found = self.paths.get(name)
        if found is None:
            raise VaultRefusalError(404)
        return reply(
            {
                "versions": {str(number): revision.shown() for number, revision in found.revisions.items()},
                "current_version": found.current,
                "oldest_version": min(found.revisions, default=0),
                "created_time": found.created,
                "updated_time": found.updated,
                "max_versions": found.max_versions,
                "cas_required": found.cas_required,
                "delete_version_after": f"{found.delete_version_after:g}s",
                "custom_metadata": found.custom,
            }
        )

    def _set_metadata(self, request: VaultRequest, name: str) -> VaultReply:
        now = _written(self.clock())
        found = self.paths.setdefault(name, Path(created=now, updated=now))
        custom = request.body.get("custom_metadata", found.custom)
        if custom is not None and not all(isinstance(value, str) for value in custom.values()):
            raise VaultRefusalError(400, "custom_metadata validation failed: values must be texts")
        found.custom = custom
        found.max_versions = int(request.body.get("max_versions", found.max_versions))
        found.cas_required = bool(request.body.get("cas_required", found.cas_required))
        found.delete_version_after = seconds(request.body.get("delete_version_after", found.delete_version_after))
        return NOTHING

    def _forget(self, _request: VaultRequest, name: str) -> VaultReply:
        self.paths.pop(name, None)
        return NOTHING


def _listed(records: Mapping[str, object], path: str) -> VaultReply:
    prefix = f"{path.rstrip('/')}/" if path.strip("/") else ""
    rests = [name.removeprefix(prefix) for name in records if name.startswith(prefix)]
    keys = sorted({rest.partition("/")[0] + ("/" if "/" in rest else "") for rest in rests})
    if not keys:
        raise VaultRefusalError(404)
    return reply({"keys": keys})


def _copied(data: Mapping[str, Any]) -> Json:
    copied: Json = json.loads(json.dumps(dict(data)))
    return copied


def _written(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
