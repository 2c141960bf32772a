"""What a write does to the versions and labels of a secret, its own and those of others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

import pytest

from rotator.errors import ConflictError, OutcomeUnknownError, RefusedError
from rotator.model import Version
from rotator.testing.aws import Call, Fault, HangUp, Refuse, SimulatedAws
from rotator.testing.backend_contract import at_once
from rotator_backends.aws_settings import AwsLocation
from tests.aws.lab import REGION, Lab, token

FUNCTION = f"arn:aws:lambda:{REGION}:123456789012:function:rotate"


def labels(lab: Lab, place: AwsLocation) -> Mapping[str, list[str]]:
    """Tell the labels of all versions that have one."""
    versions = lab.client().describe_secret(SecretId=place.secret_id)["VersionIdsToStages"]
    return {version: sorted(found) for version, found in versions.items()}


def settled(lab: Lab) -> tuple[AwsLocation, Version]:
    """Make a secret with a token in it."""
    backend = lab.backend()
    place = lab.place(backend)
    return place, backend.write(place, token(1, "one-secret"), expected=None)


def once(action: str, then: Callable[[], Fault | None]) -> Callable[[Call], Fault | None]:
    """Let something happen just before the first call of an action is handled."""
    left = [then]
    return lambda call: left.pop()() if call.action.endswith(action) and left else None


def test_the_predecessor_is_the_previous_version(lab: Lab) -> None:
    """Whoever reads AWSPREVIOUS during the overlap finds the token that was replaced, and nothing stays pending."""
    place, first = settled(lab)
    second = lab.backend().write(place, token(2, "two-secret"), expected=first)
    assert labels(lab, place) == {first: ["AWSPREVIOUS"], second: ["AWSCURRENT"]}
    previous = lab.client().get_secret_value(SecretId=place.secret_id, VersionStage="AWSPREVIOUS")
    assert "one-secret" in previous["SecretString"]


def test_a_version_is_put_as_pending_and_then_promoted_by_name(lab: Lab, aws: SimulatedAws) -> None:
    """No call lets AWS move AWSCURRENT without naming the version that was observed."""
    place, first = settled(lab)
    aws.calls.clear()
    second = lab.backend().write(place, token(2, "two-secret"), expected=first)
    put, move = (call.wish for call in aws.calls if call.action.rpartition(":")[2] in {"PutSecretValue", MOVE})
    assert (put["ClientRequestToken"], put["VersionStages"]) == (second, ["AWSPENDING"])
    assert (move["MoveToVersionId"], move["RemoveFromVersionId"]) == (second, first)
    assert move["VersionStage"] == "AWSCURRENT"


MOVE = "UpdateSecretVersionStage"


def test_versions_show_who_made_them(lab: Lab) -> None:
    """A pending version of ours can be told from one of AWS's own rotation."""
    _, first = settled(lab)
    assert first.startswith("rotate-")
    assert 32 <= len(first) <= 64


def test_a_rival_between_put_and_promotion_wins(lab: Lab, aws: SimulatedAws) -> None:
    """The promotion compares at AWS: who was faster stays current, and the loser leaves no label."""
    place, first = settled(lab)
    other, won = lab.backend(), []
    aws.intercept = once(MOVE, lambda: won.append(other.write(place, token(3, "three-secret"), expected=first)))
    with pytest.raises(ConflictError, match=r"was changed by somebody else$"):
        lab.backend().write(place, token(2, "two-secret"), expected=first)
    assert labels(lab, place) == {first: ["AWSPREVIOUS"], won[0]: ["AWSCURRENT"]}


def test_a_rival_that_put_last_but_promoted_late_loses(lab: Lab, aws: SimulatedAws) -> None:
    """The pending label does not decide: a version from which it was taken is promoted all the same."""
    place, first = settled(lab)
    client, stolen = lab.client(), str(uuid4())

    def steal() -> None:
        client.put_secret_value(
            SecretId=place.secret_id, ClientRequestToken=stolen, SecretString="{}", VersionStages=["AWSPENDING"]
        )

    aws.intercept = once(MOVE, steal)
    second = lab.backend().write(place, token(2, "two-secret"), expected=first)
    assert labels(lab, place) == {first: ["AWSPREVIOUS"], second: ["AWSCURRENT"], stolen: ["AWSPENDING"]}


def test_of_two_that_create_at_once_one_wins(lab: Lab) -> None:
    """A secret is created once, however often two try at the same moment."""
    backend = lab.backend()
    for number in range(20):
        place = lab.place(backend)
        ends = at_once(
            lambda place=place: backend.write(place, token(1, "one-secret"), expected=None),  # type: ignore[misc]
            lambda place=place: backend.write(place, token(2, "two-secret"), expected=None),  # type: ignore[misc]
        )
        errors = [end.exception() for end in ends]
        assert sorted(type(error).__name__ for error in errors) == ["ConflictError", "NoneType"], number


def test_of_two_that_fill_an_empty_secret_one_wins(lab: Lab) -> None:
    """A secret that was made without a value, as Terraform does, gets its first version once."""
    backend = lab.backend()
    for number in range(20):
        place = lab.place(backend)
        lab.client().create_secret(Name=place.name)
        assert backend.read(place) is None
        ends = at_once(
            lambda place=place: backend.write(place, token(1, "one-secret"), expected=None),  # type: ignore[misc]
            lambda place=place: backend.write(place, token(2, "two-secret"), expected=None),  # type: ignore[misc]
        )
        winners = [end for end in ends if end.exception() is None]
        assert len(winners) == 1, number
        stored = backend.read(place)
        assert stored
        assert stored.version == winners[0].result()


def test_a_version_that_only_lost_its_answer_is_current(lab: Lab, aws: SimulatedAws) -> None:
    """A promotion without an answer is unknown; what was promoted stays, and the same write again is a conflict."""
    place, first = settled(lab)
    aws.intercept = once(MOVE, lambda: HangUp(after=True))
    backend = lab.backend()
    with pytest.raises(OutcomeUnknownError, match=r"did not say whether UpdateSecretVersionStage on aws:.* was done"):
        backend.write(place, token(2, "two-secret"), expected=first)
    stored = backend.read(place)
    assert stored
    assert dict(stored.fields) == token(2, "two-secret")
    with pytest.raises(ConflictError):
        backend.write(place, token(2, "two-secret"), expected=first)


def test_a_refused_promotion_takes_its_label_back(lab: Lab, aws: SimulatedAws) -> None:
    """What was put and not promoted leaves nothing pending, so that AWS's own rotation is not in its way later."""
    place, first = settled(lab)
    aws.intercept = once(MOVE, lambda: Refuse("LimitExceededException"))
    with pytest.raises(RefusedError, match="has reached a quota of Secrets Manager"):
        lab.backend().write(place, token(2, "two-secret"), expected=first)
    assert labels(lab, place) == {first: ["AWSCURRENT"]}


def test_a_refusal_that_is_no_conflict_is_not_told_as_one(lab: Lab, aws: SimulatedAws) -> None:
    """When AWS says no and the expected version is still current, nobody was faster."""
    place, first = settled(lab)
    aws.intercept = once(MOVE, lambda: Refuse("InvalidParameterException"))
    with pytest.raises(RefusedError, match="AWS refuses UpdateSecretVersionStage on") as caught:
        lab.backend().write(place, token(2, "two-secret"), expected=first)
    assert not isinstance(caught.value, ConflictError)


def pend(lab: Lab, place: AwsLocation, version: str) -> None:
    """Leave a pending version."""
    lab.client().put_secret_value(
        SecretId=place.secret_id, ClientRequestToken=version, SecretString="{}", VersionStages=["AWSPENDING"]
    )


def test_a_pending_version_of_ours_is_taken_over(lab: Lab) -> None:
    """What a writer left that died between its two calls is in nobody's way."""
    place, first = settled(lab)
    pend(lab, place, f"rotate-{uuid4()}")
    second = lab.backend().write(place, token(2, "two-secret"), expected=first)
    assert labels(lab, place) == {first: ["AWSPREVIOUS"], second: ["AWSCURRENT"]}


@pytest.mark.parametrize("step", ["preflight", "write"])
def test_a_pending_version_of_somebody_else_is_left_alone(lab: Lab, step: str) -> None:
    """Taking its label would break a rotation of AWS's own; it is named, with how to end it."""
    place, first = settled(lab)
    theirs = str(uuid4())
    pend(lab, place, theirs)
    with pytest.raises(RefusedError, match=rf"^somebody else has a version of aws:.* pending: {theirs}$") as caught:
        attempt(lab, place, first, step)
    assert caught.value.hint.endswith(f"--version-stage AWSPENDING --remove-from-version-id {theirs}")
    assert labels(lab, place) == {first: ["AWSCURRENT"], theirs: ["AWSPENDING"]}


def test_a_pending_label_on_the_current_version_is_no_obstacle(lab: Lab) -> None:
    """It is how AWS's own rotation may end (API reference, RotateSecret)."""
    place, first = settled(lab)
    ids = {"SecretId": place.secret_id, "VersionStage": "AWSPENDING"}
    lab.client().update_secret_version_stage(**ids, MoveToVersionId=first)
    assert labels(lab, place) == {first: ["AWSCURRENT", "AWSPENDING"]}
    lab.backend().write(place, token(2, "two-secret"), expected=first)


def attempt(lab: Lab, place: AwsLocation, version: Version, step: str) -> None:
    """Look whether a write may begin, or write."""
    backend = lab.backend()
    if step == "preflight":
        backend.preflight(place)
    else:
        backend.write(place, token(2, "two-secret"), expected=version)


@pytest.mark.parametrize("step", ["preflight", "write"])
def test_a_secret_that_aws_rotates_is_refused(lab: Lab, step: str) -> None:
    """Two that rotate one token would end each other's."""
    place, first = settled(lab)
    lab.client().rotate_secret(SecretId=place.secret_id, ClientRequestToken=str(uuid4()), RotationLambdaARN=FUNCTION)
    with pytest.raises(
        RefusedError, match=r"AWS's own rotation is on for aws:.*: two would rotate one token"
    ) as caught:
        attempt(lab, place, first, step)
    assert caught.value.hint.startswith(f"aws secretsmanager cancel-rotate-secret --secret-id {place.secret_id}")


@pytest.mark.parametrize("step", ["preflight", "write"])
def test_a_secret_that_is_being_deleted_is_refused(lab: Lab, step: str) -> None:
    """It is told when, and how to get it back."""
    place, first = settled(lab)
    lab.client().delete_secret(SecretId=place.secret_id, RecoveryWindowInDays=7)
    with pytest.raises(RefusedError, match=r"is scheduled for deletion at 20\d\d-\d\d-\d\d \d\d:\d\d:\d\dZ$") as caught:
        attempt(lab, place, first, step)
    assert caught.value.hint.startswith(f"aws secretsmanager restore-secret --secret-id {place.secret_id}")


def test_a_secret_that_is_being_deleted_is_not_read_as_absent(lab: Lab) -> None:
    """Or a rotation would issue a first token for consumers that have one."""
    place, _ = settled(lab)
    lab.client().delete_secret(SecretId=place.secret_id)
    with pytest.raises(RefusedError, match="is scheduled for deletion at"):
        lab.backend().read(place)


@pytest.mark.parametrize("action", ["PutSecretValue", MOVE])
def test_a_secret_that_is_deleted_during_a_write_is_told_with_the_way_back(
    lab: Lab, aws: SimulatedAws, action: str
) -> None:
    """AWS says only that the request is invalid; a restored secret is as it was before."""
    place, first = settled(lab)
    aws.intercept = once(action, lambda: lab.client().delete_secret(SecretId=place.secret_id) and None)
    with pytest.raises(RefusedError, match="is scheduled for deletion at") as caught:
        attempt(lab, place, first, "write")
    assert caught.value.hint.startswith(f"aws secretsmanager restore-secret --secret-id {place.secret_id}")
    lab.client().restore_secret(SecretId=place.secret_id)
    assert "AWSCURRENT" in labels(lab, place)[first]
    attempt(lab, place, first, "write")


def test_a_secret_that_came_back_is_written_again(lab: Lab) -> None:
    """Restoring it, as the hint says, is enough."""
    place, first = settled(lab)
    lab.client().delete_secret(SecretId=place.secret_id)
    lab.client().restore_secret(SecretId=place.secret_id)
    attempt(lab, place, first, "preflight")
    attempt(lab, place, first, "write")


def test_a_secret_that_is_gone_is_a_conflict(lab: Lab) -> None:
    """Writing on a version of it does not create it anew."""
    place, first = settled(lab)
    lab.client().delete_secret(SecretId=place.secret_id, ForceDeleteWithoutRecovery=True)
    with pytest.raises(ConflictError, match=r"was deleted by somebody else$"):
        attempt(lab, place, first, "write")


def test_a_secret_of_a_service_is_refused(lab: Lab) -> None:
    """RDS and others manage secrets that nobody else may write."""
    backend = lab.backend()
    place = lab.place(backend)
    owner = [{"Key": "aws:secretsmanager:owningService", "Value": "rds"}]
    lab.client().create_secret(Name=place.name, SecretString="{}", Tags=owner)
    with pytest.raises(RefusedError, match=r"belongs to the service rds, which alone may write it$"):
        backend.preflight(place)


def test_a_replica_is_refused(lab: Lab) -> None:
    """It is written where it is copied from."""
    place, _ = settled(lab)
    lab.client().replicate_secret_to_regions(SecretId=place.secret_id, AddReplicaRegions=[{"Region": "eu-west-3"}])
    elsewhere = lab.backend(region="eu-west-3")
    with pytest.raises(RefusedError, match=r"^aws:eu-west-3/.* is a replica of the secret in eu-west-1$"):
        elsewhere.preflight(elsewhere.locate({"secret_id": place.name})[0])


def test_a_new_secret_has_key_tags_and_description(lab: Lab) -> None:
    """A destination's own description counts before that of the backend."""
    backend = lab.backend(kms_key_id="alias/tokens", tags={"team": "infra"}, description="PVE tokens")
    for wanted, more in (("PVE tokens", {}), ("of ci", {"description": "of ci"})):
        place = backend.locate({**lab.fresh(), **more})[0]
        backend.write(place, token(1, "one-secret"), expected=None)
        seen = lab.client().describe_secret(SecretId=place.secret_id)
        assert (seen["KmsKeyId"], seen["Description"]) == ("alias/tokens", wanted)
        assert seen["Tags"] == [{"Key": "team", "Value": "infra"}]


def test_a_write_changes_neither_key_nor_tags_nor_description(lab: Lab) -> None:
    """They belong to whoever set them; only a new secret is given ours."""
    place, first = settled(lab)
    lab.backend(tags={"team": "infra"}, description="ours").write(place, token(2, "two-secret"), expected=first)
    seen: Mapping[str, Any] = lab.client().describe_secret(SecretId=place.secret_id)
    assert not {"Description", "KmsKeyId"} & seen.keys()
    assert not seen.get("Tags")


@pytest.mark.parametrize("step", ["preflight", "write"])
def test_nothing_is_created_under_an_arn(lab: Lab, step: str) -> None:
    """An ARN is given by AWS; the message tells to give the name."""
    backend = lab.backend()
    arn = f"arn:aws:secretsmanager:{REGION}:123456789012:secret:{lab.prefix}/gone-AbCdEf"
    place = backend.locate({"secret_id": arn})[0]
    with pytest.raises(RefusedError, match=r"does not exist, and nothing can be created under an ARN$") as caught:
        backend.preflight(place) if step == "preflight" else backend.write(place, token(1, "x" * 9), expected=None)
    assert caught.value.hint == "give its name instead, and it is created"


def test_an_arn_and_a_name_are_one_place(lab: Lab) -> None:
    """What was written under the one is read under the other, and both have one label."""
    place, first = settled(lab)
    backend = lab.backend()
    arn = lab.client().describe_secret(SecretId=place.secret_id)["ARN"]
    location, label = backend.locate({"secret_id": arn})
    assert label == place.label
    second = backend.write(location, token(2, "two-secret"), expected=first)
    stored = backend.read(place)
    assert stored
    assert stored.version == second
