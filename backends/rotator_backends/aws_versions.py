"""One secret and its versions: what AWS knows of it, a new version put beside the current one, the label moved to it.

Moving ``AWSCURRENT`` names the version that it is taken from, and fails when that no longer has it (API reference,
``UpdateSecretVersionStage``): that is the compare-and-set. A version that lost is never current and keeps no label of
ours.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from rotator.errors import ConflictError, OutcomeUnknownError, RefusedError
from rotator.model import Secret, Stored, Version
from rotator_backends.aws_client import AwsClient, Reply
from rotator_backends.aws_errors import Failure
from rotator_backends.aws_records import changed, fields_in
from rotator_backends.aws_settings import AwsLocation

CURRENT, PENDING = "AWSCURRENT", "AWSPENDING"
_OURS = "rotate-"
_LOST = ("InvalidParameterException", "InvalidRequestException", "ResourceNotFoundException")


def new_version() -> str:
    """Draw the id of a version that shows who made it."""
    return f"{_OURS}{uuid.uuid4()}"


@dataclass(frozen=True, slots=True)
class Description:
    """What AWS tells of a secret beside its value."""

    name: str
    arn: str
    stages: Mapping[str, frozenset[str]]
    """Labels by version."""
    rotates: bool = False
    """AWS's own rotation is on."""
    deleted: datetime | None = None
    """When the secret was, or will be, deleted."""
    managed_by: str = ""
    primary_region: str = ""

    def holder(self, label: str) -> str | None:
        """Return the version that has a label."""
        return next((version for version, labels in self.stages.items() if label in labels), None)


@dataclass(frozen=True, slots=True)
class Held:
    """The text of one version."""

    text: Secret = field(repr=False)
    version: Version


class StagedSecret:
    """One secret."""

    def __init__(self, client: AwsClient, location: AwsLocation) -> None:
        self._client = client
        self._location = location
        self._place = location.label
        self._ids = {"SecretId": location.secret_id}

    def describe(self) -> Description | None:
        """Tell what AWS knows, None where there is no such secret. Raises: ``UnavailableError``, ``RefusedError``."""
        reply = self._client.read("DescribeSecret", **self._ids)
        if isinstance(reply, Failure):
            if reply.says("ResourceNotFoundException"):
                return None
            raise reply.error(self._place)
        return _description(reply)

    def stored(self, version: str | None = None) -> Stored | None:
        """Read the fields of a version, of the current one unless told otherwise; None where it has no value.

        Raises: ``UnavailableError``; ``RefusedError``, also for what is no object of JSON.
        """
        held = self.held(version)
        return Stored(fields_in(held.text.reveal(), self._place), held.version) if held else None

    def held(self, version: str | None = None) -> Held | None:
        """Read the text of a version, of the current one unless told otherwise; None where it has no value."""
        which = {"VersionId": version} if version else {"VersionStage": CURRENT}
        reply = self._client.read("GetSecretValue", **self._ids, **which)
        if not isinstance(reply, Failure):
            return _held(reply, self._place)
        if reply.says("ResourceNotFoundException"):
            return None
        if reply.says("InvalidRequestException"):
            self._check_alive()
        raise reply.error(self._place)

    def create(self, version: str, fields: Mapping[str, Secret], more: Mapping[str, object]) -> bool:
        """Make the secret with its first version; False when somebody was faster.

        Crash: all or nothing. Raises: ``OutcomeUnknownError``; ``UnavailableError``; ``RefusedError``.
        """
        text = changed("", fields, self._place)
        reply = self._client.change(
            "CreateSecret", Name=self._location.name, ClientRequestToken=version, SecretString=text, **more
        )
        if isinstance(reply, Failure):
            if reply.says("ResourceExistsException"):
                return False
            raise reply.error(self._place)
        return True

    def put(
        self,
        version: str,
        fields: Mapping[str, Secret],
        *,
        over: Held | None,
        rotation_token: Secret | None = None,
    ) -> bool:
        """Put a version beside the current one, pending: these fields over another version's text.

        Returns whether it became current by itself, which the first version of a secret does.
        Repeat: nothing changes. Crash: a pending version that nobody reads.
        Raises: ``ConflictError`` when the version has another value; ``OutcomeUnknownError``; ``UnavailableError``;
        ``RefusedError``.
        """
        text = changed(over.text.reveal() if over else "", fields, self._place)
        proof = {"RotationToken": rotation_token.reveal()} if rotation_token else {}
        wish = {"ClientRequestToken": version, "SecretString": text, "VersionStages": [PENDING], **proof}
        reply = self._client.change("PutSecretValue", **self._ids, **wish)
        if isinstance(reply, Failure):
            if reply.says("ResourceExistsException"):
                raise ConflictError(f"version {version} of {self._place} has another value already")
            if reply.says("InvalidRequestException"):
                self._check_alive()
            raise reply.error(self._place)
        return CURRENT in reply.get("VersionStages", ())

    def promote(self, version: str, *, expected: str | None) -> None:
        """Make a version current, if the expected one still is (None: if there is none).

        Who has lost has no pending label any more; who was refused keeps it, and may repeat it.

        Repeat: nothing changes while it still is. Crash: the one or the other is current.
        Raises: ``ConflictError``; ``OutcomeUnknownError``; ``UnavailableError``; ``RefusedError``.
        """
        origin = {"RemoveFromVersionId": expected} if expected else {}
        wish = {"VersionStage": CURRENT, "MoveToVersionId": version, **origin}
        reply = self._client.change("UpdateSecretVersionStage", **self._ids, **wish)
        if not isinstance(reply, Failure):
            return
        error = reply.error(self._place)
        if isinstance(error, OutcomeUnknownError):
            raise error
        if reply.says(*_LOST):
            now = self.describe()
            current = now.holder(CURRENT) if now else None
            if current == version:
                return
            if now and now.deleted:
                raise self._dead(now)
            if current != expected:
                self.unstage(version)
                raise ConflictError(f"{self._place} was changed by somebody else")
        raise error

    def unstage(self, version: str) -> None:
        """Take the pending label off a version, if it has it; a failure leaves a label that does no harm."""
        self._client.change("UpdateSecretVersionStage", **self._ids, VersionStage=PENDING, RemoveFromVersionId=version)

    def check_writable(self, seen: Description, region: str) -> None:
        """Refuse what somebody else is in charge of, or is about to delete. Raises: ``RefusedError``."""
        aws = "aws secretsmanager"
        which = f"--secret-id {self._location.secret_id}"
        if seen.deleted:
            raise self._dead(seen)
        if seen.managed_by:
            raise RefusedError(f"{self._place} belongs to the service {seen.managed_by}, which alone may write it")
        if seen.primary_region and seen.primary_region != region:
            raise RefusedError(
                f"{self._place} is a replica of the secret in {seen.primary_region}",
                hint="let the destination name the one that it is copied from",
            )
        if seen.rotates:
            raise RefusedError(
                f"AWS's own rotation is on for {self._place}: two would rotate one token",
                hint=f"{aws} cancel-rotate-secret {which}; or leave it to AWS and take this destination away",
            )
        pending = seen.holder(PENDING)
        if pending and pending != seen.holder(CURRENT) and not pending.startswith(_OURS):
            raise RefusedError(
                f"somebody else has a version of {self._place} pending: {pending}",
                hint=f"when nobody is at it any more: {aws} update-secret-version-stage {which} "
                f"--version-stage {PENDING} --remove-from-version-id {pending}",
            )

    def _check_alive(self) -> None:
        seen = self.describe()
        if seen and seen.deleted:
            raise self._dead(seen)

    def _dead(self, seen: Description) -> RefusedError:
        when = f" at {seen.deleted:%Y-%m-%d %H:%M:%SZ}" if seen.deleted else ""
        return RefusedError(
            f"{self._place} is scheduled for deletion{when}",
            hint=f"aws secretsmanager restore-secret --secret-id {self._location.secret_id}, or name another secret",
        )


def _description(reply: Reply) -> Description:
    versions = reply.get("VersionIdsToStages") or {}
    return Description(
        name=reply["Name"],
        arn=reply["ARN"],
        stages={version: frozenset(labels) for version, labels in versions.items()},
        rotates=bool(reply.get("RotationEnabled")),
        deleted=reply.get("DeletedDate"),
        managed_by=reply.get("OwningService") or "",
        primary_region=reply.get("PrimaryRegion") or "",
    )


def _held(reply: Reply, place: str) -> Held:
    text = reply.get("SecretString")
    if text is None:
        raise RefusedError(
            f"{place} is left as it is: it is binary", hint="a record is key/value pairs; name another secret"
        )
    return Held(Secret(text), Version(reply["VersionId"]))
