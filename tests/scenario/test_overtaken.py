"""Somebody else is faster, or comes after us: what works is left alone, and who lost says that it lost."""

from __future__ import annotations

from datetime import timedelta

import pytest

from rotator.errors import ExitCode
from rotator.model import Strategy
from rotator.testing.exchange import AnswerInstead
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


def cut_off(w: World) -> None:
    """Let PVE list no tokens any more."""
    w.disturb("GET", "/access/users/ci@pve/token", AnswerInstead(595, "no daemon"), times=99)


@pytest.mark.parametrize("is_dead", [True, False])
def test_who_was_overtaken_and_cannot_look_again_does_not_say_that_the_old_record_is_there(
    w: World, *, is_dead: bool
) -> None:
    """It was replaced, so that nobody is locked out either by a token that was dead."""
    ci = w.due()
    if is_dead:
        w.pve.delete_token(w.read()["token_id"])

    def be_faster() -> None:
        w.run(ci, forced=True)
        cut_off(w)

    w.meanwhile(Operation.WRITE, be_faster)
    result = w.run(ci)
    assert (result.exit_code, result.step, w.published(), w.works()) == (ExitCode.FAILED, "observe", "ci-3", True)
    assert result.live == f"what {ci.primary.label} holds now is not known: somebody else was faster"


def test_who_was_overtaken_after_publishing_does_not_say_that_its_own_record_is_there(w: World) -> None:
    """A person's token stands there, which works; ours may be read no more."""
    ci = w.due()

    def publish_by_hand() -> None:
        w.hand_made(privsep=False)
        cut_off(w)

    w.meanwhile(Operation.READ, publish_by_hand, number=2)
    result = w.run(ci)
    assert (result.exit_code, result.step, w.published()) == (ExitCode.FAILED, "observe", "hand")
    unknown = f"what {ci.primary.label} holds now is not known: somebody else was faster"
    assert result.live == f"{unknown}; ci@pve!ci-2-10001 was published and may be live"


def test_who_was_overtaken_while_regenerating_and_cannot_look_again_counts_as_a_lockout(w: World) -> None:
    """What the winner has published may have died at our call, and it cannot be done again."""
    w.pve.add_token(w.userid, "ci", privsep=True)
    pinned = w.credential(strategy=Strategy.REGENERATE, overlap=timedelta(), adopt=True)
    assert w.run(pinned).exit_code == ExitCode.DONE

    def be_faster() -> None:
        w.write({**w.read(), "note": "theirs"})
        cut_off(w)

    w.meanwhile(Operation.WRITE, be_faster)
    result = w.run(pinned, forced=True)
    assert (result.exit_code, result.step, w.works()) == (ExitCode.LOCKED_OUT, "observe", False)
    assert result.live == "ci@pve!ci is still published with its old secret, which may not log in any more"
