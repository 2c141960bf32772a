"""The rotation function takes AWS's four steps, once, twice, out of order, late, and after a crash at any of them."""

from __future__ import annotations

import json
from datetime import timedelta
from uuid import uuid4

import pytest

from rotator.aws_lambda import RotationError, handler
from rotator.marker import Marker
from rotator.testing.aws import Call, HangUp, Refuse
from rotator.testing.exchange import HangUpAfter
from tests.aws.function import OWNER, STEPS, Function, once, refused
from tests.world import OVERLAP


def test_a_token_rotates_like_a_database_password(f: Function) -> None:
    """The current version has a new token, the previous one a token that works for the overlap, and so on."""
    first = f.settled()
    assert f.labels()[first] == ["AWSCURRENT"]
    second = f.rotate()
    assert f.labels() == {first: ["AWSPREVIOUS"], second: ["AWSCURRENT"]}
    assert f.works()
    assert f.works("AWSPREVIOUS")
    assert f.w.standing() == {"ci-1": "marked, ends in 1d", "ci-2": "marked"}
    f.w.clock.pass_by(OVERLAP + timedelta(seconds=5))
    assert not f.works("AWSPREVIOUS")
    f.rotate()
    assert f.w.standing() == {"ci-2": "marked, ends in 1d", "ci-3": "marked"}


def test_foreign_keys_stay(f: Function) -> None:
    """Also those that are no texts; what consumers find beside the token is as it was."""
    f.settled()
    record = f.record()
    assert record.keys() == {"note", "port", "token_id", "token_secret"}
    assert (record["note"], record["port"]) == ("by hand", 8006.10)


def test_the_token_says_which_rotation_made_it(f: Function) -> None:
    """AWS's id stands in the comment, with the installation, the secret and the predecessor."""
    f.settled()
    before = f.record()["token_id"].rpartition("!")[2]
    token = f.rotate()
    marker = Marker.parse(f.w.comment("ci-2"))
    assert marker
    assert (marker.owner, marker.credential, marker.rotation) == (OWNER, f.name, token)
    assert (marker.after, marker.published) == (before, True)


def test_each_step_twice_does_what_it_does_once(f: Function) -> None:
    """One token is issued, one version made, whatever AWS repeats."""
    first = f.settled()
    token = f.begin()
    for name in STEPS:
        f.step(name, token)
        before = f.labels(), f.w.standing()
        f.step(name, token)
        assert (f.labels(), f.w.standing()) == before, name
    assert f.labels() == {first: ["AWSPREVIOUS"], token: ["AWSCURRENT"]}
    assert f.w.standing() == {"ci-1": "marked, ends in 1d", "ci-2": "marked"}


def test_the_whole_rotation_twice_does_what_it_does_once(f: Function) -> None:
    """AWS begins anew at createSecret when a step failed."""
    f.settled()
    token = f.begin()
    for name in (*STEPS[:3], *STEPS, *STEPS):
        f.step(name, token)
    assert f.w.standing() == {"ci-1": "marked, ends in 1d", "ci-2": "marked"}


@pytest.mark.parametrize("step", STEPS[1:])
def test_no_step_comes_before_create(f: Function, step: str) -> None:
    """There is nothing to grant, test or finish yet."""
    f.settled()
    token = f.begin()
    assert refused(f, step, token) == f"version {token} has no token yet; hint: createSecret comes first"


def test_finish_without_set_publishes_nothing(f: Function) -> None:
    """A token that lacks its grants does not become current, also when the test was left out."""
    f.settled()
    token = f.begin()
    f.step("createSecret", token)
    for step in ("finishSecret", "testSecret"):
        assert refused(f, step, token).startswith("granted, but not effective: VM.")
    assert f.works()
    for name in STEPS[1:]:
        f.step(name, token)
    assert f.record()["token_id"].startswith("ci@pve!ci-2-")


def test_a_version_that_never_was_is_refused(f: Function) -> None:
    """AWS's own words for it, and nothing happens."""
    f.settled()
    token = str(uuid4())
    for step in STEPS:
        assert refused(f, step, token) == (f"version {token} has no label: it belongs to no rotation that is under way")


def test_a_version_that_is_not_pending_any_more_is_refused(f: Function) -> None:
    """A call that comes late, of a rotation that is long past, changes nothing."""
    first = f.settled()
    f.rotate()
    for step in STEPS:
        assert refused(f, step, first) == (f"version {first} is not AWSPENDING: its rotation is not under way any more")


def test_a_secret_whose_rotation_is_off_is_refused(f: Function) -> None:
    """Somebody called the function by hand."""
    f.store()
    version = next(iter(f.labels()))
    message = "rotation is not switched on; hint: aws secretsmanager rotate-secret switches it on"
    assert refused(f, "createSecret", version) == message


def test_a_secret_without_a_value_is_refused(f: Function) -> None:
    """AWS makes the first version of a secret current by itself: before it has its grants, and untested."""
    f.arn = f.client.create_secret(Name=f.name)["ARN"]
    token = f.begin()
    with pytest.raises(RotationError, match=r"has no value yet.*put-secret-value --secret-id arn:\S+ --secret-string"):
        f.step("createSecret", token)
    assert f.w.tokens() == []
    f.client.put_secret_value(SecretId=f.arn, SecretString="{}")
    f.rotate()
    assert f.works()


def test_a_secret_that_is_gone_is_refused(f: Function) -> None:
    """It was deleted since AWS began."""
    f.arn = f"arn:aws:secretsmanager:eu-west-1:123456789012:secret:{f.name}-abcdef"
    with pytest.raises(RotationError, match="there is no such secret"):
        f.step("createSecret", str(uuid4()))


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ({}, "not an event of Secrets Manager's rotation: it has Step, SecretId and ClientRequestToken"),
        ({"Step": "createSecret", "SecretId": "x"}, "not an event of Secrets Manager's rotation"),
        (
            {"Step": "create", "SecretId": "x", "ClientRequestToken": "y"},
            "not a step of a rotation: create; there is createSecret, setSecret, testSecret, finishSecret",
        ),
    ],
)
def test_what_is_no_event_is_refused(event: dict[str, str], message: str) -> None:
    """A ValueError, as AWS's own functions raise; nothing is contacted."""
    with pytest.raises(ValueError, match=r"^not a") as caught:
        handler(event, None)
    assert str(caught.value).startswith(message)


def test_a_crash_between_issue_and_put_leaves_nothing(f: Function) -> None:
    """The token whose secret nobody knows is found by the rotation in its comment, and deleted by the repeat."""
    f.settled()
    token = f.begin()
    now = f.w.clock.now()
    lost = Marker(OWNER, f.name, token, now, f.record()["token_id"].rpartition("!")[2]).comment()
    f.w.pve.add_token("ci@pve", "ci-2-lost1", comment=lost)
    f.step("createSecret", token)
    assert f.w.standing() == {"ci-1": "marked", "ci-3": "unmarked"}
    for name in STEPS[1:]:
        f.step(name, token)
    assert f.w.standing() == {"ci-1": "marked, ends in 1d", "ci-3": "marked"}


def test_a_token_of_another_rotation_is_not_taken_for_an_orphan_of_this_one(f: Function) -> None:
    """Only what names this very rotation is deleted; the rest waits until a successor is current."""
    f.settled()
    other = Marker(OWNER, f.name, str(uuid4()), f.w.clock.now()).comment()
    f.w.pve.add_token("ci@pve", "ci-2-other", comment=other)
    token = f.begin()
    f.w.clock.pass_by(timedelta(hours=1))
    f.step("createSecret", token)
    assert f.w.standing() == {"ci-1": "marked", "ci-2": "unmarked", "ci-3": "unmarked"}
    for name in STEPS[1:]:
        f.step(name, token)
    assert f.w.standing() == {"ci-1": "marked, ends in 1d", "ci-2": "unmarked, ends in 1d", "ci-3": "marked"}


def test_a_put_that_lost_its_answer_is_repeated(f: Function) -> None:
    """A version takes the same value twice: one token, and no error."""
    f.settled()
    token = f.begin()
    f.aws.intercept = once("PutSecretValue", lambda: HangUp(after=True))
    f.step("createSecret", token)
    assert f.w.standing() == {"ci-1": "marked", "ci-2": "unmarked"}
    assert f.record("AWSPENDING")["token_id"].startswith("ci@pve!ci-2-")


def test_a_put_that_never_arrives_leaves_a_token_for_the_repeat(f: Function) -> None:
    """While it is unknown whether the version has it, the token stays; then it is deleted."""
    f.settled()
    token = f.begin()
    f.aws.intercept = lambda call: HangUp() if call.action.endswith("PutSecretValue") else None
    with pytest.raises(RotationError, match="AWS did not say whether PutSecretValue on"):
        f.step("createSecret", token)
    assert f.w.standing() == {"ci-1": "marked", "ci-2": "unmarked"}
    f.aws.intercept = None
    f.step("createSecret", token)
    assert f.w.standing() == {"ci-1": "marked", "ci-3": "unmarked"}


def test_a_refused_put_takes_its_token_back(f: Function) -> None:
    """Nobody can know it."""
    f.settled()
    token = f.begin()
    f.aws.intercept = once("PutSecretValue", lambda: Refuse("AccessDeniedException"))
    assert refused(f, "createSecret", token).startswith("AWS does not allow secretsmanager:PutSecretValue")
    assert f.w.standing() == {"ci-1": "marked"}


def test_of_two_that_create_at_once_the_first_value_counts(f: Function) -> None:
    """The loser deletes the token that it made, and goes on with the winner's."""
    f.settled()
    token = f.begin()
    f.aws.intercept = once("PutSecretValue", lambda: f.step("createSecret", token))
    f.step("createSecret", token)
    assert list(f.w.standing().values()) == ["marked", "unmarked"]
    for name in STEPS[1:]:
        f.step(name, token)
    assert f.works()


def test_of_two_that_finish_at_once_both_succeed(f: Function) -> None:
    """Whoever comes second finds that the version is current, which is what was asked for."""
    first = f.settled()
    token = f.begin()
    for name in STEPS[:3]:
        f.step(name, token)
    f.aws.intercept = once("UpdateSecretVersionStage", lambda: f.step("finishSecret", token))
    f.step("finishSecret", token)
    assert f.labels() == {first: ["AWSPREVIOUS"], token: ["AWSCURRENT"]}
    assert f.w.standing() == {"ci-1": "marked, ends in 1d", "ci-2": "marked"}


def test_an_issue_that_got_no_answer_is_swept_up(f: Function) -> None:
    """The token may have come into being: it is deleted, and another made under another name."""
    f.settled()
    token = f.begin()
    f.w.disturb("POST", "/token/", HangUpAfter())
    f.step("createSecret", token)
    assert f.w.standing() == {"ci-1": "marked", "ci-2": "unmarked"}


def overwrite(f: Function) -> None:
    """Put another value there, as a person in a hurry does."""
    secret = f.w.pve.add_token("ci@pve", "hand")
    f.client.put_secret_value(
        SecretId=f.arn, SecretString=json.dumps({"token_id": "ci@pve!hand", "token_secret": secret})
    )


@pytest.mark.parametrize("when", ["before finish", "within finish"])
def test_whoever_published_meanwhile_wins(f: Function, when: str) -> None:
    """AWSCURRENT is moved only from the version that was observed: the rotation is over and leaves nothing behind."""
    f.settled()
    token = f.begin()
    for name in STEPS[:3]:
        f.step(name, token)
    if when == "before finish":
        overwrite(f)
    else:
        f.aws.intercept = once("UpdateSecretVersionStage", lambda: overwrite(f))
    with pytest.raises(RotationError, match="somebody else published while this rotation was under way: ") as caught:
        f.step("finishSecret", token)
    assert str(caught.value).endswith("; hint: the rotation is over and its token deleted; start another one")
    assert f.record()["token_id"] == "ci@pve!hand"
    assert f.works()
    assert token not in f.labels()
    assert f.w.standing() == {"ci-1": "marked", "hand": "hand-made"}
    assert "has no label" in refused(f, "createSecret", token)


def test_a_pending_token_that_was_deleted_is_told(f: Function) -> None:
    """A version takes one value: this rotation cannot be saved, and the hint says how to begin another."""
    f.settled()
    token = f.begin()
    f.step("createSecret", token)
    pending = f.record("AWSPENDING")["token_id"]
    f.w.pve.delete_token(pending)
    for step in STEPS[1:]:
        assert refused(f, step, token) == (
            f"{pending} is pending and does not exist at PVE any more; "
            f"hint: take AWSPENDING off version {token} and start another rotation"
        )
    f.abandon(token)
    f.rotate()
    assert f.works()


def fill(f: Function, version: str, content: dict[str, str]) -> None:
    """Give a pending version its value, as somebody else does."""
    f.client.put_secret_value(
        SecretId=f.arn, ClientRequestToken=version, SecretString=json.dumps(content), VersionStages=["AWSPENDING"]
    )


def test_a_pending_token_of_somebody_else_is_not_touched(f: Function) -> None:
    """Neither granted anything nor published nor deleted."""
    f.settled()
    token = f.begin()
    fill(f, token, {"token_id": "ci@pve!hand", "token_secret": f.w.pve.add_token("ci@pve", "hand")})
    for step in STEPS[1:]:
        assert refused(f, step, token).startswith("ci@pve!hand is pending and was not made by this rotation; hint: ")
    f.step("createSecret", token)
    assert f.w.standing() == {"ci-1": "marked", "hand": "hand-made"}


def test_a_pending_version_without_a_whole_token_is_told(f: Function) -> None:
    """Which key is missing, and no value."""
    f.settled()
    token = f.begin()
    fill(f, token, {"token_id": "ci@pve!hand"})
    for step in STEPS:
        message = f"version {token} holds something that is no token: it has only one of token_id and token_secret"
        assert refused(f, step, token) == message


def test_a_version_that_has_another_value_takes_no_token(f: Function) -> None:
    """What was issued for it is deleted again."""
    f.settled()
    token = f.begin()
    fill(f, token, {"note": "not a token"})
    message = refused(f, "createSecret", token)
    assert message.startswith(f"version {token} of aws:eu-west-1/{f.name} has another value already")


def test_a_token_that_dies_as_it_is_published_is_told(f: Function) -> None:
    """Nothing is retired: the predecessor goes on working for whoever has it."""
    f.settled()
    token = f.begin()
    for name in STEPS[:3]:
        f.step(name, token)
    pending = f.record("AWSPENDING")["token_id"]
    f.aws.intercept = once("UpdateSecretVersionStage", lambda: f.w.pve.delete_token(pending))
    with pytest.raises(RotationError, match=f"{pending} is current and does not log in; hint: start another rotation"):
        f.step("finishSecret", token)
    assert f.works("AWSPREVIOUS")
    assert f.w.standing() == {"ci-1": "marked"}
    f.rotate()
    assert f.works()


def test_whoever_publishes_right_afterwards_is_told(f: Function) -> None:
    """Nothing of theirs is touched, and nothing retired in their name."""
    f.settled()
    token = f.begin()
    for name in STEPS[:3]:
        f.step(name, token)

    def look(call: Call) -> None:
        if call.action.endswith("UpdateSecretVersionStage"):
            f.aws.intercept = once("GetSecretValue", lambda: overwrite(f))

    f.aws.intercept = look
    with pytest.raises(RotationError, match=f"version {token} was made current, and another one is"):
        f.step("finishSecret", token)
    assert f.record()["token_id"] == "ci@pve!hand"
    assert f.w.standing() == {"ci-1": "marked", "ci-2": "unmarked", "hand": "hand-made"}


def test_a_failed_rotation_is_cleared_up_by_the_next(f: Function) -> None:
    """Its token may have been read from AWSPENDING: it is retired like any other, then deleted."""
    f.settled()
    token = f.begin()
    f.step("createSecret", token)
    f.abandon(token)
    f.rotate()
    assert f.w.standing() == {"ci-1": "marked, ends in 1d", "ci-2": "unmarked, ends in 1d", "ci-3": "marked"}
    f.w.clock.pass_by(OVERLAP + timedelta(seconds=5))
    f.rotate()
    assert f.w.standing() == {"ci-3": "marked, ends in 1d", "ci-4": "marked"}


def test_the_trial_that_aws_makes_when_rotation_is_switched_on_passes(f: Function) -> None:
    """It tests a copy of the current value, and nothing else."""
    token = f.w.pve.add_token("ci@pve", "hand", privsep=False)
    f.store({"token_id": "ci@pve!hand", "token_secret": token})
    del f.environ["ROTATE_GRANTS"]
    version = f.begin(RotateImmediately=False)
    f.step("testSecret", version)
    assert f.w.standing() == {"hand": "hand-made"}


def test_a_dead_token_is_replaced(f: Function) -> None:
    """Somebody deleted what the current version holds."""
    f.settled()
    f.w.pve.delete_token(f.record()["token_id"])
    assert not f.works()
    f.rotate()
    assert f.works()
    assert f.w.standing() == {"ci-2": "marked"}


def test_at_every_call_the_current_version_works(f: Function) -> None:
    """What a consumer reads logs in before, during and after each step, and each call to AWS and PVE between them."""
    f.settled()
    seen: list[bool] = []

    def look(call: Call) -> None:
        if call.action.startswith("secretsmanager:"):
            f.aws.intercept = None
            seen.append(f.works())
            f.aws.intercept = look

    f.aws.intercept = look
    f.rotate()
    assert len(seen) > 20
    assert all(seen)


def test_a_cluster_that_does_not_answer_is_told(f: Function) -> None:
    """AWS tries again later; nothing was issued."""
    f.settled()
    token = f.begin()
    for node in f.w.pve.nodes:
        node.down = True
    assert "cluster pve" in refused(f, "createSecret", token)
    for node in f.w.pve.nodes:
        node.down = False
    for name in STEPS:
        f.step(name, token)
    assert f.works()


def test_a_node_that_is_down_stops_nothing(f: Function) -> None:
    """It catches up when it comes back."""
    f.settled()
    f.w.pve.nodes[1].down = True
    f.rotate()
    assert f.works()


def test_the_log_says_which_node_is_down_though_the_record_has_its_address(
    f: Function, caplog: pytest.LogCaptureFixture
) -> None:
    """A rotation that goes on without it says so nowhere else."""
    f.environ["ROTATE_FIELDS"] = json.dumps({"host": "{host}:{port}"})
    f.settled()
    token = f.begin()
    f.step("createSecret", token)
    f.step("setSecret", token)
    f.w.pve.nodes[0].down = True
    f.step("testSecret", token)
    told = [it.getMessage() for it in caplog.records if it.name == "rotator.aws_lambda"]
    assert f"not verified on {f.w.pve.nodes[0].endpoint}" in told[-1]
