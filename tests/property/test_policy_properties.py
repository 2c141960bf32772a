"""What holds of every observation whatever: an answer, the same one each time, and nothing done to what is not ours."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from hypothesis import given

from rotator.model import Held, Observation, Request, Strategy
from rotator.plan import QUIET, STOPPED, decide
from rotator.policy import Reason
from rotator.steps import Issue, Regenerate, Retire, Revoke
from rotator.view import View
from tests.property.strange import observations, requests, spans

BEFORE_IN_FLIGHT = {Reason.PUBLISHED_TOKEN_DEAD, Reason.FORCED}
LASTING = {
    Reason.PUBLISHED_TOKEN_DEAD,
    Reason.RECORD_ROLLED_BACK,
    Reason.TOO_MANY_ORPHANS,
    Reason.ORPHAN,
    Reason.EXPIRING,
    Reason.OVERLAP_PASSED,
    Reason.UNFINISHED,
    Reason.FIRST_ISSUE,
    Reason.ADOPT,
    Reason.DUE,
}
"""What time alone does not undo; an end that is far off comes near by itself (``not-retired``)."""


@given(observations, requests)
def test_every_observation_has_one_answer(observation: Observation, request: Request) -> None:
    """Total and deterministic; it is said in words, and so is each step of it."""
    plan = decide(observation, request)

    assert plan == decide(observation, request)
    assert plan.finding.message
    assert all(step.told(observation.credential) for step in plan.steps)
    assert bool(plan.steps) == (plan.finding.reason not in STOPPED | QUIET)
    assert plan.is_stopped == (plan.finding.reason in STOPPED)


@given(observations, requests)
def test_there_is_never_more_than_one_new_secret_at_a_time(observation: Observation, request: Request) -> None:
    """One issue in a plan at most; and none while a rotation is in flight, but where somebody waits for it."""
    plan = decide(observation, request)
    new = [step for step in plan.steps if isinstance(step, Issue | Regenerate)]
    view = View(observation, request)

    assert len(new) <= 1
    assert plan.issues == bool(new)
    if new and observation.credential.strategy is Strategy.FRESH and any(map(view.is_fresh, view.above)):
        assert plan.finding.reason in BEFORE_IN_FLIGHT


@given(observations, requests)
def test_what_is_not_ours_is_never_ended(observation: Observation, request: Request) -> None:
    """I6: only tokens with our marker, predecessors that these name, and what is published when adopting was asked."""
    view = View(observation, request)
    allowed = {token.id for token in view.ours}
    if view.may_adopt and view.current:
        allowed.add(view.current.id)

    ended = {step.token for step in decide(observation, request).steps if isinstance(step, Retire | Revoke)}

    assert ended <= allowed


@given(observations, requests)
def test_the_published_token_is_never_ended_before_another_is_published(
    observation: Observation, request: Request
) -> None:
    """I1: a plan that ends what the record names publishes a new one first."""
    plan = decide(observation, request)
    primary = observation.primary
    published = primary.token.id if isinstance(primary, Held) and primary.token else None

    for position, step in enumerate(plan.steps):
        if isinstance(step, Retire | Revoke) and step.token == published:
            assert any(isinstance(before, Issue) for before in plan.steps[:position])


@given(observations, requests)
def test_a_serial_never_comes_back(observation: Observation, request: Request) -> None:
    """A new name is above every name of our form that is to be seen, at PVE and in every destination."""
    view = View(observation)
    held = [it.token.id for it in observation.destinations if isinstance(it, Held) and it.token]
    highest = max((view.serial(it) for it in (*held, *(token.id for token in observation.tokens))), default=0)

    for step in decide(observation, request).steps:
        if isinstance(step, Issue) and step.serial is not None:
            assert step.serial > highest


@given(observations, spans)
def test_what_is_to_do_stays_to_do(observation: Observation, later: timedelta) -> None:
    """Monotone in time: waiting makes nothing up to date, though something else may come first."""
    credential = replace(observation.credential, windows=())
    found = decide(replace(observation, credential=credential)).finding.reason
    if found in LASTING:
        then = decide(replace(observation, credential=credential, now=observation.now + later)).finding.reason
        assert then not in {Reason.UP_TO_DATE, Reason.PAUSED}
