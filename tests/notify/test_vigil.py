"""What is news: changes for the worse and the better, each told once, and not what goes to and fro all the time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rotator.errors import ExitCode
from rotator.notify.notice import About, notice
from rotator.notify.vigil import CALM, MOST, Rules, Told, Vigil
from rotator.rotate import CLUSTER_UNREACHABLE, Result
from rotator.service.board import Board, Change
from rotator.service.standing import (
    ClusterStanding,
    ConfigurationStanding,
    CredentialStanding,
    Ended,
    Role,
    Standing,
    State,
    TokenSight,
    Trigger,
)
from rotator.settings_telling import Occasion

NOW = datetime(2026, 5, 9, 7, 30, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
CI = CredentialStanding("ci", "one", 30 * DAY, DAY, State.WELL)
ONE = ClusterStanding("one", ("one:8006",), is_reachable=True)
TROUBLED = (State.FAILING, State.NEEDS_ATTENTION, State.LOCKED_OUT)


class Watching:
    """A vigil whose clock a test turns, over one credential and its cluster."""

    def __init__(self) -> None:
        self.now = NOW
        self.vigil = Vigil(Rules("lab", "host", 7 * DAY), lambda: self.now)
        self.cluster: ClusterStanding | None = ONE

    def sees(self, state: State, reason: str = "due", **changes: object) -> list[str]:
        """Show how the credential stands; return the occasions of what is news."""
        return [it.occasion for it in self.told(state, reason, None, **changes)]

    def told(self, state: State, reason: str = "due", ended: Ended | None = None, **changes: object) -> list[About]:
        """Return all of the news."""
        standing = replace(CI, state=state, reason=reason, message="words", hint="advice")
        return self.vigil.of_credential(replace(standing, **changes), ended, self.cluster)  # type: ignore[arg-type]

    def passes(self, time: timedelta) -> None:
        """Let time pass."""
        self.now += time


@pytest.fixture
def watching() -> Watching:
    """Return a vigil that was told of nothing."""
    return Watching()


def test_what_stays_as_it_is_is_no_news(watching: Watching) -> None:
    """A failure is told once, however often it is found; so is that all is well again."""
    assert watching.sees(State.WELL) == []
    assert watching.sees(State.FAILING) == ["failed"]
    assert watching.sees(State.FAILING, "expiring") == []
    assert watching.sees(State.WELL) == ["recovered"]
    assert watching.sees(State.WELL) == []


def test_what_gets_graver_is_news_and_what_gets_less_grave_is_not(watching: Watching) -> None:
    """Until it is well again."""
    states = (State.FAILING, State.NEEDS_ATTENTION, State.FAILING, State.LOCKED_OUT, State.NEEDS_ATTENTION, State.WELL)
    found = [it for state in states for it in watching.sees(state)]
    assert found == ["failed", "needs-attention", "locked-out", "recovered"]


def test_a_notice_says_what_stood_there(watching: Watching) -> None:
    """Whose it is, how it stands, why, what to do, which token."""
    (about,) = watching.told(State.FAILING, token="ci@pve!ci-1-abcde", failures=3)
    assert about == About(
        owner="lab",
        host="host",
        occasion="failed",
        cluster="one",
        credential="ci",
        state="failing",
        reason="due",
        message="words",
        hint="advice",
        token="ci@pve!ci-1-abcde",
        failures=3,
    )


def test_who_waits_or_is_new_says_nothing_and_who_is_paused_is_left_alone(watching: Watching) -> None:
    """Pausing something that fails ends the trouble without a word; a new failure is news again."""
    assert [it for state in (State.NEW, State.WAITING) for it in watching.sees(state)] == []
    assert watching.sees(State.FAILING) == ["failed"]
    assert watching.sees(State.WAITING) == []
    assert watching.sees(State.PAUSED) == []
    assert watching.sees(State.WELL) == []
    assert watching.sees(State.FAILING) == ["failed"]


def test_a_cluster_that_is_down_is_told_once_and_not_for_each_credential(watching: Watching) -> None:
    """And once when it is back."""
    down = replace(ONE, is_reachable=False, reason=CLUSTER_UNREACHABLE, message="no answer")
    assert [(it.occasion, it.credential, it.cluster) for it in watching.vigil.of_cluster(down)] == [
        ("failed", "", "one")
    ]
    assert watching.vigil.of_cluster(down) == []
    assert watching.sees(State.FAILING, CLUSTER_UNREACHABLE) == []
    assert watching.sees(State.NEEDS_ATTENTION, "operator-unusable") == []
    assert [it.occasion for it in watching.vigil.of_cluster(ONE)] == ["recovered"]
    assert watching.sees(State.WELL) == []
    assert watching.vigil.of_cluster(replace(ONE, is_reachable=None)) == []


def test_what_flaps_is_damped_and_its_end_is_told(watching: Watching) -> None:
    """Four notices within an hour, then silence; an hour later how it stands, and how much was held back."""
    found = []
    for _ in range(10):
        found += [*watching.sees(State.FAILING), *watching.sees(State.WELL)]
        watching.passes(timedelta(minutes=1))
    assert found == ["failed", "recovered"] * (MOST // 2)
    assert watching.sees(State.FAILING) == []
    watching.passes(CALM)
    (late,) = watching.told(State.FAILING)
    assert (late.occasion, late.held_back) == ("failed", 9)
    watching.passes(CALM)
    assert [(it.occasion, it.held_back) for it in watching.told(State.WELL)] == [("recovered", 0)]


def test_what_flapped_before_the_clock_was_set_back_holds_nothing_back(watching: Watching) -> None:
    """Nobody would be told until that time has come again; it is forgotten with the next notice."""
    for _ in range(MOST // 2):
        watching.sees(State.FAILING)
        watching.sees(State.WELL)
    watching.passes(-100 * DAY)
    found = [watching.sees(state) for _ in range(MOST) for state in (State.FAILING, State.WELL)]
    assert found == [["failed"], ["recovered"]] * (MOST // 2) + [[]] * MOST


def test_what_is_grave_is_told_while_it_flaps(watching: Watching) -> None:
    """Whoever is locked out cannot wait for calm."""
    for _ in range(5):
        watching.sees(State.FAILING)
        watching.sees(State.WELL)
    assert watching.sees(State.LOCKED_OUT) == ["locked-out"]


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from([State.WELL, *TROUBLED]), st.integers(1, 90)), max_size=30))
def test_whoever_listens_knows_in_the_end_how_it_stands(steps: list[tuple[State, int]]) -> None:
    """Whatever went to and fro: once it has stayed as it is for an hour, the last notice says how it is."""
    watching, known, times = Watching(), "", list[datetime]()
    for state, minutes in steps:
        for occasion in watching.sees(state):
            known = occasion
            times += [watching.now] if occasion in {"failed", "recovered"} else []
        watching.passes(timedelta(minutes=minutes))
    assert all(sum(at <= it < at + CALM for it in times) <= MOST for at in times)
    last = steps[-1][0] if steps else State.WELL
    watching.passes(CALM)
    known = next(iter(watching.sees(last)), known)
    assert (last is State.WELL) == (known in {"", "recovered"})


def test_an_orphan_is_told_with_the_run_that_found_it(watching: Watching) -> None:
    """By what was done, not by words; a run that did something else is no news."""
    result = Result("ci", "one", ExitCode.DONE, "up-to-date", "", done=("orphan", "due"))
    (about,) = watching.told(State.WELL, ended=Ended(NOW, Trigger.LOOK, result))
    assert (about.occasion, about.reason) == ("orphan", "orphan")
    other = replace(result, done=("orphan", "orphan"))
    assert watching.told(State.WELL, ended=Ended(NOW, Trigger.LOOK, other))[0].message.startswith("2 unpublished")
    assert watching.told(State.WELL, ended=Ended(NOW, Trigger.LOOK, replace(result, done=("due",)))) == []


def token(life: timedelta | None, left: timedelta) -> tuple[TokenSight, ...]:
    """Return a current token that lives so long, and has so much left; one that others made for None."""
    end = NOW + left
    return (TokenSight("ci@pve!a", Role.CURRENT, end - life if life else None, end),)


@pytest.mark.parametrize(
    ("life", "left", "is_told"),
    [
        (100 * DAY, 7 * DAY + HOUR, False),
        (100 * DAY, 7 * DAY, True),
        (8 * DAY, 2 * DAY + HOUR, False),
        (8 * DAY, 2 * DAY, True),
        (None, 7 * DAY, True),
        (None, 8 * DAY, False),
        (8 * DAY, -HOUR, True),
    ],
)
def test_a_token_that_ends_before_long_is_told(
    watching: Watching, *, life: timedelta | None, left: timedelta, is_told: bool
) -> None:
    """So long before its end as the configuration says, and one that lives but shortly in its last quarter."""
    found = watching.told(State.WELL, tokens=token(life, left))
    assert [it.occasion for it in found] == ["expiring"] * is_told
    assert all(it.expires == NOW + left for it in found)


def test_an_end_is_told_once_for_each_token(watching: Watching) -> None:
    """Its successor's is another one; one without an end has none; an old token's is meant."""
    assert watching.sees(State.WELL, tokens=token(None, DAY)) == ["expiring"]
    assert watching.sees(State.PAUSED, tokens=token(None, HOUR)) == []
    other = (replace(token(None, DAY)[0], id="ci@pve!b"),)
    assert watching.sees(State.PAUSED, tokens=other) == ["expiring"]
    assert watching.sees(State.WELL, tokens=(replace(other[0], id="ci@pve!c", expire=None),)) == []
    assert watching.sees(State.WELL, tokens=(replace(other[0], id="ci@pve!d", role=Role.RETIRING),)) == []


def test_an_end_is_reckoned_by_the_clusters_clock(watching: Watching) -> None:
    """Ours may be a day slow."""
    assert watching.sees(State.WELL, tokens=token(None, 8 * DAY)) == []
    watching.cluster = replace(ONE, clock_offset=2 * DAY)
    assert watching.sees(State.WELL, tokens=token(None, 8 * DAY)) == ["expiring"]


def test_the_operators_own_end_is_told_of_its_cluster(watching: Watching) -> None:
    """Nobody rotates it; once for each end."""
    ending = replace(ONE, operator_expire=NOW + DAY)
    assert [(it.occasion, it.credential) for it in watching.vigil.of_cluster(ending)] == [("expiring", "")]
    assert watching.vigil.of_cluster(ending) == []
    assert len(watching.vigil.of_cluster(replace(ONE, operator_expire=NOW + 2 * DAY))) == 1
    assert watching.vigil.of_cluster(replace(ONE, operator_expire=NOW + 8 * DAY)) == []
    assert len(watching.vigil.of_cluster(replace(ONE, operator_expire=NOW + 8 * DAY, clock_offset=2 * DAY))) == 1


def test_a_board_is_watched_by_what_changes_on_it() -> None:
    """Credentials that were put anew, clusters that are another; who is gone is forgotten."""
    watching, news, bugs = Watching(), list[str](), list[Exception]()
    standing = Standing(NOW, ConfigurationStanding("x", "", NOW), {"ci": CI}, {"one": ONE})
    board = Board(standing, bugs.append)

    def see(change: Change) -> None:
        news.extend(f"{it.occasion} {it.credential or it.cluster}" for it in watching.vigil.see(change))

    board.watch(see)
    result = Result("ci", "one", ExitCode.FAILED, "orphan", "", done=("orphan",))
    failing = replace(CI, state=State.FAILING, reason="due", last=Ended(NOW, Trigger.LOOK, result))
    board.put([failing])
    board.put([replace(failing, seen=NOW)])
    board.put_cluster("one", lambda it: replace(it, is_reachable=False, reason=CLUSTER_UNREACHABLE))
    board.put_cluster("one", lambda it: it)
    assert news == ["orphan ci", "failed ci", "failed one"]
    board.set(credentials={}, configuration=replace(standing.configuration, digest="other"))
    board.set(credentials={"ci": CI})
    board.put([failing])
    assert news[3:] == ["orphan ci", "failed ci"]


def test_notices_of_long_ago_are_forgotten() -> None:
    """What is remembered of what flaps for years does not grow."""
    told = Told().noting(Occasion.FAILED, NOW).noting(Occasion.RECOVERED, NOW + 2 * HOUR)
    assert told.times == (NOW + 2 * HOUR,)


def test_what_was_told_can_be_handed_on() -> None:
    """A vigil that begins with what another one told says nothing twice."""
    told = {("one", "ci"): Told().noting(Occasion.FAILED, NOW).noting(Occasion.EXPIRING, NOW, "ci@pve!a")}
    vigil = Vigil(Rules("lab", "host", 7 * DAY), lambda: NOW, told)
    standing = replace(CI, state=State.FAILING, reason="due", tokens=token(None, DAY))
    assert vigil.of_credential(standing, None, ONE) == []
    assert [it.occasion for it in vigil.of_credential(replace(standing, state=State.WELL), None, ONE)] == ["recovered"]


def test_a_secret_that_somebody_else_repeated_is_hidden(canary: str) -> None:
    """A store's error message may hold one."""
    about = About(owner="l", host="h", occasion="failed", cluster="one", message=f"no: {canary}", hint=f"x {canary}")
    assert canary.encode() not in notice(about, NOW).body
