"""What holds of every observation whatever: an answer, the same one each time, and nothing done to what is not ours."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from rotator.model import Held, Observation, Request, Strategy, TokenState, Unread
from rotator.plan import decide
from rotator.policy import Reason
from rotator.steps import Issue, Regenerate, Retire, Revoke
from rotator.view import View
from tests.unit.observations import CREDENTIAL, MIRRORED, foreign, held, ours, seen

spans = st.timedeltas(timedelta(), timedelta(days=90))
own = st.builds(
    ours,
    st.integers(1, 12),
    age=spans,
    published=st.booleans(),
    after=st.sampled_from(["", "hand", "ci-3-aaaaa", "theirs"]),
    ends_in=st.none() | st.timedeltas(timedelta(days=-3), timedelta(days=90)),
)
theirs = st.builds(ours, st.integers(1, 20), owner=st.just("somebody"))
hand = st.builds(foreign, st.sampled_from(["hand", "theirs", "ci", "ci-x", "other-4-aaaaa"]))
requests = st.builds(
    Request,
    forced=st.booleans(),
    compromised=st.booleans(),
    overlap=st.none() | st.timedeltas(timedelta(), timedelta(days=2)),
    adopt=st.booleans(),
)


@st.composite
def observations(draw: st.DrawFn) -> Observation:
    """Draw a world: tokens of ours, of others, hand-made; destinations that hold any of them, nothing, or are down."""
    tokens = draw(st.lists(own | theirs | hand, max_size=8, unique_by=lambda it: it.id))
    places = st.just(held(None)) | st.just(Unread("down"))
    if tokens:
        places |= st.sampled_from(tokens).map(held)
    gone = st.integers(1, 12).map(lambda serial: held(ours(serial)))
    mirrors = draw(st.lists(places | gone, max_size=1))
    base = MIRRORED if mirrors else CREDENTIAL
    credential = replace(base, adopt=draw(st.booleans()), strategy=draw(st.sampled_from(Strategy)))
    observation = seen(*tokens, mirrors=mirrors, credential=credential, accepted=draw(st.none() | st.booleans()))
    return replace(observation, destinations=(draw(places | gone), *mirrors))


@given(observations(), requests)
def test_every_observation_has_one_answer(observation: Observation, request: Request) -> None:
    """Total and deterministic; and each step of it can be put into words."""
    plan = decide(observation, request)

    assert plan == decide(observation, request)
    assert plan.finding.message
    assert all(step.told(observation.credential) for step in plan.steps)


@given(observations(), requests)
def test_there_is_never_more_than_one_new_secret_at_a_time(observation: Observation, request: Request) -> None:
    """One issue in a plan at most."""
    assert sum(isinstance(step, Issue | Regenerate) for step in decide(observation, request).steps) <= 1


@given(observations(), requests)
def test_what_is_not_ours_is_never_ended(observation: Observation, request: Request) -> None:
    """I6: only tokens with our marker, predecessors that these name, and what is published when adopting was asked."""
    view = View(observation, request)
    allowed = {token.id for token in view.ours}
    if view.may_adopt and view.current:
        allowed.add(view.current.id)

    ended = {step.token for step in decide(observation, request).steps if isinstance(step, Retire | Revoke)}

    assert ended <= allowed


@given(observations())
def test_the_published_token_is_never_ended_before_another_is_published(observation: Observation) -> None:
    """I1: a plan that ends what the record names publishes a new one first."""
    plan = decide(observation)
    primary = observation.primary
    published = primary.token.id if isinstance(primary, Held) and primary.token else None

    for position, step in enumerate(plan.steps):
        if isinstance(step, Retire | Revoke) and step.token == published:
            assert any(isinstance(before, Issue) for before in plan.steps[:position])


@given(observations())
def test_a_serial_never_comes_back(observation: Observation) -> None:
    """A new name is above every name of our form that is to be seen."""
    plan = decide(observation)
    serials = [View(observation).serial(token.id) for token in observation.tokens]

    assert all(
        step.serial is None or step.serial > max(serials, default=0) for step in plan.steps if isinstance(step, Issue)
    )


@given(observations(), spans)
def test_what_is_due_stays_due(observation: Observation, later: timedelta) -> None:
    """Monotone in time: waiting never makes a due rotation disappear, though something else may come first."""
    quiet = {Reason.UP_TO_DATE, Reason.PAUSED}
    if decide(observation).finding.reason is Reason.DUE:
        assert decide(replace(observation, now=observation.now + later)).finding.reason not in quiet


@given(st.lists(own, min_size=1, max_size=5, unique_by=lambda it: it.id))
def test_at_rest_only_time_brings_work(tokens: list[TokenState]) -> None:
    """Nothing to do means nothing to do until the time that was told."""
    observation = seen(*tokens, record=max(tokens, key=lambda it: View(seen(*tokens)).serial(it.id)))
    finding = decide(observation).finding

    if finding.reason is Reason.UP_TO_DATE and finding.until:
        just_before = replace(observation, now=finding.until - timedelta(seconds=1))
        assert decide(just_before).finding.reason is Reason.UP_TO_DATE
