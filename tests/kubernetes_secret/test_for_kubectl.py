"""What kubectl asks of an API server beyond what the official client for Python does; ``tests/system`` runs kubectl."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from rotator.testing.kubernetes import EVERYTHING, SECRETS, SimulatedKubernetes
from rotator.testing.kubernetes_api import answered
from rotator.testing.kubernetes_exchange import Answer, Message
from rotator.testing.kubernetes_protobuf import MEDIA

WHERE = "/api/v1/namespaces/default/secrets"
RBAC = "/apis/rbac.authorization.k8s.io/v1/namespaces/default"


@pytest.fixture
def cluster() -> Iterator[SimulatedKubernetes]:
    """Give a cluster with an administrator."""
    with SimulatedKubernetes() as cluster:
        cluster.bind("admin", [EVERYTHING])
        yield cluster


def ask(
    cluster: SimulatedKubernetes, method: str, target: str, body: bytes = b"", *, media: str = "", user: str = "admin"
) -> Answer:
    """Ask as somebody who has logged in."""
    headers = {"authorization": f"Bearer {cluster.issue_token(user)}", "content-type": media}
    return answered(Message(method, target, headers, body), cluster)


def field(number: int, value: bytes | int) -> bytes:
    """Write one field of a message of protobuf; its length is written in as many bytes as it takes."""
    if isinstance(value, int):
        return bytes([number << 3, value])
    length, size = b"", len(value)
    while size > 0x7F:
        length, size = length + bytes([size & 0x7F | 0x80]), size >> 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + value


def entry(number: int, key: bytes, value: bytes) -> bytes:
    """Write one entry of a map."""
    return field(number, field(1, key) + field(2, value))


LONG = b"\x00\xff" * 200
METADATA = field(1, b"ci") + field(2, b"") + field(7, 0) + entry(11, b"app", b"ci") + entry(12, b"note", b"of ours")
SECRET = (
    field(1, METADATA)
    + entry(2, b"token_secret", LONG)
    + entry(2, b"empty", b"")
    + field(3, b"Opaque")
    + entry(4, b"token_id", b"ci@pve!a")
    + field(5, 1)
)


def envelope(secret: bytes) -> bytes:
    """Wrap a Secret as clients send it: its kind first."""
    return b"k8s\x00" + field(1, field(1, b"v1") + field(2, b"Secret")) + field(2, secret)


def test_a_secret_is_read_from_protobuf(cluster: SimulatedKubernetes) -> None:
    """With what it holds in bytes and in text, its labels and annotations, and that it is immutable."""
    assert ask(cluster, "POST", WHERE, envelope(SECRET), media=MEDIA).status == 201
    assert cluster.data("default", "ci") == {"token_secret": LONG, "empty": b"", "token_id": b"ci@pve!a"}
    made = cluster.secret("default", "ci")
    assert (made["type"], made["immutable"]) == ("Opaque", True)
    assert (made["metadata"]["labels"], made["metadata"]["annotations"]) == ({"app": "ci"}, {"note": "of ours"})


@pytest.mark.parametrize(
    "body",
    [
        b"k8s",
        envelope(SECRET)[:-2],
        envelope(SECRET[:-1]),
        envelope(field(1, 1)),
        envelope(b"\x0d\x00\x00\x00\x00"),
        envelope(entry(4, b"token_id", b"\xff")),
    ],
    ids=["no protobuf", "cut off", "cut off within", "a number for a message", "a kind of field unknown", "no text"],
)
def test_what_is_no_secret_in_protobuf_is_refused(cluster: SimulatedKubernetes, body: bytes) -> None:
    """As what is no JSON is; nothing is stored."""
    assert ask(cluster, "POST", WHERE, body, media=MEDIA).status == 400
    assert cluster.store.list(SECRETS, "default") == []


def test_other_kinds_are_not_read_from_protobuf(cluster: SimulatedKubernetes) -> None:
    """It is said so, and nobody is let believe that something was made."""
    target = "/apis/apps/v1/namespaces/default/deployments"
    assert ask(cluster, "POST", target, envelope(SECRET), media=MEDIA).status == 415


def test_one_object_is_listed_by_its_name(cluster: SimulatedKubernetes) -> None:
    """As ``kubectl rollout status`` asks; by anything else nobody can ask."""
    for name in ("ci", "other"):
        cluster.add_secret("default", name, {})
    found = json.loads(ask(cluster, "GET", f"{WHERE}?fieldSelector=metadata.name%3Dci").body)
    assert [one["metadata"]["name"] for one in found["items"]] == ["ci"]
    assert ask(cluster, "GET", f"{WHERE}?fieldSelector=type%3DOpaque").status == 400


def test_a_watch_ends_at_once(cluster: SimulatedKubernetes) -> None:
    """Without an event; clients list again."""
    cluster.add_secret("default", "ci", {})
    answer = ask(cluster, "GET", f"{WHERE}?watch=true")
    assert (answer.status, answer.body) == (200, b"")


def test_the_description_of_kinds_is_empty(cluster: SimulatedKubernetes) -> None:
    """In protobuf, an empty message: kubectl then validates nothing itself."""
    answer = ask(cluster, "GET", "/openapi/v2")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["Content-Type"].endswith("+protobuf")


def make(cluster: SimulatedKubernetes, plural: str, body: dict[str, Any]) -> None:
    """Make a Role or a RoleBinding."""
    assert ask(cluster, "POST", f"{RBAC}/{plural}", json.dumps(body).encode()).status == 201


@pytest.mark.parametrize(
    ("subject", "user"),
    [
        ({"kind": "ServiceAccount", "name": "rotate", "namespace": "other"}, "system:serviceaccount:other:rotate"),
        ({"kind": "ServiceAccount", "name": "rotate"}, "system:serviceaccount:default:rotate"),
        ({"kind": "User", "name": "jane"}, "jane"),
    ],
    ids=["of another namespace", "of this one", "a person"],
)
def test_a_binding_gives_what_its_role_says(cluster: SimulatedKubernetes, subject: dict[str, str], user: str) -> None:
    """From when both are there, in their namespace, and until one of them is gone."""
    cluster.add_secret("default", "ci", {"a": b"b"})
    rule = {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["ci"], "verbs": ["get"]}
    make(cluster, "rolebindings", {"metadata": {"name": "r"}, "roleRef": {"name": "r"}, "subjects": [subject]})
    assert ask(cluster, "GET", f"{WHERE}/ci", user=user).status == 403
    make(cluster, "roles", {"metadata": {"name": "r"}, "rules": [rule]})
    assert ask(cluster, "GET", f"{WHERE}/ci", user=user).status == 200
    assert ask(cluster, "DELETE", f"{WHERE}/ci", user=user).status == 403
    assert ask(cluster, "GET", f"{WHERE}/ci", user="somebody").status == 403
    assert ask(cluster, "DELETE", f"{RBAC}/roles/r").status == 200
    assert ask(cluster, "GET", f"{WHERE}/ci", user=user).status == 403


def test_a_kind_of_which_nothing_comes_is_kept(cluster: SimulatedKubernetes) -> None:
    """As it was sent."""
    target = "/apis/external-secrets.io/v1/namespaces/default/externalsecrets"
    spec = {"refreshInterval": "15m"}
    assert ask(cluster, "POST", target, json.dumps({"metadata": {"name": "ci"}, "spec": spec}).encode()).status == 201
    assert json.loads(ask(cluster, "GET", f"{target}/ci").body)["spec"] == spec
