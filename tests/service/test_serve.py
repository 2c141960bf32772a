"""``rotate serve`` as people run it: a process, signals, a configuration that changes, other instances."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rotator.testing.kubernetes import Rule, SimulatedKubernetes
from tests.cli.lab import Lab
from tests.service.process import Gate, serving

FINISHED = "mark       done"


def test_it_fills_empty_records_and_ends_well_when_it_is_told_to(lab: Lab) -> None:
    """SIGTERM with nothing under way is the usual end of a service, and no failure."""
    lab.add("ci")
    with serving(lab) as service:
        service.until(FINISHED)
        assert service.stopped() == 0
    assert lab.works("ci")


def test_sigterm_finishes_the_rotation_in_hand_and_begins_no_other(lab: Lab) -> None:
    """What was begun comes to its end, what was not is left to the next run."""
    lab.add("ci")
    lab.add("other")
    gate = lab.pve.intercept = Gate()
    with serving(lab, "--parallel", "1") as service:
        assert gate.reached.wait(20)
        service.signal(signal.SIGTERM)
        service.until("once more")
        gate.open.set()
        service.until("stopped")
        assert service.ended() == 0
    assert lab.tokens() == ["ci-1"]
    assert lab.works("ci")


def test_a_second_signal_ends_it_at_once_and_a_later_run_comes_to_rest(lab: Lab) -> None:
    """Killed between a call and its answer: the token that was issued is an orphan, and does not stay."""
    lab.add("ci")
    gate = lab.pve.intercept = Gate()
    with serving(lab) as service:
        assert gate.reached.wait(20)
        service.signal(signal.SIGTERM)
        service.until("once more")
        service.signal(signal.SIGTERM)
        service.until("what is published works")
        assert service.ended() == 143
    gate.open.set()
    lab.pve.intercept = None
    lab.time.pass_by(hours=1)
    assert lab.call("due").exit_code == 0
    assert lab.works("ci")
    lab.time.pass_by(hours=25)
    assert lab.call("due").exit_code == 0
    assert len(lab.tokens()) == 1


def test_sighup_takes_up_a_new_credential_at_once(lab: Lab) -> None:
    """Without waiting until the file has kept still."""
    lab.add("ci")
    with serving(lab) as service:
        service.until(FINISHED)
        lab.add("other")
        service.signal(signal.SIGHUP)
        service.until(FINISHED)
        assert service.stopped() == 0
    assert lab.tokens() == ["ci-1", "other-1"]


def test_one_of_two_is_killed_in_the_middle_and_the_other_goes_on(lab: Lab) -> None:
    """Without any leader: the survivor waits, fills the record once, and removes what the dead one left."""
    lab.add("ci")
    gate = lab.pve.intercept = Gate(is_after=True)
    with serving(lab) as first:
        assert gate.reached.wait(20)
        lab.pve.intercept = None
        with serving(lab) as second:
            second.until("rotation-in-flight")
            first.process.kill()
            first.ended()
            gate.open.set()
            lab.time.pass_by(hours=1)
            second.signal(signal.SIGHUP)
            second.until("retire     done")
            published = lab.record("ci")
            lab.time.pass_by(hours=25)
            second.signal(signal.SIGHUP)
            second.until("revoke     done")
            assert second.stopped() == 0
    assert lab.record("ci") == published
    assert [published["token_id"].partition("!")[2]] == list(lab.pve.tokens("svc@pve"))


@pytest.mark.parametrize("missing", ["apscheduler", "structlog"])
def test_without_the_extra_it_says_what_to_install(missing: str) -> None:
    """Before anything is read."""
    program = f"import sys; sys.modules[{missing!r}] = None; from rotator.cli.main import main; main()"
    command = [sys.executable, "-c", program, "serve"]
    ran = subprocess.run(command, check=False, capture_output=True, text=True, timeout=20)  # noqa: S603 - constant
    assert ran.returncode == 3
    assert ran.stderr == (
        f"rotate: `rotate serve` needs {missing}, which is not installed\n"
        "    do: pip install 'proxmox-token-rotator[serve]'\n"
    )


def test_with_a_lease_one_works_and_the_other_takes_over_when_it_ends(lab: Lab, tmp_path: Path) -> None:
    """The one that stands by asks PVE for nothing until then."""
    lab.extra["service"] = {"lease": {"name": "rotate", "namespace": "default"}}
    lab.add("ci")
    with SimulatedKubernetes() as kubernetes:
        rule = Rule(("get", "create", "update"), ("leases",), ("coordination.k8s.io",))
        kubernetes.bind("rotator", [rule], namespace="default")
        token = kubernetes.issue_token("rotator")
        lab.watch(token)
        lab.environ["KUBECONFIG"] = str(kubernetes.write_kubeconfig(tmp_path, token=token))
        with serving(lab, "--leader", "kubernetes") as first:
            first.until(FINISHED)
            with serving(lab, "--leader", "kubernetes") as second:
                second.until("serving")
                lab.add("other")
                lab.forget_calls()
                assert first.stopped() == 0
                second.until("other  mark       done")
                assert second.stopped() == 0
    assert lab.tokens() == ["ci-1", "other-1"]


def test_a_leader_by_a_lease_that_is_not_configured_is_refused(lab: Lab) -> None:
    """Before anything is contacted."""
    lab.add("ci")
    found = lab.call("serve", "--leader", "kubernetes")
    assert found.exit_code == 3
    assert "service.lease.name" in found.stderr
    assert lab.pve.calls == []


@pytest.mark.parametrize("text", ["3/3", "x", "1/", "3"])
def test_a_shard_that_is_none_is_refused(lab: Lab, text: str) -> None:
    """Counted from 0; the number alone needs the index of an Indexed Job."""
    lab.add("ci")
    found = lab.call("due", "--shard", text)
    assert found.exit_code == 2
    assert "write I/N" in found.stderr


def test_due_does_its_share_of_the_clusters(lab: Lab) -> None:
    """All shares together do everything once; in an Indexed Job the index comes from Kubernetes."""
    for name in ("two", "three", "four"):
        lab.add_cluster(name)
        lab.add(f"in-{name}", cluster=name)
    done: list[str] = []
    for index in ("0", "1"):
        found = lab.json("due", "--shard", f"{index}/2")
        done += [it["credential"] for it in found["results"]]
        again = lab.call("due", "--shard", "2", "--json", env={"JOB_COMPLETION_INDEX": index})
        assert [it["credential"] for it in json.loads(again.stdout)["results"]] == [
            it["credential"] for it in found["results"]
        ]
    assert sorted(done) == ["in-four", "in-three", "in-two"]
    assert lab.call("due", "in-two", "--shard", "0/2").exit_code == 2
