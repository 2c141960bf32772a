"""The simulated API server is one, as far as the official client can tell."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, config

from rotator.testing.kubernetes import (
    DEPLOYMENTS,
    EVERYTHING,
    SECRETS,
    HangUpBefore,
    Rule,
    SimulatedKubernetes,
    StatusError,
    Webhook,
)
from rotator.testing.kubernetes_api import answered
from rotator.testing.kubernetes_exchange import Message
from rotator.testing.kubernetes_patches import KINDS as PATCHES
from rotator.testing.kubernetes_patches import applied

Api = Any
"""One of the client's, whose models may lack everything, as far as types know."""

MERGE, STRATEGIC, OPERATIONS = (f"application/{kind}-patch+json" for kind in ("merge", "strategic-merge", "json"))
MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


class Clock:
    """Tells the time that a test wants."""

    now = 1_800_000_000.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Give a clock."""
    return Clock()


@pytest.fixture
def cluster(clock: Clock) -> Iterator[SimulatedKubernetes]:
    """Give a cluster with an administrator."""
    with SimulatedKubernetes(clock=clock) as cluster:
        cluster.bind("admin", [EVERYTHING])
        yield cluster


@pytest.fixture
def login(cluster: SimulatedKubernetes, tmp_path: Path) -> Iterator[Callable[[str], Api]]:
    """Give what makes the official client of a token."""
    loader: Any = config  # has no types
    made = []

    def log_in(token: str) -> Api:
        made.append(loader.new_client_from_config(str(cluster.write_kubeconfig(tmp_path, token=token))))
        return made[-1]

    yield log_in
    for api in made:
        api.rest_client.pool_manager.clear()
        api.close()


@pytest.fixture
def core(cluster: SimulatedKubernetes, login: Callable[[str], Api]) -> Api:
    """Give the administrator's client."""
    return client.CoreV1Api(login(cluster.issue_token("admin")))


def secret(name: str, **data: str) -> Any:  # noqa: ANN401 - the client takes models and dicts
    """Make the body of a secret."""
    return client.V1Secret(metadata=client.V1ObjectMeta(name=name), string_data=data)


def refused(attempt: Callable[[], object], status: int, reason: str) -> Any:  # noqa: ANN401 - JSON
    """Return the Status that an attempt is refused with."""
    with pytest.raises(client.ApiException) as caught:
        attempt()
    assert caught.value.status == status
    body = json.loads(caught.value.body or "")
    assert (body["kind"], body["status"], body["code"], body.get("reason", "")) == ("Status", "Failure", status, reason)
    return body


def version(found: Api) -> int:
    """Return a resourceVersion."""
    return int(found.metadata.resource_version)


def test_a_secret_is_made_read_listed_and_deleted(cluster: SimulatedKubernetes, core: Api) -> None:
    """In the models of the official client."""
    made = core.create_namespaced_secret("default", secret("ci", a="1"))
    assert (made.type, made.data, made.string_data) == ("Opaque", {"a": base64.b64encode(b"1").decode()}, None)
    assert made.metadata.creation_timestamp.timestamp() == cluster.clock()
    assert core.read_namespaced_secret("ci", "default") == made
    assert [one.metadata.name for one in core.list_namespaced_secret("default").items] == ["ci"]
    assert core.delete_namespaced_secret("ci", "default")["status"] == "Success"
    body = refused(lambda: core.read_namespaced_secret("ci", "default"), 404, "NotFound")
    assert (body["message"], body["details"]) == ('secrets "ci" not found', {"name": "ci", "kind": "secrets"})


def test_the_version_rises_with_every_change_and_with_nothing_else(core: Api) -> None:
    """One counter for all objects; a patch that changes nothing, a look and a dry run leave it."""
    first = core.create_namespaced_secret("default", secret("one", a="1"))
    second = core.create_namespaced_secret("default", secret("two", a="1"))
    assert version(second) > version(first)
    patch = {"stringData": {"a": "1"}}
    assert version(core.patch_namespaced_secret("one", "default", patch)) == version(first)
    assert version(core.patch_namespaced_secret("one", "default", {"stringData": {"a": "2"}}, dry_run="All")) == (
        version(first)
    )
    assert version(core.read_namespaced_secret("one", "default")) == version(first)
    third = core.patch_namespaced_secret("one", "default", {"stringData": {"a": "2"}})
    assert version(third) > version(second)
    core.delete_namespaced_secret("one", "default")
    assert version(core.create_namespaced_secret("default", secret("one", a="1"))) > version(third)


def test_a_patch_with_another_version_is_a_conflict(core: Api) -> None:
    """With the version that is there it goes through, also when it changes nothing."""
    made = core.create_namespaced_secret("default", secret("ci", a="1"))
    patch = {"metadata": {"resourceVersion": str(version(made))}, "stringData": {"a": "2"}}
    core.patch_namespaced_secret("ci", "default", patch)
    body = refused(lambda: core.patch_namespaced_secret("ci", "default", patch), 409, "Conflict")
    assert body["message"] == f'Operation cannot be fulfilled on secrets "ci": {MODIFIED}'
    assert body["details"] == {"name": "ci", "kind": "secrets"}


def test_a_name_is_taken_once(core: Api) -> None:
    """The second create is told that it exists."""
    core.create_namespaced_secret("default", secret("ci"))
    body = refused(lambda: core.create_namespaced_secret("default", secret("ci")), 409, "AlreadyExists")
    assert body["message"] == 'secrets "ci" already exists'


def test_a_dry_run_says_what_would_come_and_does_nothing(cluster: SimulatedKubernetes, core: Api) -> None:
    """Of all that can be changed; any other value than All is refused."""
    before = dict(cluster.store.objects)
    assert core.create_namespaced_secret("default", secret("ci", a="1"), dry_run="All").data is not None
    assert cluster.store.objects == before
    kept = core.create_namespaced_secret("default", secret("ci", a="1"))
    core.delete_namespaced_secret("ci", "default", dry_run="All")
    assert core.read_namespaced_secret("ci", "default") == kept
    refused(lambda: core.create_namespaced_secret("default", secret("x"), dry_run="Some"), 422, "Invalid")


def test_an_object_with_finalizers_stays_until_they_are_gone(core: Api) -> None:
    """Deleting it marks it; no finalizer comes to it then; taking the last one away removes it."""
    body = secret("ci")
    body.metadata.finalizers = ["a.example/x"]
    core.create_namespaced_secret("default", body)
    core.delete_namespaced_secret("ci", "default")
    left = core.read_namespaced_secret("ci", "default")
    assert left.metadata.deletion_timestamp is not None
    again = refused(lambda: core.create_namespaced_secret("default", secret("ci")), 409, "AlreadyExists")
    assert again["message"] == 'object is being deleted: secrets "ci" already exists'
    more = {"metadata": {"finalizers": ["b.example/y"]}}
    refused(lambda: core.patch_namespaced_secret("ci", "default", more), 422, "Invalid")
    core.patch_namespaced_secret("ci", "default", {"metadata": {"finalizers": None}})
    refused(lambda: core.read_namespaced_secret("ci", "default"), 404, "NotFound")


@pytest.mark.parametrize(
    ("patch", "field"),
    [({"data": {"a": "Mg=="}}, "data"), ({"data": None}, "data"), ({"immutable": None}, "immutable")],
)
def test_an_immutable_secret_stays_as_it_is(core: Api, patch: Any, field: str) -> None:  # noqa: ANN401 - JSON
    """But for its metadata."""
    body = secret("ci", a="1")
    body.immutable = True
    core.create_namespaced_secret("default", body)
    told = refused(lambda: core.patch_namespaced_secret("ci", "default", patch), 422, "Invalid")
    assert told["message"] == (
        f'Secret "ci" is invalid: {field}: Forbidden: field is immutable when `immutable` is set'
    )
    core.patch_namespaced_secret("ci", "default", {"metadata": {"labels": {"a": "b"}}})


WRONG: dict[str, tuple[Any, int, str, str]] = {
    "key": ({"data": {"a b": ""}}, 422, "Invalid", "a valid config key must consist of"),
    "long key": ({"data": {"k" * 254: ""}}, 422, "Invalid", "must be no more than 253 characters"),
    "dots": ({"data": {"..": ""}}, 422, "Invalid", "must not be '..'"),
    "dots first": ({"data": {"..a": ""}}, 422, "Invalid", "must not start with '..'"),
    "size": ({"stringData": {"a": "x" * (1024 * 1024 + 1)}}, 422, "Invalid", "Too long: may not be more than 1048576"),
    "base64": ({"data": {"a": "%"}}, 400, "BadRequest", "illegal base64 data"),
    "number": ({"data": {"a": 7}}, 400, "BadRequest", "cannot unmarshal"),
    "type": ({"type": "other"}, 422, "Invalid", "field is immutable"),
    "kind": ({"kind": "ConfigMap"}, 400, "BadRequest", "does not match the expected one"),
    "name": ({"metadata": {"name": "other"}}, 400, "BadRequest", "does not match the name on the URL"),
    "uid": ({"metadata": {"uid": "other"}}, 422, "Invalid", "field is immutable"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_breaks_a_rule_is_refused(core: Api, kind: str) -> None:
    """And changes nothing."""
    patch, status, reason, words = WRONG[kind]
    before = core.create_namespaced_secret("default", secret("ci", a="1"))
    assert words in refused(lambda: core.patch_namespaced_secret("ci", "default", patch), status, reason)["message"]
    assert core.read_namespaced_secret("ci", "default") == before


def test_what_belongs_to_the_server_stays_its(core: Api) -> None:
    """A client that writes creation or deletion times is not heard."""
    before = core.create_namespaced_secret("default", secret("ci", a="1"))
    patch = {"metadata": {"creationTimestamp": "1999-01-01T00:00:00Z", "deletionTimestamp": "1999-01-01T00:00:00Z"}}
    assert core.patch_namespaced_secret("ci", "default", patch) == before


def test_the_client_says_which_kind_of_patch_it_sends(core: Api) -> None:
    """A dict is a strategic merge patch, a list a JSON patch; the others by name."""
    body = secret("ci", a="1")
    body.metadata.finalizers = ["a.example/x"]
    core.create_namespaced_secret("default", body)
    more = {"metadata": {"finalizers": ["b.example/y"]}}
    assert core.patch_namespaced_secret("ci", "default", more).metadata.finalizers == ["a.example/x", "b.example/y"]
    operations = [{"op": "remove", "path": "/metadata/finalizers/0"}]
    assert core.patch_namespaced_secret("ci", "default", operations).metadata.finalizers == ["b.example/y"]
    only = {"metadata": {"finalizers": ["c.example/z"]}}
    found = core.patch_namespaced_secret("ci", "default", only, _content_type=MERGE)
    assert found.metadata.finalizers == ["c.example/z"]
    apply = "application/apply-patch+yaml"
    refused(
        lambda: core.patch_namespaced_secret("ci", "default", more, _content_type=apply), 415, "UnsupportedMediaType"
    )


PATCHED: list[tuple[str, Any, Any, Any]] = [
    (MERGE, {"a": {"b": 1, "c": 2}}, {"a": {"b": None, "d": 3}}, {"a": {"c": 2, "d": 3}}),
    (MERGE, {"a": [1]}, {"a": [2]}, {"a": [2]}),
    (MERGE, {"a": 1}, {"a": {"b": 1}}, {"a": {"b": 1}}),
    (STRATEGIC, {"finalizers": ["a"]}, {"finalizers": ["a", "b"]}, {"finalizers": ["a", "b"]}),
    (STRATEGIC, {"args": ["a"]}, {"args": ["b"]}, {"args": ["b"]}),
    (
        STRATEGIC,
        {"containers": [{"name": "a", "x": 1}, {"name": "b"}]},
        {"containers": [{"name": "a", "y": 2}, {"name": "b", "$patch": "delete"}, {"name": "c"}]},
        {"containers": [{"name": "a", "x": 1, "y": 2}, {"name": "c"}]},
    ),
    (STRATEGIC, {"data": {"a": 1}}, {"data": {"$patch": "replace", "b": 2}}, {"data": {"b": 2}}),
    (STRATEGIC, {"data": {"a": 1, "b": 2}}, {"data": {"a": None, "$setElementOrder/x": []}}, {"data": {"b": 2}}),
    (OPERATIONS, {"a": [1, 3]}, [{"op": "add", "path": "/a/1", "value": 2}], {"a": [1, 2, 3]}),
    (OPERATIONS, {"a": [1]}, [{"op": "add", "path": "/a/-", "value": 2}], {"a": [1, 2]}),
    (OPERATIONS, {"a": [1, 2]}, [{"op": "replace", "path": "/a/0", "value": 9}], {"a": [9, 2]}),
    (OPERATIONS, {"a/b": {"~": 1}}, [{"op": "remove", "path": "/a~1b/~0"}], {"a/b": {}}),
    (OPERATIONS, {"a": 1}, [{"op": "move", "from": "/a", "path": "/b"}], {"b": 1}),
    (OPERATIONS, {"a": 1}, [{"op": "copy", "from": "/a", "path": "/b"}], {"a": 1, "b": 1}),
    (OPERATIONS, {"a": 1}, [{"op": "test", "path": "/a", "value": 1}], {"a": 1}),
    (OPERATIONS, {"a": 1}, [{"op": "replace", "path": "", "value": {}}], {}),
]


@pytest.mark.parametrize(("kind", "target", "patch", "wanted"), PATCHED)
def test_each_kind_of_patch_does_what_its_rules_say(kind: str, target: Any, patch: Any, wanted: Any) -> None:  # noqa: ANN401 - JSON
    """RFC 7386, RFC 6902, and the API conventions; what is patched is a copy."""
    before = json.dumps(target)
    assert applied(kind, target, patch) == wanted
    assert json.dumps(target) == before


@pytest.mark.parametrize(
    ("kind", "patch"),
    [
        (OPERATIONS, {"a": 1}),
        (OPERATIONS, [{"op": "test", "path": "/a", "value": 2}]),
        (OPERATIONS, [{"op": "remove", "path": "/nothing"}]),
        (OPERATIONS, [{"op": "remove", "path": "/list/x"}]),
        (OPERATIONS, [{"op": "replace", "path": "", "value": 1}]),
        (STRATEGIC, {"containers": [{"image": "x"}]}),
    ],
)
def test_a_patch_that_makes_no_sense_is_refused(kind: str, patch: Any) -> None:  # noqa: ANN401 - JSON
    """As a bad request."""
    assert kind in PATCHES
    with pytest.raises(StatusError) as caught:
        applied(kind, {"a": 1, "list": [1]}, patch)
    assert caught.value.code == 400


def test_who_may_not_is_told_so_in_the_words_of_rbac(cluster: SimulatedKubernetes, login: Callable[[str], Api]) -> None:
    """Whether the object is there or not; a rule with names allows no create and no list."""
    cluster.add_namespace("pve")
    cluster.bind("rotator", [Rule(("*",), ("secrets",), resource_names=("ci",))], namespace="pve")
    core: Api = client.CoreV1Api(login(cluster.issue_token("rotator")))
    in_pve = 'in API group "" in the namespace "pve"'
    for attempt, subject, verb in (
        (lambda: core.read_namespaced_secret("other", "pve"), 'secrets "other"', "get"),
        (lambda: core.create_namespaced_secret("pve", secret("ci")), "secrets", "create"),
        (lambda: core.list_namespaced_secret("pve"), "secrets", "list"),
    ):
        body = refused(attempt, 403, "Forbidden")
        assert body["message"] == f'{subject} is forbidden: User "rotator" cannot {verb} resource "secrets" {in_pve}'
    refused(lambda: core.read_namespaced_secret("ci", "default"), 403, "Forbidden")
    refused(lambda: core.read_namespaced_secret("ci", "pve"), 404, "NotFound")
    body = refused(core.list_namespace, 403, "Forbidden")
    assert body["message"].endswith('cannot list resource "namespaces" in API group "" at the cluster scope')


def test_a_review_says_what_rbac_would_say(cluster: SimulatedKubernetes, login: Callable[[str], Api]) -> None:
    """For the caller's own self, by verb, kind, name and namespace."""
    cluster.bind("rotator", [Rule(("patch",), ("secrets",), resource_names=("ci",))], namespace="default")
    reviews: Api = client.AuthorizationV1Api(login(cluster.issue_token("rotator")))

    def may(**wanted: str) -> bool:
        attributes = client.V1ResourceAttributes(**wanted)
        spec = client.V1SelfSubjectAccessReviewSpec(resource_attributes=attributes)
        review = client.V1SelfSubjectAccessReview(spec=spec)
        return bool(reviews.create_self_subject_access_review(review).status.allowed)

    patch = {"verb": "patch", "resource": "secrets", "name": "ci", "namespace": "default"}
    assert may(**patch)
    for key, other in (("verb", "get"), ("resource", "pods"), ("name", "other"), ("namespace", "other")):
        assert not may(**{**patch, key: other})


def test_a_token_ends(cluster: SimulatedKubernetes, clock: Clock, login: Callable[[str], Api]) -> None:
    """With a 401; a token that nobody made likewise."""
    core: Api = client.CoreV1Api(login(cluster.issue_token("admin", expires=clock.now + 10)))
    core.list_namespace()
    clock.now += 10
    body = refused(core.list_namespace, 401, "Unauthorized")
    assert body["message"] == "Unauthorized"
    refused(client.CoreV1Api(login("made-up")).list_namespace, 401, "Unauthorized")


def test_namespaces_are_objects_too(core: Api) -> None:
    """Nothing is made where there is none."""
    body = refused(lambda: core.create_namespaced_secret("pve", secret("ci")), 404, "NotFound")
    assert body["message"] == 'namespaces "pve" not found'
    core.create_namespace({"metadata": {"name": "pve"}})
    core.create_namespaced_secret("pve", secret("ci"))
    assert [one.metadata.name for one in core.list_namespace().items] == ["default", "pve"]
    assert core.read_namespace("pve").metadata.name == "pve"
    assert [one.metadata.namespace for one in core.list_secret_for_all_namespaces().items] == ["pve"]


def test_workloads_count_the_generations_of_their_spec(
    cluster: SimulatedKubernetes, login: Callable[[str], Api]
) -> None:
    """Labels and status do not count."""
    cluster.add_workload("Deployment", "default", "web", replicas=1)
    apps: Api = client.AppsV1Api(login(cluster.issue_token("admin")))
    label = {"metadata": {"labels": {"a": "b"}}}
    assert apps.patch_namespaced_deployment("web", "default", label).metadata.generation == 1
    image = {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "other"}]}}}}
    patched = apps.patch_namespaced_deployment("web", "default", image)
    assert patched.metadata.generation == 2
    assert [one.image for one in patched.spec.template.spec.containers] == ["other"]
    assert patched.spec.replicas == 1
    body = refused(lambda: apps.read_namespaced_stateful_set("web", "default"), 404, "NotFound")
    assert body["message"] == 'statefulsets.apps "web" not found'
    assert body["details"] == {"name": "web", "group": "apps", "kind": "statefulsets"}


def test_what_is_not_served_is_said_so(core: Api) -> None:
    """Unknown kinds are not found, known ones have methods."""
    body = refused(lambda: core.read_namespaced_pod("ci", "default"), 404, "NotFound")
    assert body["message"] == "the server could not find the requested resource"
    refused(lambda: core.delete_collection_namespaced_secret("default"), 405, "MethodNotAllowed")
    refused(lambda: core.list_namespaced_secret("default", label_selector="a=b"), 400, "BadRequest")


@pytest.mark.parametrize(
    ("media", "body", "status"),
    [("application/yaml", b"a: b", 415), ("application/json", b"{", 400), ("", b"[]", 400)],
)
def test_what_is_no_json_object_is_refused(cluster: SimulatedKubernetes, media: str, body: bytes, status: int) -> None:
    """In another language, cut off, or a list."""
    headers = {"authorization": f"Bearer {cluster.issue_token('admin')}", "content-type": media}
    message = Message("POST", "/api/v1/namespaces/default/secrets", headers, body)
    assert answered(message, cluster).status == status


def test_nobody_may_ask_for_a_review_of_anonymous(cluster: SimulatedKubernetes) -> None:
    """Who has not logged in may ask nothing; who shows something else than a token is not known."""
    message = Message("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {}, b"{}")
    assert answered(message, cluster).status == 403
    basic = Message("GET", "/version", {"authorization": "Basic eA=="})
    assert answered(basic, cluster).status == 401


def test_what_is_no_object_is_refused(cluster: SimulatedKubernetes, core: Api) -> None:
    """Names, namespaces, bodies."""
    create = core.create_namespaced_secret
    nameless: dict[str, object] = {"metadata": {}}
    refused(lambda: create("default", nameless), 422, "Invalid")
    refused(lambda: create("default", secret("Upper")), 422, "Invalid")
    elsewhere = {"metadata": {"name": "ci", "namespace": "other"}}
    refused(lambda: create("default", elsewhere), 400, "BadRequest")
    assert cluster.store.list(SECRETS, "default") == []


def test_a_cluster_says_what_it_serves(cluster: SimulatedKubernetes, login: Callable[[str], Api]) -> None:
    """So that kubectl works with it."""
    api = login(cluster.issue_token("admin"))
    assert client.VersionApi(api).get_code().major == "1"
    groups = [one.name for one in client.ApisApi(api).get_api_versions().groups]
    assert set(groups) >= {"apps", "coordination.k8s.io", "rbac.authorization.k8s.io", "authorization.k8s.io"}
    assert len(groups) == len(set(groups))
    assert client.CoreApi(api).get_api_versions().versions == ["v1"]
    kinds = {one.name for one in client.AppsV1Api(api).get_api_resources().resources}
    assert kinds == {"deployments", "statefulsets", "daemonsets"}


def test_a_webhook_sees_every_change_before_it_is_made(cluster: SimulatedKubernetes, core: Api) -> None:
    """With old and new; a look is no change."""
    seen = []

    def judge(review: Any) -> str | None:  # noqa: ANN401 - a Review
        seen.append((review.operation, review.old is not None, review.new is not None))
        return "not deleted here" if review.operation == "DELETE" else None

    cluster.webhooks.append(Webhook("watch.example.com", judge, code=400))
    core.create_namespaced_secret("default", secret("ci"))
    core.patch_namespaced_secret("ci", "default", {"stringData": {"a": "1"}})
    core.read_namespaced_secret("ci", "default")
    body = refused(lambda: core.delete_namespaced_secret("ci", "default"), 400, "")
    assert body["message"] == 'admission webhook "watch.example.com" denied the request: not deleted here'
    assert seen == [("CREATE", False, True), ("UPDATE", True, True), ("DELETE", True, False)]


def test_calls_are_kept_without_what_was_sent(cluster: SimulatedKubernetes, core: Api, canary: str) -> None:
    """Verb, kind, whether it was a dry run, and what came of it; nothing when we hung up."""
    core.create_namespaced_secret("default", secret("ci", a=canary), dry_run="All")
    cluster.intercept = lambda request: HangUpBefore() if request.name == "ci" else None
    with pytest.raises(Exception, match="Remote end closed connection"):
        core.patch_namespaced_secret("ci", "default", {"stringData": {"a": canary}})
    told = [str(call) for call in cluster.calls]
    assert told[0] == "create secrets (dry run): 201"
    assert set(told[1:]) == {"patch secrets: 0"}
    encoded = base64.b64encode(canary.encode()).decode()
    assert canary not in repr(cluster)
    assert encoded not in repr(cluster.calls)


def test_what_somebody_else_does_goes_past_rbac(cluster: SimulatedKubernetes) -> None:
    """A test's own hands, without a server: a model in memory."""
    cluster.add_workload("Deployment", "default", "web")
    cluster.edit(DEPLOYMENTS, "default", "web", lambda web: {**web, "status": {"replicas": 1}})
    assert cluster.workload("Deployment", "default", "web")["status"] == {"replicas": 1}
    cluster.delete(DEPLOYMENTS, "default", "web")
    with pytest.raises(StatusError, match=r'deployments\.apps "web" not found'):
        cluster.workload("Deployment", "default", "web")
