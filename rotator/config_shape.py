"""Does the file have the right shape? What pydantic complains of, in our words and with its lines.

pydantic's own messages are not shown: they speak of Python's types, and some repeat what stands in the file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Generic, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from rotator.config_schema import (
    AuditPart,
    BackendEntry,
    ClusterPart,
    CredentialPart,
    Frame,
    NotifyPart,
    Part,
    RulesPart,
    ServicePart,
    editor_schema,
    is_anchor_place,
)
from rotator.faults import InvalidValueError, Problem, suggestion
from rotator.yaml_lines import SECRET_KEYS, Document, Loc

_SYNONYMS = {
    "interval": "every",
    "period": "every",
    "schedule": "windows",
    "window": "windows",
    "ttl": "lifetime",
    "expire": "lifetime",
    "grace": "overlap",
    "acl": "grants",
    "userid": "user",
    "username": "user",
    "realm": "user",
    "host": "endpoints",
    "hosts": "endpoints",
    "nodes": "endpoints",
    "insecure": "unsafe_skip_verification",
    "verify": "unsafe_skip_verification",
    "secret": "token_secret",
    "otp": "totp",
    "target": "destination",
    "probe": "probes",
    "grant": "grants",
    "tz": "timezone",
}
_TYPES: Mapping[str, tuple[str, str]] = {
    "string_type": ("not text", "write text; what looks like a number or true goes in quotes"),
    "bool_type": ("neither true nor false", "write true or false, without quotes"),
    "tuple_type": ("not a list", "write each item on a line of its own after - , or [a, b]"),
    "dict_type": ("not a mapping", "write keys with values, each on a line of its own"),
    "model_type": ("not a mapping", "write keys with values, each on a line of its own"),
    "too_short": ("empty", "write at least one, or take the key away if it may be left out"),
    "string_too_short": ("empty", "write a value"),
}
_STAND_INS: Mapping[str, Any] = {"name": "unknown", "cluster": "unknown", "user": "unknown@pve"}
_CLUSTER_STAND_INS: Mapping[str, Any] = {"endpoints": ["unknown"], "operator": {"path": "unknown"}}
P = TypeVar("P", bound=Part)


@dataclass(frozen=True, slots=True)
class Salvaged(Generic[P]):
    """A part of the file with where it stands and which of its keys are faulty; their values mean nothing."""

    loc: Loc
    part: P
    faulty: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Parts:
    """What is usable of the file but for its credentials, so that one error does not hide another.

    ``named_backends`` and ``named_clusters`` are all names, usable or not.
    """

    owner: str
    defaults: Salvaged[RulesPart]
    backends: Mapping[str, Salvaged[BackendEntry]]
    clusters: Mapping[str, Salvaged[ClusterPart]]
    named_backends: frozenset[str]
    named_clusters: frozenset[str]
    service: Salvaged[ServicePart]
    notify: Salvaged[NotifyPart]
    audit: Salvaged[AuditPart] | None


def problems_of(document: Document) -> list[Problem]:
    """Tell everything that is wrong with the shape of the whole file."""
    return [*parts_of(document)[1], *(problem for _, found in credentials_of(document) for problem in found)]


def parts_of(document: Document) -> tuple[Parts, list[Problem]]:
    """Validate the file but for its credentials: what is usable of it, and everything that is wrong with its shape."""
    data = document.data
    if isinstance(data, dict):
        data = {key: value for key, value in data.items() if not is_anchor_place(key)}
    try:
        return _whole(Frame.model_validate(data)), []
    except ValidationError as error:
        problems = _problems(document, error, ())
    return _salvaged(data if isinstance(data, dict) else {}), problems


def credentials_of(document: Document) -> Iterator[tuple[Salvaged[CredentialPart] | None, list[Problem]]]:
    """Validate the credentials one after the other: what is usable of each, and what is wrong with its shape.

    Not all at once, as pydantic's models take more memory than all that is made of them.
    """
    listed = document.data.get("credentials") if isinstance(document.data, dict) else None
    for at, raw in enumerate(listed if isinstance(listed, list) else ()):
        loc: Loc = ("credentials", at)
        try:
            found = Salvaged(loc, CredentialPart.model_validate(raw))
        except ValidationError as error:
            yield _salvage(CredentialPart, loc, raw, _STAND_INS), _problems(document, error, loc)
        else:
            yield found, []


def _whole(file: Frame) -> Parts:
    return Parts(
        owner=file.owner,
        defaults=Salvaged(("defaults",), file.defaults),
        backends={name: Salvaged(("backends", name), part) for name, part in file.backends.items()},
        clusters={name: Salvaged(("clusters", name), part) for name, part in file.clusters.items()},
        named_backends=frozenset(file.backends),
        named_clusters=frozenset(file.clusters),
        service=Salvaged(("service",), file.service),
        notify=Salvaged(("notify",), file.notify),
        audit=Salvaged(("audit",), file.audit) if file.audit else None,
    )


def _salvaged(data: Mapping[str, Any]) -> Parts:
    backends, clusters = (part if isinstance(part, dict) else {} for part in map(data.get, ("backends", "clusters")))
    return Parts(
        owner="unknown",
        defaults=_salvage(RulesPart, ("defaults",), data.get("defaults"), {}) or Salvaged(("defaults",), RulesPart()),
        backends=_salvage_each(BackendEntry, "backends", backends, {"type": "unknown"}),
        clusters=_salvage_each(ClusterPart, "clusters", clusters, _CLUSTER_STAND_INS),
        named_backends=frozenset(backends),
        named_clusters=frozenset(clusters),
        service=_salvage(ServicePart, ("service",), data.get("service"), {}) or Salvaged(("service",), ServicePart()),
        notify=_salvage(NotifyPart, ("notify",), data.get("notify"), {}) or Salvaged(("notify",), NotifyPart()),
        audit=_salvage(AuditPart, ("audit",), data.get("audit"), {"file": "/unknown"}),
    )


def _salvage_each(
    model: type[P], key: str, raw: Mapping[str, Any], stand_ins: Mapping[str, Any]
) -> dict[str, Salvaged[P]]:
    found = {name: _salvage(model, (key, name), part, stand_ins) for name, part in raw.items()}
    return {name: part for name, part in found.items() if part}


def _salvage(model: type[P], loc: Loc, raw: object, stand_ins: Mapping[str, Any]) -> Salvaged[P] | None:
    if not isinstance(raw, dict):
        return None
    try:
        return Salvaged(loc, model.model_validate(raw))
    except ValidationError as error:
        faulty = frozenset(str(detail["loc"][0]) for detail in error.errors(include_url=False))
    kept = {key: value for key, value in raw.items() if key not in faulty}
    needed = {key: value for key, value in stand_ins.items() if key in faulty}
    return Salvaged(loc, model.model_validate(needed | kept), faulty)


def _problems(document: Document, error: ValidationError, above: Loc) -> list[Problem]:
    found = (_problem(document, detail, above) for detail in error.errors(include_url=False))
    return [problem for problem in found if problem]


def _problem(document: Document, detail: ErrorDetails, above: Loc) -> Problem | None:
    loc = (*above, *(step for step in detail["loc"] if not _is_ours(step)))
    node = document.node(loc)
    if node is not None and node.value is None:
        return None  # a key without a value: told already, with the right words
    if detail["type"] == "too_short" and detail["input"]:
        return None  # there are items, and each is faulty
    message, advice = _words(detail, loc)
    problem = document.problem(loc, message, advice)
    if detail["type"] == "extra_forbidden":  # the message names the key
        return replace(problem, where=document.problem(loc[:-1], message).where)
    return problem


def _is_ours(step: str | int) -> bool:
    """Say whether a step is pydantic's tag of a variant or of a key, and not in the file."""
    return isinstance(step, str) and (step == "[key]" or (step.startswith("(") and step.endswith(")")))


def _words(detail: ErrorDetails, loc: Loc) -> tuple[str, str]:
    kind = detail["type"]
    fault = detail.get("ctx", {}).get("error")
    if isinstance(fault, InvalidValueError):
        return fault.message, fault.advice
    if kind == "missing":
        return "missing", _description(loc)
    special: dict[str, Callable[[], tuple[str, str]]] = {
        "extra_forbidden": lambda: _unknown_key(loc),
        "literal_error": lambda: ("not one of the words that it can be", f"write {detail['ctx']['expected']}"),
        "union_tag_not_found": lambda: _no_variant(loc),
    }
    return special[kind]() if kind in special else _TYPES.get(kind, ("not valid", _description(loc)))


def _no_variant(loc: Loc) -> tuple[str, str]:
    if loc[-1] != "operator":
        return "not a reference to a secret", "write {env: NAME}, {file: /path} or {backend: NAME, ...}"
    advice = "write {backend: ...}, {token_id: ..., token_secret: ...} or {user: ..., password: ...}"
    return "not an operator", advice


def _unknown_key(loc: Loc) -> tuple[str, str]:
    key, known = str(loc[-1]), _keys_at(loc[:-1])
    advice = suggestion(key, known)
    if SECRET_KEYS.intersection(loc[:-1]):
        return "an unknown key", advice or "write env, file or backend"
    likely = suggestion(key, [*known, *(word for word, meant in _SYNONYMS.items() if meant in known)])
    for word, meant in _SYNONYMS.items():
        likely = likely.replace(f"mean '{word}'", f"mean '{meant}'")
    return f"unknown key '{key}'", likely if "mean" in likely else advice


def _keys_at(loc: Loc) -> list[str]:
    return sorted({key for place in _places(loc) for key in place.get("properties", {})})


def _description(loc: Loc) -> str:
    return next((place["description"].rstrip(".") for place in _places(loc) if "description" in place), "")


def _places(loc: Loc) -> list[dict[str, Any]]:
    """Walk the JSON schema: all places that the way may end at."""
    places = [_schema()]
    for step in loc:
        places = [inner for place in places for inner in _inner(place, step)]
    return [variant for place in places for variant in _variants(place)]


def _inner(place: dict[str, Any], step: str | int) -> Iterator[dict[str, Any]]:
    for variant in _variants(place):
        named = variant.get("items") if isinstance(step, int) else variant.get("properties", {}).get(step)
        patterns = [
            below for pattern, below in variant.get("patternProperties", {}).items() if re.match(pattern, str(step))
        ]
        yield from [named] if named else patterns


def _variants(place: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield place
    if "$ref" in place:
        yield from _variants(_schema()["$defs"][place["$ref"].rpartition("/")[2]])
    for variant in place.get("oneOf", ()):
        yield from _variants(variant)


@lru_cache(maxsize=1)
def _schema() -> dict[str, Any]:
    return editor_schema()
