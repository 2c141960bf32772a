"""Calls to Secrets Manager; the only module that knows boto3 and botocore.

Reads are repeated by botocore where they are slowed down or get lost. Changes go out exactly once: what became of one
is told, and the rotation decides. (A repeat of PutSecretValue or CreateSecret would be harmless, their
ClientRequestToken sees to that; one of UpdateSecretVersionStage would lose against its own first effect.)
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import boto3
import botocore
import botocore.session
from botocore import exceptions as theirs
from botocore import xform_name
from botocore.awsrequest import (
    AWSHTTPConnection,
    AWSHTTPConnectionPool,
    AWSHTTPSConnection,
    AWSHTTPSConnectionPool,
)
from botocore.config import Config
from botocore.credentials import (
    AssumeRoleCredentialFetcher,
    CredentialProvider,
    CredentialResolver,
    Credentials,
    DeferredRefreshableCredentials,
)
from botocore.loaders import create_loader
from botocore.parsers import ResponseParserError

from rotator.errors import ConfigError
from rotator_backends.aws_errors import Failure, Fate
from rotator_backends.aws_quiet import mute, shut
from rotator_backends.aws_settings import AssumeRole, BackendSettings, is_loopback, is_safe

shut(boto3, botocore)
mute(AWSHTTPConnection, AWSHTTPSConnection)


class _Listening:
    """Hangs up after what comes before an answer (1xx): the answer itself would be that of the next question."""

    def getresponse(self) -> Any:  # noqa: ANN401 - as urllib3 has it
        response = super().getresponse()  # type: ignore[misc]
        if response.status < HTTPStatus.OK:
            self.close()  # type: ignore[attr-defined]
        return response


class _PlainConnection(_Listening, AWSHTTPConnection):  # type: ignore[misc] # as botocore's own is
    pass


class _SecureConnection(_Listening, AWSHTTPSConnection):  # type: ignore[misc] # as botocore's own is
    pass


AWSHTTPConnectionPool.ConnectionCls = _PlainConnection
AWSHTTPSConnectionPool.ConnectionCls = _SecureConnection

FOREIGN = (theirs.BotoCoreError, theirs.ClientError, ResponseParserError)
"""Everything that a call can raise of botocore's own."""
MISSHAPEN = (AttributeError, KeyError, RuntimeError, TypeError, ValueError)
"""What its parsers raise of an answer that is none of AWS's, such as a proxy's page that is not UTF-8."""

UNSENT = (
    theirs.ConfigNotFound,
    theirs.ConfigParseError,
    theirs.ConnectTimeoutError,
    theirs.CredentialRetrievalError,
    theirs.EndpointConnectionError,
    theirs.InfiniteLoopConfigError,
    theirs.InvalidConfigError,
    theirs.MetadataRetrievalError,
    theirs.NoAuthTokenError,
    theirs.NoCredentialsError,
    theirs.NoRegionError,
    theirs.ParamValidationError,
    theirs.PartialCredentialsError,
    theirs.ProfileNotFound,
    theirs.ProxyConnectionError,
    theirs.RefreshWithMFAUnsupportedError,
    theirs.SSOError,
    theirs.TokenRetrievalError,
    theirs.UnknownCredentialError,
)
"""What is raised before a request leaves; of anything else it is not known, a TLS error included."""

Reply = Mapping[str, Any]
_TOLD = {"DescribeSecret": ("Name",), "GetSecretValue": ("VersionId",)}
"""What answers have beside the ARN."""
_MODELS = create_loader()
"""Reads the descriptions of services, once for all sessions: a tenth of a second each."""
_CHANGE = Config(retries={"mode": "standard", "total_max_attempts": 1})


class AwsClient:
    """Secrets Manager in one region, as one identity. Nothing is contacted before the first call.

    Used from several threads: botocore's clients may be, making them may not.
    """

    def __init__(self, settings: BackendSettings) -> None:
        self._settings = settings
        self._session = _session(settings)
        self.region = _region(settings, self._session)
        self._making = threading.Lock()
        self._clients: dict[bool, Any] = {}

    def read(self, operation: str, **wish: Any) -> Reply | Failure:  # noqa: ANN401 - parameters of any operation
        """Ask for something."""
        return self._called(operation, wish, is_change=False)

    def change(self, operation: str, **wish: Any) -> Reply | Failure:  # noqa: ANN401 - parameters of any operation
        """Change something, once."""
        return self._called(operation, wish, is_change=True)

    def close(self) -> None:
        """Let go of connections. Repeat: nothing happens."""
        with self._making:
            clients, self._clients = self._clients, {}
        for client in clients.values():
            client.close()

    def _called(self, operation: str, wish: Mapping[str, Any], *, is_change: bool) -> Reply | Failure:
        try:
            client = self._client(is_change=is_change)
        except FOREIGN as error:
            return failure_of(error, operation, is_change=is_change)
        except (OSError, ValueError) as error:  # not all that botocore finds there it tells in its own words
            return _unusable(error, operation)
        if not is_safe(client.meta.endpoint_url):
            return Failure(operation, Fate.UNSENT, "UnsafeEndpoint")
        return _asked(client, operation, wish, is_change=is_change)

    def _client(self, *, is_change: bool) -> Any:  # noqa: ANN401 - botocore makes its classes at run time
        with self._making:
            if is_change not in self._clients:
                self._clients[is_change] = self._made(is_change=is_change)
            return self._clients[is_change]

    def _made(self, *, is_change: bool) -> Any:  # noqa: ANN401 - botocore makes its classes at run time
        settings = self._settings
        config = Config(
            connect_timeout=settings.connect_timeout.total_seconds(),
            read_timeout=settings.read_timeout.total_seconds(),
            retries={"mode": "standard", "total_max_attempts": settings.read_attempts},
            proxies={} if is_loopback(settings.endpoint_url or "") else None,
        )
        session = boto3.Session(botocore_session=self._session, region_name=self.region)
        merged = config.merge(_CHANGE) if is_change else config
        return session.client("secretsmanager", endpoint_url=settings.endpoint_url, config=merged)


def _asked(client: Any, operation: str, wish: Mapping[str, Any], *, is_change: bool) -> Reply | Failure:  # noqa: ANN401 - botocore makes its classes at run time
    try:
        reply: Reply = getattr(client, xform_name(operation))(**wish)
    except FOREIGN as error:
        return failure_of(error, operation, is_change=is_change)
    except OSError as error:  # of a file or a program of the login; those of sending botocore makes its own
        return _unusable(error, operation)
    except MISSHAPEN:
        reply = {}
    if _is_whole(operation, reply):
        return reply
    return Failure(operation, Fate.UNANSWERED, "not an answer of AWS", is_change=is_change)


def _is_whole(operation: str, reply: Reply) -> bool:
    """Say whether AWS answered: botocore takes what is not JSON for an empty answer, and any value for a text."""
    texts = [reply.get(key) for key in ("ARN", *_TOLD.get(operation, ()))]
    return all(isinstance(text, str) and text for text in texts) and isinstance(reply.get("SecretString", ""), str)


def _unusable(error: Exception, operation: str) -> Failure:
    """Tell of AWS's own configuration, which led to nothing that could be asked."""
    of_login = isinstance(error, OSError | json.JSONDecodeError)
    return Failure(operation, Fate.UNSENT, "UnusableLogin" if of_login else "UnusableConfiguration")


def failure_of(error: Exception, operation: str, *, is_change: bool) -> Failure:
    """Tell what was raised in our terms."""
    if isinstance(error, theirs.ClientError):
        told = error.response.get("Error", {})
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        asked = error.operation_name  # AssumeRole, when a role is taken on for this call
        text = str(told.get("Message", ""))
        return Failure(asked, Fate.ANSWERED, str(told.get("Code", "")), text, status, is_change and asked == operation)
    fate = Fate.UNSENT if isinstance(error, UNSENT) else Fate.UNANSWERED
    return Failure(operation, fate, type(error).__name__, is_change=is_change)


def _session(settings: BackendSettings) -> botocore.session.Session:
    """Make a session on AWS's own configuration and, where a role is set, one that takes it on when it is needed."""
    fault = ""
    source = _plain_session(settings)
    try:
        source.get_scoped_config()
    except theirs.ProfileNotFound:
        fault = f"profile: AWS's configuration has no profile '{settings.profile or source.profile}'"
    except theirs.BotoCoreError as error:
        fault = f"AWS's configuration cannot be read: {type(error).__name__}"
    if fault:
        raise ConfigError(fault, hint="see what there is: aws configure list-profiles")
    if settings.assume_role is None:
        return source
    taker = _plain_session(settings)
    taker.register_component("credential_provider", CredentialResolver([_Role(source, settings.assume_role, settings)]))
    return taker


def _plain_session(settings: BackendSettings) -> botocore.session.Session:
    session = botocore.session.Session(profile=settings.profile)
    session.register_component("data_loader", _MODELS)
    session.set_config_variable("defaults_mode", "standard")  # "auto" would ask the instance for its region
    return session


class _Role(CredentialProvider):
    """Credentials of a role, taken on with those of another session, anew when they run out."""

    METHOD = "rotate-assume-role"
    CANONICAL_NAME = None

    def __init__(self, source: botocore.session.Session, role: AssumeRole, settings: BackendSettings) -> None:
        super().__init__()
        self._source = source
        self._role = role
        self._region = settings.region

    def load(self) -> Credentials | None:
        credentials = self._source.get_credentials()
        if credentials is None:
            return None
        extra = {"RoleSessionName": self._role.session_name}
        if self._role.external_id:
            extra["ExternalId"] = self._role.external_id
        fetcher = AssumeRoleCredentialFetcher(self._sts, credentials, self._role.role_arn, extra_args=extra)
        return DeferredRefreshableCredentials(fetcher.fetch_credentials, self.METHOD)

    def _sts(self, service: str, **credentials: Any) -> Any:  # noqa: ANN401 - as botocore calls it
        client = self._source.create_client(service, region_name=self._region, **credentials)
        if not is_safe(client.meta.endpoint_url):
            raise theirs.EndpointConnectionError(endpoint_url="of STS, which is not encrypted")
        return client


def _region(settings: BackendSettings, session: botocore.session.Session) -> str:
    region = settings.region or session.get_config_variable("region")
    if not region:
        raise ConfigError(
            "region: is set neither here nor in AWS's configuration", hint="write it here, such as eu-central-1"
        )
    return str(region)
