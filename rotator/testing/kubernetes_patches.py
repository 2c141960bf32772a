"""The patches that the Kubernetes API takes: merge (RFC 7386), strategic merge, JSON patch (RFC 6902). Pure.

The package ``jsonpatch`` was not taken: it knows one of the three, and what a test server ships with the product should
need nothing that the product does not. Strategic merge follows the API conventions: maps are merged, lists of maps are
merged by the key that the kind names, finalizers are a set, other lists are replaced; ``$patch`` replaces or deletes.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

from rotator.testing.kubernetes_status import Json, bad_request, unsupported_media

MERGE_KEYS: Mapping[str, str] = {
    "containers": "name",
    "initContainers": "name",
    "env": "name",
    "ownerReferences": "uid",
    "ports": "containerPort",
    "volumeMounts": "mountPath",
    "volumes": "name",
}
"""Which lists are merged, by the name of their field, and by which key of their members."""

_SETS = frozenset({"finalizers"})
_ABSENT = object()


def merged(target: Any, patch: Any) -> Any:  # noqa: ANN401 - JSON
    """Apply a merge patch: null removes, maps merge, everything else replaces."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def strategically_merged(target: Any, patch: Any, field: str = "") -> Any:  # noqa: ANN401 - JSON
    """Apply a strategic merge patch."""
    if isinstance(patch, dict):
        return _merged_map(target, patch)
    if isinstance(patch, list) and field in _SETS:
        return list(dict.fromkeys([*(target or []), *patch]))
    if isinstance(patch, list) and field in MERGE_KEYS:
        return _merged_list(target or [], patch, MERGE_KEYS[field])
    return copy.deepcopy(patch)


def _merged_map(target: Any, patch: Json) -> Json:  # noqa: ANN401 - JSON
    if patch.get("$patch") == "replace":
        return {key: copy.deepcopy(value) for key, value in patch.items() if key != "$patch"}
    result: Json = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif not key.startswith("$"):
            result[key] = strategically_merged(result.get(key), value, key)
    return result


def _merged_list(target: list[Json], patch: list[Json], key: str) -> list[Json]:
    result = {member.get(key): member for member in target}
    for member in patch:
        if key not in member:
            raise bad_request(f"map: {{}} does not contain declared merge key: {key}")
        if member.get("$patch") == "delete":
            result.pop(member[key], None)
        else:
            result[member[key]] = _merged_map(result.get(member[key]), member)
    return list(result.values())


def patched(target: Any, operations: Any) -> Any:  # noqa: ANN401 - JSON
    """Apply a JSON patch: all operations in their order, or none."""
    if not isinstance(operations, list):
        raise bad_request("json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    result = copy.deepcopy(target)
    for operation in operations:
        result = _operated(result, operation)
    return result


def _operated(document: Any, operation: Json) -> Any:  # noqa: ANN401 - JSON
    kind, path = operation.get("op"), _steps(operation.get("path", ""))
    if kind == "test":
        if _get(document, path) != operation.get("value"):
            raise bad_request("the server rejected our request due to an error in our request")
        return document
    if kind in {"move", "copy"}:
        source = _steps(operation.get("from", ""))
        value = copy.deepcopy(_get(document, source))
        document = _set(document, source, _ABSENT) if kind == "move" else document
        return _set(document, path, value, inserting=True)
    if kind in {"remove", "replace"}:
        _get(document, path)
    value = _ABSENT if kind == "remove" else copy.deepcopy(operation.get("value"))
    return _set(document, path, value, inserting=kind == "add")


def _steps(pointer: str) -> list[str]:
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]


def _get(document: Any, steps: list[str]) -> Any:  # noqa: ANN401 - JSON
    for step in steps:
        try:
            document = document[int(step)] if isinstance(document, list) else document[step]
        except (KeyError, IndexError, TypeError, ValueError):
            raise bad_request("the server rejected our request due to an error in our request") from None
    return document


def _set(document: Any, steps: list[str], value: Any, *, inserting: bool = False) -> Any:  # noqa: ANN401 - JSON
    if not steps:
        return value
    parent, last = _get(document, steps[:-1]), steps[-1]
    if isinstance(parent, list):
        place = len(parent) if last == "-" else int(last)
        parent[place : place + (not inserting)] = [] if value is _ABSENT else [value]
    elif value is _ABSENT:
        parent.pop(last, None)
    else:
        parent[last] = value
    return document


KINDS: Mapping[str, Callable[[Any, Any], Any]] = {
    "application/json-patch+json": patched,
    "application/merge-patch+json": merged,
    "application/strategic-merge-patch+json": strategically_merged,
}


def applied(content_type: str, target: Json, patch: Any) -> Json:  # noqa: ANN401 - JSON
    """Apply a patch of any kind to a copy. Raises: ``StatusError``."""
    media = content_type.partition(";")[0].strip()
    if media not in KINDS:
        raise unsupported_media(media, list(KINDS))
    result = KINDS[media](copy.deepcopy(target), patch)
    if not isinstance(result, dict):
        raise bad_request("the patch does not leave an object")
    return result
