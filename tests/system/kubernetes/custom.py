"""What our custom resources may say: their kinds are other projects', whose definitions are not in this repository.

Each schema here is our own, and has those fields alone that our manifests use, closed: a field that is mistyped is one
too many. Names, types, what is required and what there is to choose from are those of the definitions in Prometheus
Operator 0.93, External Secrets 2.9, Vault Secrets Operator 1.4 and cert-manager's v1. Where ``ROTATE_TEST_CRDS`` names
a folder with the definitions themselves (as ``kubectl get crd NAME -o yaml`` gives them), the manifests are held to
those in addition.

``kubernetes-validate`` was not taken for it: it knows the kinds of Kubernetes alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import yaml

Json = dict[str, Any]
Kind = tuple[str, str]
"""Version of the API, and kind."""

FOREIGN = ("monitoring.coreos.com/", "external-secrets.io/", "secrets.hashicorp.com/", "cert-manager.io/")
"""Groups of kinds that others define."""
FOLDER = os.environ.get("ROTATE_TEST_CRDS", "")
PLACES = ("ours", *(["theirs"] if FOLDER else []))

TEXT: Json = {"type": "string", "minLength": 1}
FLAG: Json = {"type": "boolean"}
NAME: Json = {**TEXT, "maxLength": 253, "pattern": r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"}
PERIOD: Json = {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?(s|m|h)$"}
"""What the three operators have in common of how they write a time."""


def one_of(*words: str) -> Json:
    """Choose one."""
    return {"enum": list(words)}


def several(item: Json) -> Json:
    """List at least one."""
    return {"type": "array", "items": item, "minItems": 1}


def closed(required: str = "", /, **fields: Json) -> Json:
    """Have these fields and no other; those that are required are named first, with spaces between."""
    return {"type": "object", "properties": fields, "required": required.split(), "additionalProperties": False}


def resource(group: str, kind: str, spec: Json) -> Json:
    """Have what every object has, and a specification."""
    metadata = closed("name namespace", name=NAME, namespace=NAME, labels={"type": "object"})
    whole = closed("apiVersion kind metadata spec", kind={"const": kind}, metadata=metadata, spec=spec)
    return {**whole, "properties": {**whole["properties"], "apiVersion": {"const": group}}}


KEY = closed("name key", name=NAME, key=TEXT)
SCRAPED = closed(
    "port",
    port=TEXT,
    path=TEXT,
    scheme=one_of("http", "https"),
    interval=PERIOD,
    authorization=closed("credentials", type=one_of("Bearer"), credentials=KEY),
    tlsConfig=closed(ca=closed("secret", secret=KEY), serverName=TEXT),
)
SELECTED = closed("matchLabels", matchLabels={"type": "object", "additionalProperties": TEXT, "minProperties": 1})
FROM_VAULT = closed(
    "server auth",
    server=TEXT,
    path=TEXT,
    version=one_of("v1", "v2"),
    caProvider=closed("type name", type=one_of("Secret", "ConfigMap"), name=NAME, key=TEXT),
    auth=closed(
        "kubernetes",
        kubernetes=closed(
            "mountPath role",
            mountPath=TEXT,
            role=TEXT,
            serviceAccountRef=closed("name", name=NAME, audiences=several(TEXT)),
        ),
    ),
)
SPECS: Mapping[Kind, Json] = {
    ("monitoring.coreos.com/v1", "ServiceMonitor"): closed(
        "selector endpoints", selector=SELECTED, endpoints=several(SCRAPED)
    ),
    ("monitoring.coreos.com/v1", "PodMonitor"): closed(
        "selector podMetricsEndpoints", selector=SELECTED, podMetricsEndpoints=several(SCRAPED)
    ),
    ("external-secrets.io/v1", "SecretStore"): closed("provider", provider=closed("vault", vault=FROM_VAULT)),
    ("external-secrets.io/v1", "ExternalSecret"): closed(
        "secretStoreRef dataFrom",
        refreshInterval=PERIOD,
        secretStoreRef=closed("name", kind=one_of("SecretStore", "ClusterSecretStore"), name=NAME),
        target=closed(
            name=NAME,
            creationPolicy=one_of("Owner", "Orphan", "Merge", "None", "CreateOrMerge"),
            deletionPolicy=one_of("Delete", "Merge", "Retain"),
        ),
        dataFrom=several(closed("extract", extract=closed("key", key=TEXT))),
    ),
    ("cert-manager.io/v1", "Certificate"): closed(
        "secretName issuerRef",
        secretName=NAME,
        dnsNames=several(TEXT),
        issuerRef=closed("name", kind=one_of("Issuer", "ClusterIssuer"), name=NAME),
    ),
    ("secrets.hashicorp.com/v1beta1", "VaultConnection"): closed(
        "address skipTLSVerify", address=TEXT, caCertSecretRef=NAME, skipTLSVerify=FLAG
    ),
    ("secrets.hashicorp.com/v1beta1", "VaultAuth"): closed(
        "method mount kubernetes",
        vaultConnectionRef=TEXT,
        method=one_of("kubernetes"),
        mount=TEXT,
        kubernetes=closed("role serviceAccount", role=TEXT, serviceAccount=NAME, audiences=several(TEXT)),
    ),
    ("secrets.hashicorp.com/v1beta1", "VaultStaticSecret"): closed(
        "type mount path destination",
        vaultAuthRef=TEXT,
        type=one_of("kv-v1", "kv-v2"),
        mount=TEXT,
        path=TEXT,
        refreshAfter=PERIOD,
        hmacSecretData=FLAG,
        destination=closed("name", name=NAME, create=FLAG, transformation=closed(excludeRaw=FLAG)),
        rolloutRestartTargets=several(
            closed("kind name", kind=one_of("Deployment", "DaemonSet", "StatefulSet", "argo.Rollout"), name=NAME)
        ),
    ),
}
OURS: Mapping[Kind, Json] = {(group, kind): resource(group, kind, spec) for (group, kind), spec in SPECS.items()}


def theirs(definition: Json) -> Iterator[tuple[Kind, Json]]:
    """Yield the schemas of a definition, as the API server uses them where unknown fields are faults."""
    spec = definition["spec"]
    for version in spec["versions"]:
        schema = _strict(version["schema"]["openAPIV3Schema"])
        schema["properties"]["metadata"] = {"type": "object"}  # which is Kubernetes' own
        yield (f"{spec['group']}/{version['name']}", spec["names"]["kind"]), schema


def _strict(schema: Json) -> Json:
    """Close each object whose definition does not say that it is open."""
    properties = {name: _strict(it) for name, it in schema.get("properties", {}).items()}
    is_open = "additionalProperties" in schema or schema.get("x-kubernetes-preserve-unknown-fields")
    closing = {"properties": properties} | ({} if is_open else {"additionalProperties": False})
    inner = {
        key: _strict(schema[key]) for key in ("items", "additionalProperties") if isinstance(schema.get(key), dict)
    }
    return {**schema, **(closing if properties else {}), **inner}


@cache
def _given() -> Mapping[Kind, Json]:
    """Read the folder with definitions."""
    found: dict[Kind, Json] = {}
    for path in sorted(Path(FOLDER).glob("*.y*ml")):
        for whole in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            if isinstance(whole, dict) and whole.get("kind") == "CustomResourceDefinition":
                found |= theirs(whole)
    return found


SCHEMAS: Mapping[str, Callable[[], Mapping[Kind, Json]]] = {"ours": lambda: OURS, "theirs": _given}


def violations(found: Json, schema: Json) -> list[str]:
    """List where an object is not as a schema says."""
    errors = jsonschema.Draft202012Validator(schema).iter_errors(found)
    return sorted(f"{error.json_path}: {error.message}" for error in errors)


def faults(found: Json, place: str) -> list[str]:
    """List what is wrong with a custom resource, each with its path; a kind without a schema is a fault."""
    schema = SCHEMAS[place]().get((found["apiVersion"], found["kind"]))
    return [f"{found['apiVersion']} {found['kind']} has no schema"] if schema is None else violations(found, schema)
