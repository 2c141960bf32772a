"""The last step of AWS's rotation fails in the middle, or is cut off: a repeat finishes what was begun."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest

from rotator.aws_lambda import RotationError
from rotator.testing.aws import Call, HangUp, Refuse
from rotator.testing.exchange import AnswerInstead
from tests.aws.function import STEPS, Function, once


@pytest.mark.parametrize("method", ["PUT"])
@pytest.mark.parametrize("after", [0, 1])
def test_a_crash_after_publishing_is_finished_by_the_repeat(f: Function, method: str, after: int) -> None:
    """Between the move of AWSCURRENT, the mark and the retirement: the version is current, the rest is done later."""
    first = f.settled()
    token = f.begin()
    for name in STEPS[:3]:
        f.step(name, token)
    f.w.disturb(method, "/token/", AnswerInstead(500, "got lock request timeout"), after=after)
    with pytest.raises(RotationError, match="got lock request timeout"):
        f.step("finishSecret", token)
    assert f.labels() == {first: ["AWSPREVIOUS"], token: ["AWSCURRENT"]}
    assert f.works()
    for name in STEPS:
        f.step(name, token)
    assert f.w.standing() == {"ci-1": "marked, ends in 1d", "ci-2": "marked"}


def test_a_crash_after_publishing_is_finished_by_the_next_rotation(f: Function) -> None:
    """Also when AWS does not repeat it: what was replaced is retired when the next one is published."""
    f.settled()
    token = f.begin()
    for name in STEPS[:3]:
        f.step(name, token)
    f.w.disturb("PUT", "/token/", AnswerInstead(500, "got lock request timeout"))
    with pytest.raises(RotationError):
        f.step("finishSecret", token)
    f.rotate()
    standing = f.w.standing()
    assert standing == {"ci-1": "marked, ends in 1d", "ci-2": "unmarked, ends in 1d", "ci-3": "marked"}


def test_a_promotion_that_lost_its_answer_is_finished_by_the_repeat(f: Function) -> None:
    """The version is current; nothing is deleted that consumers read."""
    f.settled()
    token = f.begin()
    for name in STEPS[:3]:
        f.step(name, token)
    f.aws.intercept = once("UpdateSecretVersionStage", lambda: HangUp(after=True))
    with pytest.raises(RotationError, match="AWS did not say whether UpdateSecretVersionStage on"):
        f.step("finishSecret", token)
    assert f.works()
    f.step("finishSecret", token)
    assert f.w.standing() == {"ci-1": "marked, ends in 1d", "ci-2": "marked"}


@pytest.mark.parametrize("code", ["ThrottlingException", "AccessDeniedException"])
def test_a_promotion_that_is_refused_is_made_by_the_repeat(f: Function, code: str) -> None:
    """The rotation goes on when AWS has more time, or the policy was mended: its version stays pending."""
    first = f.settled()
    token = f.begin()
    for name in STEPS[:3]:
        f.step(name, token)
    f.aws.intercept = once("UpdateSecretVersionStage", lambda: Refuse(code))
    with pytest.raises(RotationError, match="UpdateSecretVersionStage on"):
        f.step("finishSecret", token)
    assert (f.labels()[first], f.labels()[token]) == (["AWSCURRENT"], ["AWSPENDING"])
    f.steps(token)
    assert f.w.standing() == {"ci-1": "marked, ends in 1d", "ci-2": "marked"}


def test_a_read_that_fails_ends_no_rotation_and_leaves_nothing_out(f: Function) -> None:
    """Whichever it is of those that the last step makes: it fails, and the repeat finishes, or all is done."""
    f.settled()
    for number in count(1):
        token, refusals = f.begin(), list[Call]()
        for name in STEPS[:-1]:
            f.step(name, token)
        f.aws.intercept = nth_read(number, refusals)
        try:
            f.step("finishSecret", token)
        except RotationError:
            f.aws.intercept = None
            f.steps(token)
        f.aws.intercept = None
        assert_finished(f, token)
        if not refusals:
            break
    assert number > 8


def nth_read(number: int, refusals: list[Call]) -> Callable[[Call], Refuse | None]:
    """Refuse one of the reads of the rotated secret, and note it."""
    reads = count(1)

    def intercept(call: Call) -> Refuse | None:
        is_read = call.action.endswith(":GetSecretValue") and not call.wish["SecretId"].endswith("/operator")
        if not is_read or next(reads) != number:
            return None
        refusals.append(call)
        return Refuse("AccessDeniedException")

    return intercept


def assert_finished(f: Function, token: str) -> None:
    """Look whether a rotation is over, with all that comes after publishing."""
    assert f.labels()[token] == ["AWSCURRENT"]
    assert f.works()
    *others, current = sorted(f.w.standing().items(), key=lambda it: int(it[0].partition("-")[2]))
    assert current[1] == "marked"
    assert all(state.startswith("marked, ends in") for _, state in others)
