"""A Lease comes into being where it is put, unlike other objects: as a real API server does it (measured on 1.34)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from rotator.testing.kubernetes import LEASES, Rule, SimulatedKubernetes
from rotator.testing.kubernetes_api import answered
from rotator.testing.kubernetes_exchange import Answer, Message

GROUP = ("coordination.k8s.io",)
WHERE = "/apis/coordination.k8s.io/v1/namespaces/default/leases"


@pytest.fixture
def cluster() -> Iterator[SimulatedKubernetes]:
    """Give a cluster."""
    with SimulatedKubernetes() as cluster:
        yield cluster


def put(cluster: SimulatedKubernetes, place: str, **metadata: str) -> Answer:
    """Put a Lease somewhere."""
    headers = {"authorization": f"Bearer {cluster.issue_token('somebody')}"}
    body = json.dumps({"metadata": {"name": place, **metadata}, "spec": {"holderIdentity": "a"}})
    return answered(Message("PUT", f"{WHERE}/{place}", headers, body.encode()), cluster)


def said(answer: Answer) -> Any:  # noqa: ANN401 - JSON
    """Read an answer."""
    return json.loads(answer.body)


def test_who_may_create_one_by_name_may_put_it_where_nothing_is(cluster: SimulatedKubernetes) -> None:
    """So a Role can be limited to one Lease, also for its making; a version that it had once does not matter."""
    cluster.bind("somebody", [Rule(("create", "update"), ("leases",), GROUP, ("rotate", "again"))])
    assert [put(cluster, "rotate").status, put(cluster, "again", resourceVersion="5").status] == [201, 201]
    assert put(cluster, "other").status == 403
    assert len(cluster.store.list(LEASES, "default")) == 2


def test_who_may_only_update_makes_none(cluster: SimulatedKubernetes) -> None:
    """The right that is missing is the one to create."""
    cluster.bind("somebody", [Rule(("update",), ("leases",), GROUP)])
    answer = put(cluster, "rotate")
    assert (answer.status, "cannot create resource" in said(answer)["message"]) == (403, True)


def test_another_is_replaced_only_by_its_version(cluster: SimulatedKubernetes) -> None:
    """Of two who both saw none, the second is refused."""
    cluster.bind("somebody", [Rule(("create", "update"), ("leases",), GROUP)])
    version = said(put(cluster, "rotate"))["metadata"]["resourceVersion"]
    answer = put(cluster, "rotate")
    assert (answer.status, said(answer)["details"]["causes"][0]["field"]) == (422, "metadata.resourceVersion")
    assert put(cluster, "rotate", resourceVersion=version).status == 200
    assert put(cluster, "rotate", resourceVersion="1").status == 409
    assert put(cluster, "rotate", name="other").status == 400
