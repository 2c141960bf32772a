"""Somebody else is faster, or comes after us: what works is left alone, and who lost says that it lost."""

from __future__ import annotations

from datetime import timedelta

from rotator.errors import ExitCode
from rotator.testing.exchange import Request as Asked
from rotator.testing.faulty_backend import Operation
from tests.world import World


def test_what_a_person_publishes_before_we_confirm_is_not_overwritten(w: World) -> None:
    """Their token works, so the predecessor is not put back over it; ours is marked, for somebody may have read it."""
    ci = w.due()
    w.meanwhile(Operation.READ, lambda: w.hand_made(privsep=False), number=2)
    result = w.run(ci)
    assert (result.exit_code, result.reason) == (ExitCode.FAILED, "not-adopted")
    assert (w.published(), w.works()) == ("hand", True)
    assert w.standing() == {"ci-1": "marked", "ci-2": "marked", "hand": "hand-made"}
    assert "restore" not in w.steps()


def test_what_does_not_work_is_not_left_there_whoever_published_it(w: World) -> None:
    """A person's token with a wrong secret locks consumers out: the predecessor is published again."""
    ci = w.due()
    wrong = {"token_id": f"{w.userid}!hand", "token_secret": "mistyped"}
    w.meanwhile(Operation.READ, lambda: w.write(wrong), number=2)
    result = w.run(ci)
    assert result.exit_code == ExitCode.LOCKED_OUT
    assert (w.published(), w.works()) == ("ci-1", True)


def test_whose_token_a_faster_rotation_has_ended_has_lost_and_not_failed(w: World) -> None:
    """Without an overlap the winner deletes it while it is verified; the loser finds all done, exit code 0."""
    ci = w.due(overlap=timedelta())
    other = w.connect()
    left = [None]

    def overtake(request: Asked) -> None:
        if request.path == "/access/permissions" and left:
            left.pop()
            assert w.run(ci, forced=True, ports=w.ports(other)).exit_code == ExitCode.DONE

    w.traffic.watchers.append(overtake)
    result = w.run(ci)
    assert (result.exit_code, result.reason) == (ExitCode.DONE, "up-to-date")
    assert (w.published(), w.works()) == ("ci-3", True)
    assert len(w.tokens()) == 1
