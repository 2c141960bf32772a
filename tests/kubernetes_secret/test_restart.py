"""Restarting what reads a secret at its start: as kubectl does it, once per rotation."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rotator.errors import NotFoundError, OutcomeUnknownError, RefusedError, UnavailableError
from rotator.testing.backend_contract import at_once, pair
from rotator.testing.kubernetes import (
    DEPLOYMENTS,
    Answer,
    AnswerInstead,
    HangUpAfter,
    HangUpBefore,
    Request,
    Rule,
    SimulatedKubernetes,
    Webhook,
)
from rotator.testing.kubernetes_status import too_many_requests
from rotator_backends.kubernetes_client import Access, Cluster, Surroundings
from rotator_backends.kubernetes_restart import RESTARTED_AT, ROTATION, TRIES
from rotator_backends.kubernetes_secret import KubernetesBackend, SecretLocation
from rotator_backends.kubernetes_settings import Auth, backend_settings
from tests.kubernetes_secret.lab import NAMESPACE, ROTATOR, Lab, SimulatedLab, new_name

NOON = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)
KINDS = ("Deployment", "StatefulSet", "DaemonSet")
ALL = Rule(("get", "patch"), ("deployments", "statefulsets", "daemonsets"), ("apps",))


@pytest.fixture
def consumers(lab: SimulatedLab) -> SimulatedKubernetes:
    """Give a cluster with a workload of each kind, which the rotator may restart."""
    for kind in KINDS:
        lab.cluster.add_workload(kind, NAMESPACE, "web")
    lab.cluster.bind(ROTATOR, [ALL], namespace=NAMESPACE)
    return lab.cluster


@pytest.fixture
def timed(lab: SimulatedLab) -> Iterator[KubernetesBackend]:
    """Give a backend whose clock is a second later at every look, from noon on."""
    access = Access(Auth.KUBECONFIG, Surroundings({}, lab.kubeconfig.parent, lab.kubeconfig.parent), lab.kubeconfig)
    seconds = itertools.count()
    settings = backend_settings({"namespace": NAMESPACE, "timeout": "30s"})
    backend = KubernetesBackend(
        settings, Cluster(access, settings.timeout), now=lambda: NOON + timedelta(seconds=next(seconds))
    )
    yield backend
    backend.close()


def place(backend: KubernetesBackend, *kinds: str, name: str = "web") -> SecretLocation:
    """Locate a secret that some workloads are restarted for."""
    restart = [{"kind": kind, "name": name} for kind in kinds]
    return backend.locate({"name": "ci", "restart": restart})[0]


def generation(cluster: SimulatedKubernetes, kind: str) -> int:
    """Return how often the pod template was changed, and once more."""
    return int(cluster.workload(kind, NAMESPACE, "web")["metadata"]["generation"])


def template(cluster: SimulatedKubernetes, kind: str) -> Any:  # noqa: ANN401 - JSON
    """Return the pod template."""
    return cluster.workload(kind, NAMESPACE, "web")["spec"]["template"]


def attempts(backend: KubernetesBackend, location: SecretLocation) -> list[Callable[[], None]]:
    """List what meets a workload that cannot be restarted."""
    return [lambda: backend.preflight(location), lambda: backend.announce(location, rotation="r-1")]


def changing(request: Request) -> bool:
    """Say whether a request restarts a workload."""
    return request.verb == "patch" and request.plural != "secrets" and not request.is_dry_run


@pytest.mark.parametrize("kind", KINDS)
def test_a_restart_is_the_annotation_of_kubectl_on_the_pod_template(
    consumers: SimulatedKubernetes, timed: KubernetesBackend, kind: str
) -> None:
    """And one that names the rotation; nothing else of the template changes, so that the pods are the same but new."""
    before = template(consumers, kind)
    timed.announce(place(timed, kind), rotation="r-1")
    annotations = {"kubectl.kubernetes.io/restartedAt": "2026-03-01T12:00:30Z", "proxmox-token-rotator/rotation": "r-1"}
    metadata = {**before["metadata"], "annotations": annotations}
    assert template(consumers, kind) == {**before, "metadata": metadata}
    assert tuple(annotations) == (RESTARTED_AT, ROTATION)


def test_a_repeat_restarts_nothing_twice(consumers: SimulatedKubernetes, timed: KubernetesBackend) -> None:
    """A run that crashed after it says the same again; the next rotation is another one."""
    location = place(timed, *KINDS)
    for rotation, wanted in (("r-1", 2), ("r-1", 2), ("r-2", 3), ("r-2", 3)):
        timed.announce(location, rotation=rotation)
        assert [generation(consumers, kind) for kind in KINDS] == [wanted] * 3


def test_a_repeat_after_a_crash_restarts_the_rest(consumers: SimulatedKubernetes, timed: KubernetesBackend) -> None:
    """What was restarted before the crash is left alone."""
    timed.announce(place(timed, "StatefulSet"), rotation="r-1")
    timed.announce(place(timed, *KINDS), rotation="r-1")
    assert [generation(consumers, kind) for kind in KINDS] == [2, 2, 2]


def test_two_rotators_at_once_restart_once(consumers: SimulatedKubernetes, timed: KubernetesBackend) -> None:
    """One of them meets a conflict, looks again and finds it done."""
    location = place(timed, *KINDS)
    for number in range(1, 21):
        ends = at_once(*[lambda number=number: timed.announce(location, rotation=f"r-{number}")] * 2)
        assert [end.exception() for end in ends] == [None, None]
        assert [generation(consumers, kind) for kind in KINDS] == [number + 1] * 3


def test_a_controller_that_writes_its_status_only_delays_it(
    consumers: SimulatedKubernetes, timed: KubernetesBackend
) -> None:
    """Each status makes a new resourceVersion between our look and our patch."""
    count = iter(range(1000))

    def report(request: Request) -> None:
        if changing(request) and (number := next(count)) < TRIES - 1:
            status = {"observedGeneration": number}
            consumers.edit(DEPLOYMENTS, NAMESPACE, "web", lambda web: {**web, "status": status})

    consumers.intercept = report
    timed.announce(place(timed, "Deployment"), rotation="r-1")
    assert generation(consumers, "Deployment") == 2


def test_a_workload_that_never_rests_is_unavailable(consumers: SimulatedKubernetes, timed: KubernetesBackend) -> None:
    """The next run tries again."""
    count = iter(range(1000))

    def report(request: Request) -> None:
        if changing(request):
            status = {"observedGeneration": next(count)}
            consumers.edit(DEPLOYMENTS, NAMESPACE, "web", lambda web: {**web, "status": status})

    consumers.intercept = report
    with pytest.raises(UnavailableError, match="deployment pve/web is changed all the time; it was not restarted"):
        timed.announce(place(timed, "Deployment"), rotation="r-1")


@pytest.mark.parametrize(("fault", "wanted"), [(HangUpBefore(), 1), (HangUpAfter(), 2)])
def test_an_unknown_outcome_is_settled_by_a_repeat(
    consumers: SimulatedKubernetes, timed: KubernetesBackend, fault: HangUpBefore | HangUpAfter, wanted: int
) -> None:
    """Whether it took effect or not: in the end it was restarted once."""
    consumers.intercept = lambda request: fault if changing(request) else None
    with pytest.raises(OutcomeUnknownError, match="may have been changed or not"):
        timed.announce(place(timed, "Deployment"), rotation="r-1")
    assert generation(consumers, "Deployment") == wanted
    consumers.intercept = None
    timed.announce(place(timed, "Deployment"), rotation="r-1")
    assert generation(consumers, "Deployment") == 2


def test_one_that_fails_does_not_keep_the_others_from_it(
    consumers: SimulatedKubernetes, timed: KubernetesBackend
) -> None:
    """All are tried, then the failure is told."""
    busy = AnswerInstead(Answer.refusing(too_many_requests()))
    consumers.intercept = lambda request: busy if request.plural == "daemonsets" else None
    with pytest.raises(UnavailableError, match="daemonset pve/web"):
        timed.announce(place(timed, *KINDS), rotation="r-1")
    assert [generation(consumers, kind) for kind in KINDS] == [2, 2, 1]


def test_a_workload_that_is_not_there_is_found_before_anything_is_done(
    lab: SimulatedLab, timed: KubernetesBackend
) -> None:
    """The preflight looks, and the announcement says the same."""
    location = place(timed, "Deployment", name="gone")
    for attempt in attempts(timed, location):
        with pytest.raises(NotFoundError) as caught:
            attempt()
        assert caught.value.message == "deployment pve/gone is to be restarted and does not exist"
        assert caught.value.hint == "correct restart: in the configuration, or take it out"
    assert lab.cluster.url


def test_a_paused_deployment_is_refused_as_kubectl_does(lab: SimulatedLab, timed: KubernetesBackend) -> None:
    """It would take the annotation and restart nothing until somebody resumes it."""
    lab.cluster.add_workload("Deployment", NAMESPACE, "web", paused=True)
    location = place(timed, "Deployment")
    for attempt in attempts(timed, location):
        with pytest.raises(RefusedError, match="deployment pve/web is paused and cannot be restarted") as caught:
            attempt()
        assert caught.value.hint == "kubectl -n pve rollout resume deployment web"
    assert generation(lab.cluster, "Deployment") == 1


def test_pods_that_are_replaced_by_hand_are_not_said_to_be_restarted(
    lab: SimulatedLab, timed: KubernetesBackend
) -> None:
    """With OnDelete a new template changes no pod."""
    lab.cluster.add_workload("StatefulSet", NAMESPACE, "web", updateStrategy={"type": "OnDelete"})
    lab.cluster.bind(ROTATOR, [ALL], namespace=NAMESPACE)
    with pytest.raises(RefusedError, match="statefulset pve/web does not restart its pods by itself"):
        timed.preflight(place(timed, "StatefulSet"))


@pytest.mark.parametrize("verb", ["get", "patch"])
def test_a_missing_rule_for_a_workload_is_named_by_the_preflight(
    consumers: SimulatedKubernetes, timed: KubernetesBackend, verb: str
) -> None:
    """Before anything is issued, with the rule to add."""
    left = tuple({"get", "patch"} - {verb})
    consumers.bindings.clear()
    rules = [Rule(("get", "create", "patch"), ("secrets",)), Rule(left, ("statefulsets",), ("apps",))]
    consumers.bind(ROTATOR, rules, namespace=NAMESPACE)
    with pytest.raises(RefusedError, match=f"may not {verb} it") as caught:
        timed.preflight(place(timed, "StatefulSet"))
    rule = f'{{apiGroups: ["apps"], resources: [statefulsets], resourceNames: [web], verbs: [{verb}]}}'
    assert caught.value.hint == f"add to its Role in namespace pve: {rule}"


def test_a_preflight_restarts_nothing(consumers: SimulatedKubernetes, timed: KubernetesBackend) -> None:
    """It is a dry run; a webhook that knows none does not stop it."""
    timed.preflight(place(timed, *KINDS))
    consumers.webhooks.append(Webhook("effects.example.com", lambda _: None, supports_dry_run=False))
    timed.preflight(place(timed, *KINDS))
    assert [generation(consumers, kind) for kind in KINDS] == [1, 1, 1]


def test_a_secret_that_nothing_is_restarted_for_asks_nobody(lab: SimulatedLab, timed: KubernetesBackend) -> None:
    """Most consumers watch the file or read it each time."""
    timed.announce(place(timed), rotation="r-1")
    assert lab.cluster.calls == []


def test_writing_and_restarting_work_together(anywhere: Lab) -> None:
    """Write, announce, announce again: on a real cluster, too, the template changes once."""
    name = new_name()
    anywhere.deployment(name)
    backend = anywhere.backend()
    restart = [{"kind": "Deployment", "name": name}]
    location, _ = backend.locate({"namespace": anywhere.namespace, "name": new_name(), "restart": restart})
    backend.preflight(location)
    backend.write(location, pair(1), expected=None)
    backend.announce(location, rotation="r-1")
    once = anywhere.deployment(name)
    backend.announce(location, rotation="r-1")
    again = anywhere.deployment(name)
    assert once["spec"]["template"]["metadata"]["annotations"][ROTATION] == "r-1"
    assert (once["metadata"]["generation"], again["metadata"]["generation"]) == (2, 2)
    backend.close()


@pytest.mark.parametrize(
    "found",
    [
        {"metadata": {}},
        {"metadata": {"resourceVersion": "1"}, "spec": "x"},
        {"metadata": {"resourceVersion": "1"}, "spec": {"template": "x"}},
        {"metadata": {"resourceVersion": "1"}, "spec": {"updateStrategy": "x"}},
    ],
)
def test_what_only_resembles_a_workload_is_no_answer(
    consumers: SimulatedKubernetes, backend: KubernetesBackend, found: dict[str, Any]
) -> None:
    """Whoever answers so is no API server: nothing is restarted on its word."""
    consumers.intercept = lambda request: AnswerInstead(Answer.of(found)) if request.verb == "get" else None
    with pytest.raises(UnavailableError) as caught:
        backend.announce(place(backend, "Deployment"), rotation="r-1")
    assert caught.value.hint == "nothing was changed"
