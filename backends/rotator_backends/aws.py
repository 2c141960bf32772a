"""Records in AWS Secrets Manager: one secret for each, its value an object of JSON, with true compare-and-set.

A write puts a version beside the current one and then moves ``AWSCURRENT`` to it, naming the version that was observed;
``AWSPREVIOUS`` then holds the predecessor, during the overlap and beyond. The calls are in ``aws_client``, the versions
in ``aws_versions``, the text in ``aws_records``, what failures mean in ``aws_errors``. boto3 is imported by
``configure``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from rotator.backend import Traits
from rotator.errors import ConfigError, ConflictError, RefusedError, UnavailableError
from rotator.model import Secret, Stored, Version
from rotator_backends.aws_settings import AwsLocation, BackendSettings, backend_settings, located

if TYPE_CHECKING:
    from rotator_backends.aws_client import AwsClient
    from rotator_backends.aws_versions import StagedSecret


class AwsBackend:
    """The store of type ``aws``."""

    traits: ClassVar[Traits] = Traits(compare_and_set=True)

    def __init__(self, settings: BackendSettings, client: AwsClient) -> None:
        self._settings = settings
        self._client = client

    @classmethod
    def configure(cls, settings: Mapping[str, Any]) -> AwsBackend:
        """Make a backend of the settings and of AWS's own configuration.

        Raises: ``ConfigError``, a line for each fault; also when boto3 is not installed.
        """
        found = backend_settings(settings)
        try:
            from rotator_backends.aws_client import AwsClient  # noqa: PLC0415 - boto3 only where it is configured
        except ModuleNotFoundError as error:
            missing = error.name
        else:
            return cls(found, AwsClient(found))
        raise ConfigError(
            f"the backend aws needs {missing}, which is not installed",
            hint="pip install 'proxmox-token-rotator[aws]'",
        )

    def locate(self, settings: Mapping[str, Any]) -> tuple[AwsLocation, str]:
        """Make a location of ``secret_id`` and ``description``.

        Raises: ``ConfigError``, a line for each fault.
        """
        location = located(settings, region=self._client.region, owner=self._settings.owner)
        return location, location.label

    def read(self, location: AwsLocation) -> Stored | None:
        """Read the current version; None for a secret without a value, too.

        Raises: ``UnavailableError``, ``RefusedError``.
        """
        return self.staged(location).stored()

    def write(self, location: AwsLocation, fields: Mapping[str, Secret], *, expected: Version | None) -> Version:
        """Put a new version and make it current, if the expected one still is.

        Repeat: a ``ConflictError``.
        Crash: the old version is current or the new one; a pending version that may be left does no harm.
        Raises: ``ConflictError``; ``OutcomeUnknownError``; ``UnavailableError``; ``RefusedError``.
        """
        from rotator_backends.aws_versions import new_version  # noqa: PLC0415 - with boto3

        version = Version(new_version())
        secret = self.staged(location)
        if not self._is_ready(secret):
            if expected is not None:
                raise ConflictError(f"{location.label} was deleted by somebody else")
            _check_creatable(location)
            if secret.create(version, fields, self._born(location)):
                return version
            self._is_ready(secret)
        before = secret.held()
        if (before.version if before else None) != expected:
            raise ConflictError(f"{location.label} was {'made' if expected is None else 'changed'} by somebody else")
        if not secret.put(version, fields, over=before):
            _promote(secret, version, expected)
        return version

    def preflight(self, location: AwsLocation) -> None:
        """Return when a write may begin now: not being deleted, in nobody else's charge, readable, an object of JSON.

        What only a write proves, that it is allowed, is not proved.

        Raises: ``RefusedError``; ``UnavailableError``.
        """
        secret = self.staged(location)
        if self._is_ready(secret):
            secret.stored()
        else:
            _check_creatable(location)

    def close(self) -> None:
        """Let go of connections. Repeat: nothing happens."""
        self._client.close()

    def staged(self, location: AwsLocation) -> StagedSecret:
        """Return the secret with its versions, for who puts and promotes them in steps of their own."""
        from rotator_backends.aws_versions import StagedSecret  # noqa: PLC0415 - with boto3

        return StagedSecret(self._client, location)

    def _is_ready(self, secret: StagedSecret) -> bool:
        """Say whether the secret exists; refuse one that must not be written."""
        seen = secret.describe()
        if seen is not None:
            secret.check_writable(seen, self._client.region)
        return seen is not None

    def _born(self, location: AwsLocation) -> dict[str, object]:
        """Return what a new secret is given beside its value."""
        settings = self._settings
        description = location.description or settings.description
        born: dict[str, object] = {"KmsKeyId": settings.kms_key_id} if settings.kms_key_id else {}
        born |= {"Description": description} if description else {}
        tags = [{"Key": key, "Value": value} for key, value in settings.tags.items()]
        return born | ({"Tags": tags} if tags else {})


def _promote(secret: StagedSecret, version: Version, expected: Version | None) -> None:
    """Make the version current; one that is refused is never tried again, and nobody is to find it pending."""
    try:
        secret.promote(version, expected=expected)
    except ConflictError:
        raise
    except (RefusedError, UnavailableError):
        secret.unstage(version)
        raise


def _check_creatable(location: AwsLocation) -> None:
    if not location.can_be_created:
        raise RefusedError(
            f"{location.label} does not exist, and nothing can be created under an ARN",
            hint="give its name instead, and it is created",
        )
