"""Plans carried out on a pure world: it comes to rest, locks nobody out on the way, and touches nobody's token."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

from hypothesis import given

from rotator.model import Held, Observation, Request, TokenId, TokenState, Unread, UserState
from rotator.plan import QUIET, STOPPED, decide
from rotator.policy import Reason, judge_at_a_glance
from rotator.view import MARGIN, View, deadline
from tests.property.pure_world import DownError, World
from tests.property.strange import observations, requests

healthy = observations.filter(lambda seen: not any(isinstance(it, Unread) for it in seen.destinations))
INSTANT = timedelta(microseconds=1)


def foreign(seen: Observation, request: Request) -> dict[TokenId, TokenState]:
    """Return the tokens that a run may neither change nor end."""
    view = View(seen, request)
    adopted = view.record.id if view.record and view.may_adopt else None
    return {
        it.id: it
        for it in seen.tokens
        if it not in view.ours and it.id != adopted and not (view.may_adopt and view.is_pinned_token(it.id))
    }


@given(healthy, requests)
def test_whatever_there_is_a_run_comes_to_rest(seen: Observation, request: Request) -> None:
    """In twenty acts, quiet or waiting for a person; and who looks again finds the same."""
    world = World.of(seen)
    last, _ = world.run(request)

    assert last.finding.reason in QUIET | STOPPED
    assert world.run(Request(adopt=request.adopt, overlap=request.overlap))[1] == [] or request.forced
    assert decide(world.observe()) == decide(world.observe())


@given(observations, requests)
def test_a_run_leaves_alone_what_is_not_ours(seen: Observation, request: Request) -> None:
    """I6: neither marker nor predecessor nor pinned nor to be adopted: the same token with the same words after it."""
    world = World.of(seen)
    untouched = foreign(world.observe(), request)
    with suppress(DownError):
        world.run(request)

    assert untouched.items() <= world.tokens.items()


@given(observations, requests)
def test_the_primary_logs_in_after_every_step_of_a_run(seen: Observation, request: Request) -> None:
    """I1, from the first moment at which it did; a secret that is replaced in place gives this up."""
    world = World.of(seen)
    if View(seen).is_pinned or not world.works(world.record):
        return

    def look(at: World) -> None:
        assert at.works(at.record)

    world.watch = look
    with suppress(DownError):
        world.run(request)


@given(observations, requests)
def test_what_a_destination_holds_lives_on_for_the_overlap(seen: Observation, request: Request) -> None:
    """I2: a consumer may have read it; a leak alone ends it sooner."""
    world = World.of(seen)
    if View(seen).is_pinned or request.compromised:
        return
    overlap = request.overlap_of(seen.credential)
    promised = {
        it.token.id: min(filter(None, (world.tokens[it.token.id].expire, seen.now + overlap)))
        for it in seen.destinations
        if isinstance(it, Held) and it.token and world.works(it.token)
    }
    with suppress(DownError):
        world.run(request)

    for token, end in promised.items():
        if end > seen.now:
            assert token in world.tokens
            assert (world.tokens[token].expire or end) >= end


@given(observations, requests)
def test_at_rest_there_is_one_token_and_those_that_end(seen: Observation, request: Request) -> None:
    """I3, I5: what is ours and not published has an end within the overlap, and has not reached it."""
    world = World.of(seen)
    with suppress(DownError):
        world.run(request)
    last = decide(world.observe())
    if last.finding.reason is not Reason.UP_TO_DATE or View(seen).is_pinned:
        return
    view = View(world.observe())
    assert world.works(view.record)
    for token in view.ours:
        if token != view.current:
            assert token.expire
            assert view.now - MARGIN <= token.expire <= deadline(view.now, view.overlap) + MARGIN


@given(observations, requests)
def test_a_mirror_that_comes_back_is_all_that_was_missing(seen: Observation, request: Request) -> None:
    """What a store that was down kept from happening happens when it is back."""
    world = World.of(seen)
    with suppress(DownError):
        world.run(request)
    world.destinations = [Held() if isinstance(it, Unread) else it for it in world.destinations]

    last, _ = world.run()
    assert last.finding.reason in QUIET | STOPPED


@given(healthy)
def test_what_is_told_of_the_future_comes_true(seen: Observation) -> None:
    """Strictly before the time that was told nothing else is decided, at that time something is."""
    world = World.of(seen)
    for _ in range(4):
        finding = world.run()[0].finding
        if finding.until is None:
            return
        assert finding.until > world.now
        if finding.reason is Reason.UP_TO_DATE:  # of what is in flight only the end is told
            world.now = finding.until - INSTANT
            assert decide(world.observe()).finding == finding
        world.now = finding.until
        assert decide(world.observe()).finding.reason is not finding.reason


@given(healthy)
def test_a_glance_says_what_a_look_says(seen: Observation) -> None:
    """At rest one list of tokens is enough, and it never hides anything."""
    world = World.of(seen)
    last, done = world.run()
    user = UserState(seen.credential.userid, seen.user_usable, tokens=tuple(world.tokens.values()))
    glance = judge_at_a_glance(seen.credential, user, world.now)
    newest = max(View(world.observe()).markers, key=View(seen).serial, default=None)

    if world.record and world.record.id == newest:  # that an outsider changed the record is found by reading it
        assert glance in (None, last.finding)
    if any(plan.issues for plan in done) and last.finding.reason is Reason.UP_TO_DATE:
        assert glance == last.finding
