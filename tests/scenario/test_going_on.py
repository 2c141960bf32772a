"""What a run of many credentials does when it is to begin nothing more, and when it meets a bug."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rotator.errors import ExitCode
from rotator.events import Event, Step
from rotator.fleet import rotate
from rotator.proxmox import ProxmoxCluster
from rotator.testing.faulty_backend import Operation
from tests.world import World


def test_a_stop_between_two_acts_leaves_the_second_to_the_next_run(w: World) -> None:
    """What was begun is finished: the old token is revoked, and replacing the current one is left."""
    credential = w.settled()
    w.run(credential, forced=True)
    w.clock.pass_by(credential.every)
    seen: list[Event] = []
    fleet = replace(
        w.fleet(),
        goes_on=lambda: not seen,
        listen=lambda event: seen.append(event) if event.step is Step.REVOKE else None,
    )
    (result,) = rotate(fleet, [credential])
    assert (result.reason, result.done, result.exit_code) == ("interrupted", ("overlap-passed",), ExitCode.FAILED)
    assert w.standing() == {"ci-2": "marked"}
    (result,) = rotate(w.fleet(), [credential])
    assert result.done == ("due",)


def test_nothing_is_begun_once_it_is_over(w: World) -> None:
    """PVE is asked for its list and for nothing else."""
    credential = w.due()
    (result,) = rotate(replace(w.fleet(), goes_on=lambda: False), [credential])
    assert (result.reason, result.live) == ("interrupted", "nothing was touched")
    assert [call.path for call in w.pve.calls] == ["/access/users"]


def test_a_bug_ends_one_run_and_is_told(w: World) -> None:
    """The others go on, and whoever asked for it gets the exception."""
    bad, good = w.credential("bad"), w.credential("good")
    w.fail_store(Operation.READ, KeyError("words"), name="bad.json")
    caught: list[Exception] = []
    results = rotate(replace(w.fleet(), caught=caught.append), [bad, good])
    assert [(it.reason, it.exit_code) for it in results] == [("bug", ExitCode.BUG), ("up-to-date", ExitCode.DONE)]
    assert "KeyError" in results[0].message
    assert "words" not in results[0].message
    assert [type(it) for it in caught] == [KeyError]


def test_a_bug_at_the_door_of_a_cluster_ends_its_lane_and_no_other(w: World) -> None:
    """A lane that cannot be opened is told for each of its credentials."""

    def opener(name: str) -> ProxmoxCluster:
        if name == "broken":
            raise KeyError(name)
        return w.cluster

    credentials = [w.credential("a", cluster="broken"), w.credential("b")]
    caught: list[Exception] = []
    results = rotate(replace(w.fleet(opener), caught=caught.append), credentials)
    assert [it.reason for it in results] == ["bug", "up-to-date"]
    assert len(caught) == 1


def test_a_bug_that_nobody_is_told_of_is_not_hidden(w: World) -> None:
    """Whoever does not say that he survives bugs gets them."""
    w.fail_store(Operation.READ, KeyError("words"), name="bad.json")
    with pytest.raises(KeyError):
        rotate(w.fleet(), [w.credential("bad")])
