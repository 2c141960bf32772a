"""``rotate now --wait``: until what was replaced is gone."""

from __future__ import annotations

import signal

from rotator.testing.pve import AnswerInstead
from tests.cli.lab import Lab, only


def test_wait_stays_until_the_old_token_is_revoked(lab: Lab) -> None:
    """It sleeps once, for the overlap and a moment, and leaves the new token alone."""
    lab.add("ci", overlap="1h")
    lab.call("due")
    assert only(lab.json("now", "ci", "--wait")["results"])["done"] == ["forced", "overlap-passed"]
    assert lab.tokens() == ["ci-2"]
    assert len(lab.time.slept) == 1
    assert 3600 < lab.time.slept[0] < 3610
    assert lab.works("ci")


def test_wait_says_what_it_waits_for(lab: Lab) -> None:
    """An hour of silence would look like a hang."""
    lab.add("ci", overlap="1h")
    lab.call("due")
    old = lab.record("ci")["token_id"]
    assert f"waiting for {old}, which ends at 2026-05-09 08:30:0" in lab.call("now", "ci", "--wait").stderr


def test_wait_revokes_each_when_its_own_time_has_come(lab: Lab) -> None:
    """Two credentials with different overlaps are waited for one after the other."""
    lab.add("ci", overlap="3h")
    lab.add("backup", overlap="1h")
    lab.call("due")
    results = lab.json("now", "--all", "--wait")["results"]
    assert {tuple(it["done"]) for it in results} == {("forced", "overlap-passed")}
    assert lab.tokens() == ["backup-2", "ci-2"]
    assert [round(seconds / 3600) for seconds in lab.time.slept] == [1, 2]


def test_wait_has_nothing_to_wait_for_after_a_first_issue(lab: Lab) -> None:
    """Nothing was replaced."""
    lab.add("ci")
    assert lab.call("now", "ci", "--wait").exit_code == 0
    assert lab.time.slept == []


def test_wait_does_not_stay_for_a_paused_credential(lab: Lab) -> None:
    """A later run would leave it alone, so it would be waited for in vain; PVE ends the old token all the same."""
    lab.add("ci", overlap="1h")
    lab.call("due")
    lab.call("pause", "ci")
    assert lab.call("now", "ci", "--wait").exit_code == 0
    assert lab.time.slept == []
    assert lab.tokens() == ["ci-1", "ci-2"]


def test_wait_does_not_stay_when_the_rotation_failed(lab: Lab) -> None:
    """The failure is told now, not an hour later."""
    lab.add("ci", overlap="1h")
    lab.call("due")
    lab.pve.intercept = lambda request: AnswerInstead(403, "no") if request.method == "POST" else None
    assert lab.call("now", "ci", "--wait").exit_code == 4
    assert lab.time.slept == []


def test_wait_tells_when_the_old_token_could_not_be_revoked(lab: Lab) -> None:
    """The cluster went down during the overlap: exit code 4, though the rotation itself was well."""
    lab.add("ci", overlap="1h")
    lab.call("due")

    def go_down() -> None:
        lab.pve.nodes[0].down = True

    lab.time.meanwhile = go_down
    found = lab.json("now", "ci", "--wait")
    assert found["exit_code"] == 4
    assert only(found["results"])["reason"] == "cluster-unreachable"
    assert only(found["results"])["done"] == ["forced"]


def test_wait_tells_when_it_cannot_see_what_to_wait_for(lab: Lab) -> None:
    """The promise to stay was not kept, so it does not end as if it had been."""
    lab.add("ci", overlap="1h")
    lab.add("backup", overlap="2h")
    lab.call("due")
    asked = []

    def refuse_to_list_again(request: object) -> AnswerInstead | None:
        path, method = getattr(request, "path", ""), getattr(request, "method", "")
        asked.append(path)
        return AnswerInstead(500, "gone") if method == "GET" and asked.count("/access/users") > 1 else None

    lab.pve.intercept = refuse_to_list_again
    found = lab.json("now", "ci", "--wait")
    assert found["exit_code"] == 4
    failed = only(found["results"])
    assert failed["message"].startswith("rotated, but what is left to revoke cannot be seen")
    assert failed["live"] == f"{lab.record('ci')['token_id']} is published"
    assert failed["done"] == ["forced"]


def test_what_was_done_to_several_tokens_is_said_once(lab: Lab) -> None:
    """A script reads each; people are not told of three old tokens in twelve words."""
    lab.add("ci", overlap="1h")
    lab.call("due")
    for _ in range(3):
        lab.call("now", "ci")
    lab.time.pass_by(hours=2)
    assert lab.json("plan")["results"][0]["reason"] == "overlap-passed"
    result = lab.call("due")
    assert result.stdout.startswith("ci  done (overlap-passed)  ")
    assert lab.works("ci")


def test_wait_that_is_interrupted_says_what_is_left_and_what_happens_to_it(lab: Lab) -> None:
    """Exit code 130; the rotation is done, PVE ends the old token by itself."""
    lab.add("ci", overlap="1h")
    lab.call("due")
    old = lab.record("ci")["token_id"]
    lab.time.meanwhile = lambda: signal.raise_signal(signal.SIGINT)
    result = lab.call("now", "ci", "--wait")
    assert result.exit_code == 130
    assert "interrupted while waiting; the new tokens are published and work" in result.stderr
    assert f"    {old} ends by itself at 2026-05-09 08:30:0" in result.stderr
    assert "`rotate due` deletes it then" in result.stderr
    assert result.stdout.startswith("ci  done (forced)")
    assert lab.works("ci")


def test_the_handlers_of_signals_are_put_back(lab: Lab) -> None:
    """A command is a guest in its process."""
    lab.add("ci")
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    for command in ("due", "status"):
        lab.call(command)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
