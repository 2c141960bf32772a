"""What the simulated Kubernetes knows of each kind of object: where it is served, which rules it keeps. Pure."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator

from rotator.testing.kubernetes_status import Json, Resource, bad_request, invalid

SECRETS = Resource("", "v1", "secrets", "Secret")
NAMESPACES = Resource("", "v1", "namespaces", "Namespace", is_namespaced=False)
DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment")
STATEFULSETS = Resource("apps", "v1", "statefulsets", "StatefulSet")
DAEMONSETS = Resource("apps", "v1", "daemonsets", "DaemonSet")
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease")
REVIEWS = Resource(
    "authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", is_namespaced=False
)

ROLES = Resource("rbac.authorization.k8s.io", "v1", "roles", "Role")
BINDINGS = Resource("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding")
KEPT = (
    Resource("", "v1", "configmaps", "ConfigMap"),
    Resource("", "v1", "serviceaccounts", "ServiceAccount"),
    Resource("", "v1", "services", "Service"),
    Resource("batch", "v1", "cronjobs", "CronJob"),
    Resource("batch", "v1", "jobs", "Job"),
    Resource("external-secrets.io", "v1", "externalsecrets", "ExternalSecret"),
    Resource("monitoring.coreos.com", "v1", "servicemonitors", "ServiceMonitor"),
    Resource("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy"),
    Resource("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget"),
)
"""What may be made, read and changed; nothing comes of it."""

STORED = (SECRETS, NAMESPACES, DEPLOYMENTS, STATEFULSETS, DAEMONSETS, LEASES, ROLES, BINDINGS, *KEPT)
"""What is stored."""

MADE_BY_PUT = frozenset({LEASES})
"""What comes into being when it is put where nothing is; in the place of another one only with its resourceVersion."""

MAX_SECRET = 1024 * 1024
_LONGEST_KEY = 253
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_MICRO_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d\d:\d\d)")
_KEY = re.compile(r"[-._a-zA-Z0-9]+")
_IMMUTABLE = "Forbidden: field is immutable when `immutable` is set"
_NO_NAME = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
    "and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_NO_KEY = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or "
    "'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)


def normalized(resource: Resource, body: Json) -> Json:
    """Return an object as it is kept: kind and version filled in, ``stringData`` turned into ``data``, no nulls."""
    for field, wanted in (("kind", resource.kind), ("apiVersion", resource.api_version)):
        if body.get(field, wanted) != wanted:
            raise bad_request(f"the {field} in the data ({body[field]}) does not match the expected one ({wanted})")
    result = {"kind": resource.kind, "apiVersion": resource.api_version, **body}
    metadata = {key: value for key, value in (body.get("metadata") or {}).items() if value not in (None, {}, [])}
    result["metadata"] = metadata
    if resource == LEASES:
        _check_times(result.get("spec") or {})
    return _as_secret(result) if resource == SECRETS else result


def _check_times(spec: Json) -> None:
    """Refuse a time without six digits of its second, as the type MicroTime of the real server does."""
    for key in ("acquireTime", "renewTime"):
        if (text := spec.get(key)) is not None and not _MICRO_TIME.fullmatch(text):
            layout = "2006-01-02T15:04:05.000000Z07:00"
            message = f'Lease in version "v1" cannot be handled as a Lease: parsing time "{text}" as "{layout}"'
            raise bad_request(f'{message}: cannot parse "{text[19:]}" as ".000000"')


def _as_secret(secret: Json) -> Json:
    texts = secret.pop("stringData", None) or {}
    data = dict(secret.pop("data", None) or {})
    for key, value in data.items():
        if not isinstance(value, str):
            raise bad_request(f"json: cannot unmarshal into Go struct field Secret.data.{key} of type []uint8")
        _decoded(value)
    data |= {key: base64.b64encode(value.encode()).decode() for key, value in texts.items()}
    return {**secret, **({"data": data} if data else {}), "type": secret.get("type") or "Opaque"}


def _decoded(value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error:
        message = 'Secret in version "v1" cannot be handled as a Secret: illegal base64 data at input byte 0'
        raise bad_request(message) from None


def check(resource: Resource, name: str, new: Json, old: Json | None) -> None:
    """Look whether an object keeps the rules of its kind. Raises: ``StatusError``."""
    if old is None and not _NAME.fullmatch(name):
        raise invalid(resource, name, "metadata.name", "FieldValueInvalid", f'Invalid value: "{name}": {_NO_NAME}')
    if resource == SECRETS:
        for field, reason, message in _faults_of_secret(new, old):
            raise invalid(resource, name, field, reason, message)


def _faults_of_secret(new: Json, old: Json | None) -> Iterator[tuple[str, str, str]]:
    yield from _faults_of_data(new.get("data", {}))
    if old is not None and new["type"] != old["type"]:
        yield "type", "FieldValueInvalid", f'Invalid value: "{new["type"]}": field is immutable'
    if old is not None and old.get("immutable"):
        if not new.get("immutable"):
            yield "immutable", "FieldValueForbidden", _IMMUTABLE
        if new.get("data") != old.get("data"):
            yield "data", "FieldValueForbidden", _IMMUTABLE


def _faults_of_data(data: Json) -> Iterator[tuple[str, str, str]]:
    for key in data:
        if why := _fault_of_key(key):
            yield f"data[{key}]", "FieldValueInvalid", f'Invalid value: "{key}": {why}'
        if len(key) > _LONGEST_KEY:
            yield f"data[{key}]", "FieldValueInvalid", f'Invalid value: "{key}": must be no more than 253 characters'
    if sum(len(_decoded(value)) for value in data.values()) > MAX_SECRET:
        yield "data", "FieldValueTooLong", f"Too long: may not be more than {MAX_SECRET} bytes"


def _fault_of_key(key: str) -> str:
    if key in {".", ".."}:
        return f"must not be '{key}'"
    if key.startswith(".."):
        return "must not start with '..'"
    return "" if _KEY.fullmatch(key) else _NO_KEY


def discovery(path: str) -> Json | None:
    """Tell which groups and kinds there are, as kubectl asks before it does anything; None for any other path."""
    groups: dict[str, list[Resource]] = {}
    for resource in (*STORED, REVIEWS):
        prefix = "apis" if resource.group else "api"
        groups.setdefault(f"/{prefix}/{resource.api_version}", []).append(resource)
    if path == "/api":
        head = {"kind": "APIVersions", "apiVersion": "v1"}
        return {**head, "versions": ["v1"], "serverAddressByClientCIDRs": []}
    if path == "/apis":
        named = (one[0] for one in groups.values() if one[0].group)
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(one) for one in named]}
    if path not in groups:
        return None
    listed = [_discovered(resource) for resource in groups[path]]
    version = groups[path][0].api_version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": listed}


def _group(resource: Resource) -> Json:
    version = {"groupVersion": resource.api_version, "version": resource.version}
    return {"name": resource.group, "versions": [version], "preferredVersion": version}


def _discovered(resource: Resource) -> Json:
    return {
        "name": resource.plural,
        "singularName": resource.kind.lower(),
        "namespaced": resource.is_namespaced,
        "kind": resource.kind,
        "verbs": ["create"] if resource == REVIEWS else ["create", "delete", "get", "list", "patch", "update"],
    }
