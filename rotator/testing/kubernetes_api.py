"""From an HTTP request to an answer of the simulated Kubernetes API: who asks, may they, what comes of it.

In the order of the real server: authentication, authorization, then whether the object is there at all. So who may not
read it does not learn whether it exists.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import parse_qs, unquote, urlsplit

from rotator.testing.kubernetes_exchange import Answer, Message, Request
from rotator.testing.kubernetes_kinds import MADE_BY_PUT, REVIEWS, SECRETS, STORED, discovery
from rotator.testing.kubernetes_patches import applied
from rotator.testing.kubernetes_protobuf import MEDIA as PROTOBUF
from rotator.testing.kubernetes_protobuf import secret
from rotator.testing.kubernetes_rules import Attempt
from rotator.testing.kubernetes_status import (
    Json,
    Resource,
    StatusError,
    bad_request,
    forbidden,
    invalid,
    no_such_path,
    not_allowed,
    unauthorized,
    unsupported_media,
    unversioned,
)
from rotator.testing.kubernetes_store import Key, Store

CREATED = 201
_OPENAPI = "/openapi/v2"
_OPENAPI_MEDIA = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
"""An empty message is a document that describes no kind, so that kubectl leaves all validation to the server."""
_PATH = re.compile(
    r"/(?:api|apis/(?P<group>[^/]+))/(?P<version>v1)"
    r"(?:/namespaces/(?P<namespace>[^/]+)(?=/[^/]))?/(?P<plural>[^/]+)(?:/(?P<name>[^/]+))?"
)
_VERBS = {"GET": "get", "POST": "create", "PATCH": "patch", "PUT": "update", "DELETE": "delete"}


class House(Protocol):
    """What an API server has to answer from."""

    store: Store

    def user_of(self, token: str) -> str | None:
        """Say whose token that is, None when nobody's (any more)."""
        ...

    def is_allowed(self, attempt: Attempt) -> bool:
        """Say whether RBAC allows it."""
        ...


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as far as its path and its query say what it is about."""

    message: Message
    resource: Resource
    verb: str
    namespace: str
    name: str
    is_dry_run: bool

    @property
    def key(self) -> Key:
        """Return where the object is."""
        return Key(self.resource, self.namespace, self.name)

    def body(self) -> Json:
        """Read the body of a new object."""
        media = self.message.headers.get("content-type", "").partition(";")[0]
        if media == PROTOBUF and self.resource == SECRETS:
            return secret(self.message.body)
        if media not in {"", "application/json"}:
            raise unsupported_media(media, ["application/json"])
        value = self.json()
        if not isinstance(value, dict):
            raise bad_request("the object provided is unrecognized (must be of type object)")
        return value

    def json(self) -> object:
        """Read the body."""
        try:
            return json.loads(self.message.body)
        except ValueError:
            raise bad_request("the object provided is unrecognized: json parse error") from None


def asked(message: Message) -> Asked:
    """Understand a path. Raises: ``StatusError``."""
    url = urlsplit(message.target)
    found = _PATH.fullmatch(url.path)
    resource = _resource(found["group"] or "", found["plural"]) if found else None
    if found is None or resource is None or bool(found["namespace"]) > resource.is_namespaced:
        raise no_such_path()
    verb = _VERBS.get(message.method, message.method.lower())
    name = unquote(found["name"] or "")
    verb = "list" if verb == "get" and not name else verb
    return Asked(
        message, resource, verb, unquote(found["namespace"] or ""), name, _is_dry_run(verb, parse_qs(url.query))
    )


def _resource(group: str, plural: str) -> Resource | None:
    known = (one for one in (*STORED, REVIEWS) if (one.group, one.plural) == (group, plural))
    return next(known, None)


def _is_dry_run(verb: str, query: Mapping[str, list[str]]) -> bool:
    given = query.get("dryRun", [])
    if given not in ([], ["All"]):
        options = Resource("meta.k8s.io", "v1", "options", f"{verb.capitalize()}Options")
        message = f'Unsupported value: {json.dumps(given)}: supported values: "All"'
        raise invalid(options, "", "dryRun", "FieldValueNotSupported", message)
    return bool(given)


def described(message: Message, house: House) -> Request:
    """Tell a test what a request is about, also when it makes no sense."""
    user = _caller(message, house) or ""
    path = urlsplit(message.target).path
    try:
        ask = asked(message)
    except StatusError:
        return Request(message.method, message.method.lower(), path, "", "", "", user, is_dry_run=False)
    return Request(
        message.method, ask.verb, path, ask.resource.plural, ask.namespace, ask.name, user, is_dry_run=ask.is_dry_run
    )


def answered(message: Message, house: House) -> Answer:
    """Answer a request."""
    try:
        return _answered(message, house)
    except StatusError as error:
        return Answer.refusing(error)


def _answered(message: Message, house: House) -> Answer:
    user = _caller(message, house)
    if user is None:
        raise unauthorized()
    path = urlsplit(message.target).path.rstrip("/")
    if path == _OPENAPI:
        return Answer(200, b"", {"Content-Type": _OPENAPI_MEDIA})
    if (told := _told(path)) is not None:
        return Answer.of(told)
    ask = asked(message)
    if ask.resource == REVIEWS:
        return _reviewed(ask, house, user)
    for verb in (ask.verb, *(["create"] if _is_made_by_put(ask, house.store) else [])):
        attempt = Attempt(user, verb, ask.resource, ask.namespace, ask.name)
        if not house.is_allowed(attempt):
            raise forbidden(ask.resource, ask.name, attempt.refusal())
    if (ask.verb, bool(ask.name)) not in _METHODS:
        raise not_allowed()
    return _METHODS[ask.verb, bool(ask.name)](ask, house.store)


def _told(path: str) -> Json | None:
    """Tell what everybody who has logged in may know (``system:discovery``)."""
    texts = ("gitCommit", "gitTreeState", "buildDate", "goVersion", "compiler", "platform")
    version = {"major": "1", "minor": "34", "gitVersion": "v1.34.0-simulated", **dict.fromkeys(texts, "simulated")}
    return version if path == "/version" else discovery(path)


def _caller(message: Message, house: House) -> str | None:
    scheme, _, token = message.headers.get("authorization", "").partition(" ")
    if scheme == "":
        return "system:anonymous"
    return house.user_of(token) if scheme.lower() == "bearer" else None


def _got(ask: Asked, store: Store) -> Answer:
    return Answer.of(store.get(ask.key))


def _listed(ask: Asked, store: Store) -> Answer:
    """List objects, all or one by its name; a watch ends at once, as each does sooner or later."""
    query = parse_qs(urlsplit(ask.message.target).query)
    name = _only(query)
    if query.get("watch", ["false"])[0] in {"true", "1"}:
        return Answer(200, b"", {"Content-Type": "application/json"})
    metadata = {"resourceVersion": store.revision}
    items = [one for one in store.list(ask.resource, ask.namespace) if name in {"", one["metadata"]["name"]}]
    kind = f"{ask.resource.kind}List"
    return Answer.of({"kind": kind, "apiVersion": ask.resource.api_version, "metadata": metadata, "items": items})


def _only(query: Mapping[str, list[str]]) -> str:
    """Return the name that is asked for, empty for all."""
    (field,) = query.get("fieldSelector", [""])
    key, _, name = field.partition("=")
    if "labelSelector" in query or key not in {"", "metadata.name"}:
        raise bad_request("selectors are not simulated, but for metadata.name")
    return name


def _created(ask: Asked, store: Store) -> Answer:
    return Answer.of(store.create(ask.resource, ask.namespace, ask.body(), is_dry_run=ask.is_dry_run), CREATED)


def _patched(ask: Asked, store: Store) -> Answer:
    patch, media = ask.json(), ask.message.headers.get("content-type", "")
    changed = store.change(ask.key, lambda old: applied(media, old, patch), is_dry_run=ask.is_dry_run)
    return Answer.of(changed)


def _is_made_by_put(ask: Asked, store: Store) -> bool:
    """Say whether an update makes the object; whoever asks needs the right to create it then, by its name."""
    return ask.verb == "update" and ask.resource in MADE_BY_PUT and ask.key not in store.objects


def _updated(ask: Asked, store: Store) -> Answer:
    """Put another object in the place of one; a ``resourceVersion`` in it must be the current one."""
    body = ask.body()
    if _is_made_by_put(ask, store):
        return Answer.of(store.create(ask.resource, ask.namespace, body, is_dry_run=ask.is_dry_run), CREATED)
    named = {"name": ask.name, **body.get("metadata", {})}
    if ask.resource in MADE_BY_PUT and named["name"] == ask.name and "resourceVersion" not in named:
        raise unversioned(ask.resource, ask.name)
    return Answer.of(store.change(ask.key, lambda _: body, is_dry_run=ask.is_dry_run))


def _deleted(ask: Asked, store: Store) -> Answer:
    left = store.delete(ask.key, is_dry_run=ask.is_dry_run)
    if left["metadata"].get("finalizers"):
        return Answer.of(left)
    details = ask.resource.details(ask.name, uid=left["metadata"]["uid"])
    success = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
    return Answer.of(success)


_METHODS: Mapping[tuple[str, bool], Callable[[Asked, Store], Answer]] = {
    ("get", True): _got,
    ("list", False): _listed,
    ("create", False): _created,
    ("patch", True): _patched,
    ("update", True): _updated,
    ("delete", True): _deleted,
}


def _reviewed(ask: Asked, house: House, user: str) -> Answer:
    """Answer whether the caller may do something; everybody who has logged in may ask (``system:basic-user``)."""
    if ask.verb != "create" or user == "system:anonymous":
        raise forbidden(REVIEWS, "", Attempt(user, ask.verb, REVIEWS, "").refusal())
    body = ask.body()
    wanted = body.get("spec", {}).get("resourceAttributes", {})
    resource = _resource(wanted.get("group", ""), wanted.get("resource", ""))
    attempt = resource and Attempt(
        user, wanted.get("verb", ""), resource, wanted.get("namespace", ""), wanted.get("name", "")
    )
    status = {"allowed": bool(attempt and house.is_allowed(attempt))}
    head = {"kind": REVIEWS.kind, "apiVersion": REVIEWS.api_version, "metadata": {}}
    return Answer.of({**head, "spec": body.get("spec", {}), "status": status}, CREATED)
