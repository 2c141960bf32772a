"""What a run refuses to decide by itself, and how a token that somebody else made is taken over."""

from __future__ import annotations

from datetime import timedelta

import pytest

from rotator.errors import ExitCode, UnavailableError
from rotator.fleet import survey
from rotator.model import Request, Strategy
from rotator.testing.exchange import AnswerInstead
from rotator.testing.faulty_backend import Before, Call, Operation
from tests.world import OVERLAP, World, comes_to_rest

LONG = timedelta(minutes=30)


def test_a_paused_credential_is_left_alone(w: World) -> None:
    """However due it is."""
    ci = w.due(name="ci")
    paused = w.credential(paused=True)
    result = w.run(paused)
    assert (result.exit_code, result.reason, result.message) == (0, "paused", "paused in the configuration")
    assert w.changes() == []
    assert w.store.calls == [("read", ci.primary.label)]


def test_a_paused_credential_is_rotated_when_asked_for_by_name(w: World) -> None:
    """Pausing stops the timetable, not the person at the keyboard."""
    w.settled()
    result = w.run(w.credential(paused=True), forced=True)
    assert (result.exit_code, result.reason, result.done) == (0, "paused", ("forced",))
    assert w.standing() == {"ci-1": "marked, ends in 1d", "ci-2": "marked"}


def test_nothing_is_decided_while_the_primary_cannot_be_read(w: World) -> None:
    """A record that is not seen is not a record that is not there."""
    ci = w.due()
    w.fail_store(Operation.READ, UnavailableError("the store is away", hint="wait"))
    result = w.run(ci, forced=True)
    assert (result.exit_code, result.reason, result.hint) == (ExitCode.FAILED, "record-unreadable", "wait")
    assert result.live == f"nothing was touched; what {ci.primary.label} holds is not known"
    assert result.message == f"{ci.primary.label}: the store is away"
    assert w.changes() == []
    w.spoil()
    assert comes_to_rest(w, ci) == "ci-2"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({"token_id": "ci@pve!ci-1-aaaaa"}, "it has only one of token_id and token_secret"),
        ({"token_id": "ci@pve!ci-1-aaaaa", "token_secret": ""}, "it has only one of token_id and token_secret"),
        ({"token_id": "ci", "token_secret": "x"}, "its token_id is not of the form user@realm!name"),
    ],
)
def test_a_record_that_makes_no_sense_is_not_overwritten(w: World, content: dict[str, str], problem: str) -> None:
    """It is somebody's, and may mean something to them."""
    w.write(content)
    result = w.run(w.credential(), forced=True)
    assert (result.exit_code, result.reason) == (ExitCode.FAILED, "record-unreadable")
    assert result.message.endswith(f"ci.json holds something that is no token: {problem}")
    assert w.read() == content
    assert w.tokens() == []


def test_a_user_that_cannot_be_looked_at_is_told_like_the_failure_of_a_step(w: World) -> None:
    """Who follows the events hears of it, and the result names the step."""
    ci = w.settled()
    w.replace_record(2, published=False)
    w.disturb("GET", "/access/users/ci@pve/token", AnswerInstead(595, "no daemon"))
    result = w.run(ci)
    assert (result.exit_code, result.step, result.live) == (ExitCode.FAILED, "observe", "nothing was touched")
    assert [(it.step, it.outcome, it.message, it.hint) for it in w.events] == [
        ("observe", "failed", result.message, result.hint)
    ]


def test_a_last_look_that_fails_is_told_too(w: World) -> None:
    """What was done is done, and it is not known whether something is left to do."""
    ci = w.due()
    w.disturb("GET", "/access/users/ci@pve/token", AnswerInstead(595, "no daemon"), after=1)
    result = w.run(ci, forced=True, overlap=timedelta(minutes=1))  # after which it looks for others to retire
    assert (result.exit_code, result.step, result.done) == (ExitCode.FAILED, "observe", ("forced",))
    assert result.live == "ci@pve!ci-2-10001 is published; ci@pve!ci-1-10000 is still live"
    assert w.steps()[-2:] == ["retire", "observe!failed"]


def test_a_record_with_the_token_of_another_user_is_refused(w: World) -> None:
    """Two credentials have been given one destination, or one has been given the wrong user."""
    w.pve.add_user("other@pve")
    secret = w.pve.add_token("other@pve", "ci-1-aaaaa")
    w.write({"token_id": "other@pve!ci-1-aaaaa", "token_secret": secret})
    result = w.run(w.credential(adopt=True), forced=True)
    assert (result.exit_code, result.reason) == (ExitCode.FAILED, "other-token")
    assert "holds other@pve!ci-1-aaaaa, this credential is about ci@pve!ci-1-aaaaa" in result.message
    assert "a destination of its own" in result.hint
    assert w.pve.tokens("other@pve") == ["ci-1-aaaaa"]
    assert w.tokens() == []


def test_a_mirror_with_the_token_of_another_user_is_refused_too(w: World) -> None:
    """It has a name of our form, as where one record was given to two credentials, or a credential another user."""
    w.settled()
    w.pve.add_user("other@pve")
    secret = w.pve.add_token("other@pve", "ci-8-aaaaa")
    w.write({"token_id": "other@pve!ci-8-aaaaa", "token_secret": secret}, "mirror.json")
    ci = w.credential(adopt=True, destinations=(w.place("ci.json"), w.place("mirror.json")))
    result = w.run(ci, forced=True)
    assert (result.exit_code, result.reason) == (ExitCode.FAILED, "other-token")
    assert "mirror.json holds other@pve!ci-8-aaaaa" in result.message
    assert w.record("mirror.json") == ("other@pve!ci-8-aaaaa", secret)
    assert w.standing() == {"ci-1": "marked"}


@pytest.mark.parametrize("wish", [Request(), Request(forced=True), Request(forced=True, compromised=True)])
def test_a_token_that_somebody_else_made_is_refused(w: World, wish: Request) -> None:
    """It is not touched before anybody said that it may be, whatever is asked for."""
    w.hand_made()
    before = w.read()
    result = w.run(w.credential(), wish)
    assert (result.exit_code, result.reason) == (ExitCode.FAILED, "not-adopted")
    assert result.message.endswith("ci.json holds ci@pve!hand, which this credential did not issue")
    assert result.hint == "to take it over: rotate adopt ci, or set `adopt: true`"
    assert w.read() == before
    assert w.standing() == {"hand": "hand-made"}


@pytest.mark.parametrize("is_gone", [True, False], ids=["gone", "expired"])
def test_a_refused_token_that_does_not_log_in_counts_as_a_lockout(w: World, *, is_gone: bool) -> None:
    """Exit code 4 would say that consumers are unaffected, and that it is still published is half of the truth."""
    hand = w.hand_made(expire=0 if is_gone else int(w.pve.now()) - 60)
    if is_gone:
        w.pve.delete_token(str(hand))
    result = w.run(w.credential())
    assert (result.exit_code, result.reason) == (ExitCode.LOCKED_OUT, "not-adopted")
    assert result.live == "ci@pve!hand is still published and does not log in"
    assert survey(w.fleet(), [w.credential()])[0].exit_code == ExitCode.LOCKED_OUT


def test_a_token_that_somebody_else_made_is_refused_in_a_mirror_too(w: World) -> None:
    """Its consumers would lose it, and nobody said that they may."""
    w.settled()
    w.hand_made(file="mirror.json")
    result = w.run(w.credential(destinations=(w.place("ci.json"), w.place("mirror.json"))), forced=True)
    assert (result.exit_code, result.reason) == (ExitCode.FAILED, "not-adopted")
    assert "mirror.json holds ci@pve!hand" in result.message
    assert w.published("mirror.json") == "hand"


@pytest.mark.parametrize(("owner", "credential"), [("somebody", "ci"), ("tests", "other")])
def test_a_token_with_another_marker_is_somebody_elses(w: World, owner: str, credential: str) -> None:
    """A name of our form is not enough: another installation uses the same base, or another credential does."""
    w.put(w.plant(7, published=True, owner=owner, credential=credential))
    result = w.run(w.credential())
    assert (result.exit_code, result.reason) == (ExitCode.FAILED, "not-adopted")
    assert w.standing() == {"ci-7": "marked"}


@pytest.mark.parametrize("privsep", [True, False])
def test_an_adopted_token_is_replaced_retired_and_revoked_like_any_other(w: World, *, privsep: bool) -> None:
    """It is serial 0; its successor names it, and may do what it may."""
    hand = w.hand_made(privsep=privsep)
    if privsep:
        w.pve.grant("/vms", "PVEVMUser", token=str(hand))
    ci = w.credential(adopt=True, privsep=privsep, grants=None)
    before = w.pve.permissions(str(hand))
    result = w.run(ci)
    assert (result.exit_code, result.done, w.published()) == (0, ("adopt",), "ci-1")
    assert w.standing() == {"ci-1": "marked", "hand": "marked, ends in 1d"}
    assert "after=hand" in w.comment("ci-1")
    assert w.steps()[-2:] == ["retire", "mark"]
    assert w.pve.permissions(w.read()["token_id"]) == before
    assert before
    assert comes_to_rest(w, ci) == "ci-1"


@pytest.mark.parametrize("is_pinned", [False, True])
@pytest.mark.parametrize("overlap", [OVERLAP, timedelta()])
def test_a_token_of_another_credential_is_replaced_and_not_ended(
    w: World, overlap: timedelta, *, is_pinned: bool
) -> None:
    """Its record was copied, and who uses the token there is told nothing: it may be paused, or run too late."""
    ci = w.settled(strategy=Strategy.REGENERATE if is_pinned else Strategy.FRESH)
    w.write(w.read(), "copy.json")
    copy = w.credential("copy", adopt=True, overlap=overlap, siblings=frozenset({"ci", "copy"}))
    result = w.run(copy)
    assert (result.exit_code, result.done, w.published("copy.json")) == (0, ("adopt",), "copy-1")
    before = {"ci" if is_pinned else "ci-1": "marked", "copy-1": "marked"}
    w.forget()
    for it in ci, copy:
        assert w.run(it).reason == "up-to-date"
    assert (w.changes(), w.standing()) == ([], before)
    assert (w.works("ci.json"), w.works("copy.json")) == (True, True)


def test_a_token_that_another_credential_took_over_is_not_ended_sooner(w: World) -> None:
    """One token made by hand was in two records: the first that replaces it gives it its end."""
    w.hand_made()
    w.write(w.read(), "copy.json")
    both = frozenset({"ci", "copy"})
    assert w.run(w.credential(adopt=True, siblings=both)).done == ("adopt",)
    copy = w.credential("copy", adopt=True, overlap=timedelta(), siblings=both)
    assert w.run(copy).done == ("adopt",)
    assert w.standing() == {"ci-1": "marked", "copy-1": "marked", "hand": "marked, ends in 1d"}
    w.clock.pass_by(OVERLAP + timedelta(minutes=1))
    assert w.run(copy).done == ()
    assert w.run(w.credential(siblings=both)).done == ("overlap-passed",)
    assert w.standing() == {"ci-1": "marked", "copy-1": "marked"}


def test_a_token_of_another_credential_ends_when_it_is_compromised(w: World) -> None:
    """The leak first: the other one issues another token when it runs."""
    ci = w.settled()
    w.write(w.read(), "copy.json")
    copy = w.credential("copy", adopt=True, siblings=frozenset({"ci", "copy"}))
    assert w.run(copy, forced=True, compromised=True).done == ("forced",)
    assert w.standing() == {"copy-1": "marked"}
    assert w.run(ci).done == ("published-token-dead",)


def test_a_machine_that_was_paused_while_a_mirror_was_written_ends_an_adopted_token_no_sooner(w: World) -> None:
    """Its clocks stood still, all of them; whoever reads the mirror just before it changes has the whole overlap."""
    hand = w.hand_made()

    def paused(call: Call) -> bool:
        is_mirror = call.operation is Operation.WRITE and "mirror.json" in call.label
        w.pve.clock_offset += 8 * 3600.0 if is_mirror else 0.0
        return False

    w.spoil(Before(paused, AssertionError()))
    ci = w.credential(adopt=True, grants=None, destinations=(w.place("ci.json"), w.place("mirror.json")))
    assert w.run(ci).done == ("adopt",)
    end = next(it.expire for it in w.cluster.tokens(hand.userid) if it.id == hand)
    assert end is not None
    assert end - w.cluster.now() >= ci.overlap


def test_a_token_is_adopted_for_one_run_without_changing_the_configuration(w: World) -> None:
    """`rotate adopt` once is enough: its successor says after which token it came, which later runs go by."""
    w.hand_made()
    assert w.run(w.credential(), adopt=True).done == ("adopt",)
    assert comes_to_rest(w, w.credential()) == "ci-1"


@pytest.mark.parametrize("overlap", [timedelta(days=1), timedelta()])
def test_an_adoption_that_died_before_retiring_is_finished(w: World, overlap: timedelta) -> None:
    """The successor's comment names the adopted token, which ends before the successor is marked."""
    hand = w.hand_made(comment="for Ann")
    w.put(w.plant(1, after=hand.name))
    result = w.run(w.credential(overlap=overlap))
    assert (result.exit_code, result.done) == (0, ("unfinished",))
    assert w.standing() == {"ci-1": "marked"} | ({"hand": "marked, ends in 1d"} if overlap else {})
    assert not overlap or w.comment("hand").startswith("for Ann rotate: owner=tests credential=ci ")
    assert comes_to_rest(w, w.credential()) == "ci-1"


def test_an_adopted_token_is_not_forgotten_with_a_successor_that_has_no_overlap(w: World) -> None:
    """The adoption died before it ended, and its successor, which alone names it, is revoked at once."""
    hand = w.hand_made()
    w.put(w.plant(1, after=hand.name))
    assert w.run(w.credential(), forced=True, overlap=timedelta()).done == ("forced",)
    assert w.standing() == {"ci-2": "marked"}
    assert comes_to_rest(w, w.credential()) == "ci-2"


def test_what_another_credential_made_is_not_forgotten_with_a_successor_that_has_no_overlap(w: World) -> None:
    """A renamed credential took it over and died before it ended, or it has its end and is not over yet."""
    for number, end in ((2, None), (4, OVERLAP)):
        old = w.plant(number - 1, credential="old", published=True, ends_in=end)
        w.write({"note": "by hand"})
        w.put(w.plant(number, published=True, after=old.id.name))
        assert w.run(w.credential(), forced=True, overlap=timedelta()).exit_code == ExitCode.DONE
        assert w.standing() == {w.published(): "marked"}


def test_an_adopted_token_is_not_forgotten_with_a_successor_that_ends_by_itself(w: World) -> None:
    """A mirror was down for all of the successor's life, so that nothing was ended; a dead token is kept that long."""
    hand = w.hand_made(file="mirror.json")
    middle = w.plant(1, after=hand.name, ends_in=-OVERLAP)
    w.write({"note": "by hand"})
    w.put(w.plant(2, after=middle.id.name))
    ci = w.credential(destinations=(w.place("ci.json"), w.place("mirror.json")))
    w.lock_up("mirror.json")
    assert w.run(ci, adopt=True).exit_code == ExitCode.FAILED
    w.spoil()
    assert w.run(ci, adopt=True).done == ("unfinished", "overlap-passed")
    assert w.standing() == {"ci-2": "marked", "hand": "marked, ends in 1d"}
    assert comes_to_rest(w, ci) == "ci-2"


def test_an_adopted_token_that_ends_soon_by_itself_is_tidied_up_too(w: World) -> None:
    """Its own end is kept, and what is left of it is revoked."""
    w.hand_made(expire=int(w.pve.now()) + 3600)
    assert w.run(w.credential(adopt=True)).done == ("expiring",)
    assert w.standing() == {"ci-1": "marked", "hand": "marked, ends in 1h"}
    assert comes_to_rest(w, w.credential()) == "ci-1"


@pytest.mark.parametrize("wish", [Request(), Request(forced=True, compromised=True)])
def test_a_namesake_of_an_adopted_token_is_somebody_elses(w: World, wish: Request) -> None:
    """I6: the adopted one is gone, its successor still names it, and a person makes another token of that name."""
    w.hand_made()
    assert w.run(w.credential(adopt=True)).done == ("adopt",)
    assert comes_to_rest(w, w.credential()) == "ci-1"
    secret = w.pve.add_token("ci@pve", "hand", comment="for Ann")
    result = w.run(w.credential(), wish)
    assert (result.exit_code, result.done) == (0, ("forced",) if wish.forced else ())
    assert w.standing()["hand"] == "hand-made"
    assert w.pve.accepts("ci@pve!hand", secret)
    assert w.comment("hand") == "for Ann"


def test_a_renamed_credential_takes_over_and_finishes_what_it_died_in(w: World) -> None:
    """Under its old name it made the token, so that another credential's marker is on it."""
    old = w.plant(7, credential="old", published=True)
    w.write({"note": "by hand"})
    w.put(w.plant(8, published=True, after=old.id.name))
    result = w.run(w.credential(adopt=True))
    assert (result.exit_code, result.done) == (0, ("not-retired",))
    assert w.standing() == {"ci-7": "marked, ends in 1d", "ci-8": "marked"}
    assert comes_to_rest(w, w.credential()) == "ci-8"


def test_an_adopted_token_that_is_gone_is_replaced(w: World) -> None:
    """There is nothing to retire, and nothing to inherit from either."""
    hand = w.hand_made()
    w.pve.delete_token(str(hand))
    result = w.run(w.credential(adopt=True))
    assert (result.exit_code, result.done, w.standing()) == (0, ("published-token-dead",), {"ci-1": "marked"})


def test_a_record_that_was_put_back_to_an_older_state_goes_forward(w: World) -> None:
    """A restored backup names a token that is retiring; consumers may hold the newer one, which is no orphan."""
    ci = w.settled()
    backup = w.read()
    w.run(ci, forced=True)
    w.clock.pass_by(timedelta(hours=1))
    w.write(backup)
    result = w.run(ci, overlap=ci.overlap)  # a run that looks into the store
    assert (result.exit_code, result.done, w.published()) == (0, ("record-rolled-back", "not-retired"), "ci-3")
    assert any(
        "holds ci@pve!ci-1-10000 although ci@pve!ci-2-10001 was published later" in it.message for it in w.events
    )
    assert w.standing() == {"ci-1": "marked, ends in 23h", "ci-2": "marked, ends in 1d", "ci-3": "marked"}
    assert comes_to_rest(w, ci) == "ci-3"


def test_a_record_of_a_retired_token_is_replaced_before_that_dies(w: World) -> None:
    """Put back within the time in which a rotation may be under way: its end is near, which waits for nobody."""
    ci = w.settled()
    backup = w.read()
    w.run(ci, forced=True)
    w.write(backup)
    w.pve.delete_token(f"{w.userid}!{w.tokens()[-1]}")
    result = w.run(ci)
    assert (result.exit_code, result.done, w.published()) == (0, ("expiring",), "ci-2")
    assert comes_to_rest(w, ci) == "ci-2"


def test_a_user_that_pve_does_not_know_is_an_error(w: World) -> None:
    """PVE refuses to list the tokens, in the same words as for a missing privilege."""
    result = w.run(w.credential(userid="nobody@pve"))
    assert (result.exit_code, result.reason, result.live) == (ExitCode.FAILED, "failed", "nothing was touched")
    assert "an unknown user is answered in the same way" in result.hint


def test_an_operator_that_may_not_manage_the_user_touches_nothing(w: World) -> None:
    """PVE refuses to issue before anything has changed."""
    ci = w.due()
    w.set_user(groups=frozenset())
    result = w.run(ci)
    assert (result.exit_code, result.step) == (ExitCode.FAILED, "issue")
    assert result.live == "ci@pve!ci-1-10000 is still published"
    assert "User.Modify on /access/groups/<g>, and that user must be a member of g" in result.hint
    assert w.standing() == {"ci-1": "marked"}
    w.set_user(groups=frozenset({"rotated"}))
    assert comes_to_rest(w, ci) == "ci-2"
