"""Real processes end in the middle of a rotation, by signal 9 or because the disk is full."""

from __future__ import annotations

import resource
from collections.abc import Callable
from pathlib import Path

from rotator.errors import ExitCode
from tests.cli.lab import USER
from tests.explore.daemons import together
from tests.explore.failover import failover
from tests.explore.kill import killed, site


def test_whenever_a_run_is_killed_consumers_log_in_and_the_next_run_tidies_up(
    tmp_path: Path, watch: Callable[[str], None]
) -> None:
    """Four of the two hundred random instants of ``python -m tests.explore kill``."""
    row = killed(tmp_path, 7, 4, watch)
    assert row.violations == ()
    assert row.counts["in time"] > 0
    assert row.counts["logins"] > row.counts["kills"]


def test_two_daemons_and_somebody_by_hand_never_shut_a_consumer_out(
    tmp_path: Path, watch: Callable[[str], None]
) -> None:
    """Four of the rounds of ``python -m tests.explore kill``: the third with a hand, in the fourth one is killed."""
    row = together(tmp_path, 3, 4, watch)
    assert row.violations == ()
    assert (row.counts["kills"], row.counts["runs"]) == (1, 5)
    assert row.counts["logins"] > 0


def test_a_leader_is_killed_and_the_other_leads_and_rotates_nothing_twice(
    tmp_path: Path, watch: Callable[[str], None]
) -> None:
    """In the middle of its work; with a short lease here, with the usual one in ``python -m tests.explore kill``."""
    row = failover(tmp_path, 1, 3, many=8, watch=watch)
    assert row.violations == ()
    assert row.counts["seconds"] < 10


def test_on_a_full_disk_the_record_stays_and_the_new_token_goes(tmp_path: Path, watch: Callable[[str], None]) -> None:
    """A limit on the size of files stands for the disk: the kernel refuses the real process's write."""
    with site(tmp_path, 1, watch) as it:
        it.pass_month()
        before = it.pve.tokens(USER), it.lab.record("ci")
        with it.lab.process("due", preexec_fn=full_disk) as process:
            _, err = process.communicate(timeout=60)
        assert process.returncode == ExitCode.FAILED
        assert "file too large" in err
        assert "the record is unchanged" in err
        assert set(it.pve.tokens(USER)) <= set(before[0])
        assert it.lab.record("ci") == before[1]
        it.rest()
        assert it.lab.record("ci") != before[1]
    assert it.violations == []


def full_disk() -> None:
    """Let no file of this process grow beyond a few bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
