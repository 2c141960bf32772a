"""A short soak: what ten thousand rotations show in minutes, three hundred show in seconds, less thoroughly."""

from __future__ import annotations

from dataclasses import replace

from click.testing import CliRunner

from tests.explore.soak import KINDS, MOST_GROWTH, Readers, Tally, main, soaked
from tests.explore.world import World


def test_no_login_fails_and_nothing_is_left_in_bad_weather() -> None:
    """Every kind of fault has come about, at PVE and in the store, and was survived."""
    report = soaked(300, seed=1, clusters=(4, 3))
    told = "\n".join(report.lines())
    assert report.is_well, told
    assert report.rotations >= 300
    tally = report.soak.tally
    kinds = {kind.partition(": ")[2] for kind in tally.faults}
    assert kinds == set(KINDS["read"]) | set(KINDS["change"]), told
    assert tally.faults.total() > tally.calls / 20
    assert tally.interruptions > 10
    assert tally.endings.keys() >= {"died", "exit code 0", "exit code 4", "exit code 6"}


def test_a_soak_is_the_same_every_time() -> None:
    """A login that fails can be looked into."""
    first, second = (list(soaked(10, seed=7, clusters=(2,)).lines())[:-2] for _ in range(2))
    assert first == second


def test_a_login_that_fails_is_seen() -> None:
    """Of a consumer that reads each time, and of one that uses what it read before."""
    w, tally = World(), Tally()
    ci = w.settled()
    readers = Readers(w, "ci.json", ci.overlap.total_seconds())
    readers.log_in(tally, "first")
    assert (tally.logins, tally.problems) == (1, [])
    stale = w.token()
    w.run(ci, forced=True)
    w.pve.delete_token(str(stale.id))
    readers.log_in(tally, "here")
    assert (tally.logins, tally.failed) == (3, 1)
    assert tally.problems == [f"login of {stale.id} failed, read 0:00:00 ago from ci.json, at here"]
    w.pve.delete_token(str(w.token().id))
    readers.log_in(tally, "there")
    assert tally.failed == 3


def test_what_must_not_happen_is_told_and_ends_with_an_error() -> None:
    """A report that is not well says why; the command ends with 1 then, and with 0 otherwise."""
    report = soaked(1, seed=1, clusters=(1,), rate=0.0)
    verdicts = [report.is_well, replace(report, growth=MOST_GROWTH + 1).is_well]
    report.soak.tally.problems.append("left: something")
    assert [*verdicts, report.is_well] == [True, False, False]
    assert list(report.lines())[-1] == "PROBLEM left: something"
    result = CliRunner().invoke(main, ["--rotations", "1"])
    assert (result.exit_code, "failed logins       0" in result.stdout) == (0, True)
