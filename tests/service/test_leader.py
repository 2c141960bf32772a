"""Who leads: the real client against a simulated Kubernetes, by a clock that is turned."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from threading import Event

import pytest

from rotator.errors import ConflictError, RefusedError, UnavailableError
from rotator.service.election import LEASE, RENEW, RETRY, Campaign, Election, Holding, Terms
from rotator.service.lease import KubernetesLease, identity
from rotator.service.pod import Pod
from rotator.testing.kubernetes import LEASES, AnswerInstead, Rule, SimulatedKubernetes, StatusError
from rotator.testing.kubernetes_exchange import Answer, Fault, Request
from rotator.testing.kubernetes_server import ApiServer
from tests.world import TurnedClock

RULES = [Rule(("get", "create", "update"), ("leases",), ("coordination.k8s.io",), ("rotate",))]


@dataclass
class Cluster:
    """A Kubernetes with a service account that may lead."""

    kubernetes: SimulatedKubernetes
    folder: Path
    clock: TurnedClock

    def lease(self) -> KubernetesLease:
        """Look at the lease as a pod does."""
        host, port = "127.0.0.1", str(self.kubernetes.port)
        environ = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
        pod = Pod(environ, self.folder)
        return KubernetesLease("rotate", pod.namespace, pod)

    def candidate(self, name: str) -> Election:
        """Make a candidate."""
        return Election(self.lease(), name, self.clock)

    def spec(self) -> dict[str, object]:
        """Show the lease as others see it."""
        found = self.kubernetes.store.list(LEASES, "pve")
        return dict(found[0]["spec"])

    def login(self) -> None:
        """Give the account a new token, and forget the one before."""
        self.kubernetes.logins.clear()
        self.kubernetes.write_service_account(
            self.folder, token=self.kubernetes.issue_token("rotator"), namespace="pve"
        )


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Return a Kubernetes whose account may lead."""
    clock = TurnedClock()
    with SimulatedKubernetes(clock=clock.time) as kubernetes:
        kubernetes.add_namespace("pve")
        kubernetes.bind("rotator", RULES, namespace="pve")
        made = Cluster(kubernetes, tmp_path, clock)
        made.login()
        yield made


def test_the_first_leads_and_the_second_stands_by(cluster: Cluster) -> None:
    """Everybody knows who leads."""
    first, second = cluster.candidate("a"), cluster.candidate("b")
    first.attempt()
    second.attempt()
    assert (first.leads(), second.leads()) == (True, False)
    assert second.standing().holder == "a"
    spec = cluster.spec()
    assert (spec["holderIdentity"], spec["leaseDurationSeconds"], spec["leaseTransitions"]) == ("a", 15, 0)
    assert spec["renewTime"] == "2026-03-01T12:00:00.000001+00:00"


def test_a_leader_that_renews_goes_on_leading(cluster: Cluster) -> None:
    """For as long as it lives, and the other never takes over."""
    first, second = cluster.candidate("a"), cluster.candidate("b")
    for _ in range(30):
        first.attempt()
        second.attempt()
        assert (first.leads(), second.leads()) == (True, False)
        cluster.clock.pass_by(RETRY)


def test_a_dead_leader_is_replaced_within_thirty_seconds(cluster: Cluster) -> None:
    """The other sees for 15 s that nothing changes; until then nobody begins anything."""
    first, second = cluster.candidate("a"), cluster.candidate("b")
    first.attempt()
    second.attempt()
    passed = 0.0
    while not second.leads():
        cluster.clock.pass_by(RETRY)
        passed += RETRY.total_seconds()
        assert not (first.leads() and second.leads())
        second.attempt()
    assert LEASE.total_seconds() <= passed < 20
    assert cluster.spec()["leaseTransitions"] == 1


@pytest.mark.parametrize("seconds", [3, 300])
def test_a_lease_of_another_duration_is_taken_over_when_that_has_passed(cluster: Cluster, seconds: int) -> None:
    """The leader renews often enough, and stops well before anybody else may begin."""
    terms = Terms(timedelta(seconds=seconds))
    first, second = (Election(cluster.lease(), name, cluster.clock, terms) for name in "ab")
    for _ in range(10):
        first.attempt()
        second.attempt()
        assert (first.leads(), second.leads()) == (True, False)
        cluster.clock.pass_by(terms.retry)
    dead = terms.retry.total_seconds()
    while not second.leads():
        cluster.clock.pass_by(terms.retry)
        dead += terms.retry.total_seconds()
        second.attempt()
        assert not (first.leads() and second.leads())
    assert seconds <= dead <= seconds + 2 * terms.retry.total_seconds()
    assert cluster.spec()["leaseDurationSeconds"] == seconds


def test_a_leader_that_cannot_renew_stops_before_another_may_begin(cluster: Cluster) -> None:
    """After 10 s, when the lease has 5 s left."""
    first = cluster.candidate("a")
    first.attempt()
    cluster.kubernetes.down = True
    for _ in range(4):
        cluster.clock.pass_by(RETRY)
        first.attempt()
        assert first.leads()
    cluster.clock.pass_by(RENEW / 5)
    assert not first.leads()
    assert "cannot read lease pve/rotate" in first.standing().message
    cluster.kubernetes.down = False
    first.attempt()
    assert first.leads()


def test_a_leader_that_was_asleep_does_not_lead_when_it_wakes(cluster: Cluster) -> None:
    """Its own clock says so, without asking anybody; and it sees who leads now."""
    first, second = cluster.candidate("a"), cluster.candidate("b")
    first.attempt()
    second.attempt()
    cluster.clock.pass_by(LEASE)
    second.attempt()
    assert (first.leads(), second.leads()) == (False, True)
    first.attempt()
    assert (first.leads(), first.standing().holder) == (False, "b")


def test_who_ends_gives_the_lease_back(cluster: Cluster) -> None:
    """So that the next need not wait for 15 s."""
    first, second = cluster.candidate("a"), cluster.candidate("b")
    first.attempt()
    second.attempt()
    first.resign()
    assert not first.leads()
    second.attempt()
    assert second.leads()
    first.resign()
    assert cluster.spec()["holderIdentity"] == "b"


def test_of_two_that_take_the_same_lease_one_leads(cluster: Cluster) -> None:
    """The write is a compare-and-set on the version that was read, also for the lease that is not there yet."""
    lease = cluster.lease()
    clock = cluster.clock
    Election(lease, "dead", clock).attempt()
    found = lease.read()
    assert found is not None
    lease.write(replace(found, holder="a"))
    with pytest.raises(ConflictError):
        lease.write(replace(found, holder="b"))
    with pytest.raises(ConflictError):
        lease.write(replace(found, holder="b", version=""))


class Meanwhile:
    """Lets somebody else write just before one write comes in."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._left = 1

    def __call__(self, request: Request) -> Fault | None:
        """Let the other one go first."""
        if request.verb == "update" and self._left:
            self._left = 0
            self._cluster.candidate("other").attempt()
        return None


def test_who_is_overtaken_between_look_and_write_does_not_lead(cluster: Cluster) -> None:
    """It has lost, and sees at the next attempt to whom."""
    first = cluster.candidate("a")
    first.attempt()
    first.resign()
    cluster.kubernetes.intercept = Meanwhile(cluster)
    first.attempt()
    assert not first.leads()
    first.attempt()
    assert (first.leads(), first.standing().holder) == (False, "other")


def test_a_token_that_was_replaced_is_read_again(cluster: Cluster) -> None:
    """Kubernetes replaces it every hour."""
    first = cluster.candidate("a")
    first.attempt()
    cluster.login()
    first.attempt()
    cluster.clock.pass_by(RETRY)
    first.attempt()
    assert first.leads()
    cluster.clock.pass_by(RENEW - RETRY / 2)
    assert first.leads()


def test_a_missing_permission_is_named(cluster: Cluster) -> None:
    """With the rule that is missing."""
    cluster.kubernetes.bindings.clear()
    with pytest.raises(RefusedError) as caught:
        cluster.lease().read()
    rule = (
        "{apiGroups: [coordination.k8s.io], resources: [leases], resourceNames: [rotate], verbs: [get, create, update]}"
    )
    assert caught.value.hint.endswith(f"namespace pve: {rule}")


ENDLESS = b'{"metadata": {"resourceVersion": "1"}, "spec": {"leaseDurationSeconds": 1e20}}'


@pytest.mark.parametrize("content", [b"<html>", b"[]", b"{}", b"[" * 100_000, ENDLESS])
def test_an_answer_that_is_none_is_an_outage(cluster: Cluster, content: bytes) -> None:
    """A proxy in between, for example; nobody leads by it, and nothing breaks."""
    cluster.kubernetes.intercept = lambda _: AnswerInstead(Answer(200, content, {"Content-Type": "text/html"}))
    first = cluster.candidate("a")
    first.attempt()
    assert not first.leads()
    assert "cannot read lease" in first.standing().message


def test_a_lease_that_somebody_made_by_hand_is_taken(cluster: Cluster) -> None:
    """With nothing in it, it is nobody's."""
    cluster.kubernetes.store.create(LEASES, "pve", {"metadata": {"name": "rotate"}})
    first = cluster.candidate("a")
    first.attempt()
    assert first.leads()


def test_a_kubeconfig_will_do_outside_of_a_pod(cluster: Cluster, tmp_path: Path) -> None:
    """For those who run it beside a cluster."""
    path = cluster.kubernetes.write_kubeconfig(tmp_path, token=cluster.kubernetes.issue_token("rotator"))
    pod = Pod({"KUBECONFIG": str(path)}, tmp_path / "nothing")
    lease = KubernetesLease("rotate", "pve", pod)
    election = Election(lease, "a", cluster.clock)
    election.attempt()
    assert election.leads()
    assert pod.namespace == "default"


def test_a_proxy_that_is_no_address_is_an_outage(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many programs take it without its scheme; the client's library does not, and says so with an AssertionError."""
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "proxy:3128")
    with pytest.raises(UnavailableError, match="no access to Kubernetes"):
        cluster.lease().read()


def test_kubectl_proxy_is_never_asked_by_way_of_another(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client takes HTTP_PROXY from the environment, which would read the login in the clear."""
    heard: list[object] = []
    elsewhere = ApiServer(lambda message, _: heard.append(message), None)
    port = elsewhere.start()
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
    path = cluster.kubernetes.write_kubeconfig(tmp_path, token=cluster.kubernetes.issue_token("rotator"))
    path.write_text(path.read_text().replace(cluster.kubernetes.url, "http://127.0.0.1:9"))
    pod = Pod({"KUBECONFIG": str(path)}, tmp_path / "none")
    with pytest.raises(UnavailableError, match="cannot read lease"):
        KubernetesLease("rotate", "pve", pod).read()
    elsewhere.close()
    assert heard == []


def test_a_campaign_rings_when_it_leads_and_gives_the_lease_back(cluster: Cluster) -> None:
    """The thread that a service has for it."""
    rang = Event()
    campaign = Campaign(cluster.candidate(identity()), rang.set)
    assert rang.wait(20)
    assert campaign.leads()
    campaign.close()
    assert not campaign.leads()
    assert cluster.spec()["holderIdentity"] == ""


class Odd:
    """Leases of a kind that nobody thought of: the first look ends in a bug."""

    def __init__(self) -> None:
        self.looks = 0

    def read(self) -> Holding | None:
        """Break once, and find nobody from then on."""
        self.looks += 1
        if self.looks == 1:
            raise ZeroDivisionError
        return None

    def write(self, holding: Holding) -> Holding:
        """Take it."""
        return holding


def test_a_bug_ends_an_attempt_and_not_the_campaign(cluster: Cluster) -> None:
    """A thread that ended would never lead again; that it is not known who leads is shown, and the next look is one."""
    election = Election(Odd(), "a", cluster.clock)
    election.attempt()
    assert (election.leads(), election.standing().message.partition(" at ")[0]) == (
        False,
        "this is a bug: ZeroDivisionError",
    )
    election.attempt()
    assert (election.leads(), election.standing().message) == (True, "")


def test_identities_differ() -> None:
    """Also those of one process after another on one host."""
    assert identity() != identity()


def test_a_time_that_the_server_cannot_read_is_refused_by_the_simulation_too(cluster: Cluster) -> None:
    """The client leaves out a fraction that is nought; whoever relies on that fails in a real cluster."""
    spec = {"renewTime": "2026-03-01T12:00:00+00:00"}
    with pytest.raises(StatusError):
        cluster.kubernetes.store.create(LEASES, "pve", {"metadata": {"name": "rotate"}, "spec": spec})
