"""What a failed call means: from AWS's error codes and a client's complaints to our errors. No I/O.

Texts of AWS are quoted only as far as they name who may not do what; all others are told in our words, because nobody
knows what an answer repeats of a request.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from http import HTTPStatus

from rotator.errors import (
    NotFoundError,
    OutcomeUnknownError,
    RefusedError,
    RotatorError,
    UnauthenticatedError,
    UnavailableError,
)


class Fate(Enum):
    """How far a request came."""

    UNSENT = auto()
    """It never left, so nothing happened."""
    ANSWERED = auto()
    """AWS answered with an error."""
    UNANSWERED = auto()
    """It was sent, or may have been, and no answer came."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A call that came to nothing. ``code`` is AWS's, or the name of what the client raised."""

    operation: str
    fate: Fate
    code: str
    message: str = ""
    """AWS's sentence, never shown as a whole."""
    status: int = 0
    is_change: bool = False

    def says(self, *codes: str) -> bool:
        """Whether AWS answered with one of these codes."""
        return self.fate is Fate.ANSWERED and self.code in codes

    def error(self, place: str) -> RotatorError:
        """Make the error that leaves the backend."""
        if self.fate is Fate.UNSENT:
            return _unsent(self)
        if self.fate is Fate.UNANSWERED or self.status >= HTTPStatus.INTERNAL_SERVER_ERROR or self.code in _OURS_DOWN:
            return _unanswered(self, place)
        if self.operation.startswith("AssumeRole"):
            return _role(self)
        return _MEANINGS.get(self.code, _other)(self, place)


_OURS_DOWN = frozenset({"InternalServiceError", "InternalFailure", "ServiceUnavailable", "ServiceUnavailableException"})

_DENIED = re.compile(
    r"User: (?P<who>[\w:+=,.@/-]+) is not authorized to perform: (?P<action>[\w-]+:\w+)"
    r"(?: on resource: (?P<resource>[\w:+=,.@/*?-]+))?"
)


def _unanswered(failure: Failure, place: str) -> RotatorError:
    if failure.is_change:
        return OutcomeUnknownError(
            f"AWS did not say whether {failure.operation} on {place} was done ({failure.code})",
            hint="look at its versions: aws secretsmanager list-secret-version-ids",
        )
    return UnavailableError(f"AWS did not answer {failure.operation} on {place} ({failure.code})")


_LOGIN = "run `aws sts get-caller-identity` as the same user to see what AWS finds"
_UNSENT: Mapping[str, tuple[type[RotatorError], str, str]] = {
    "NoCredentialsError": (
        UnauthenticatedError,
        "no AWS credentials were found",
        "set AWS_PROFILE or AWS_ACCESS_KEY_ID, or run where a role is attached",
    ),
    "PartialCredentialsError": (UnauthenticatedError, "the AWS credentials are not complete", _LOGIN),
    "UnauthorizedSSOTokenError": (UnauthenticatedError, "the AWS login has expired", "aws sso login"),
    "SSOTokenLoadError": (UnauthenticatedError, "there is no AWS login", "aws sso login"),
    "TokenRetrievalError": (UnauthenticatedError, "the AWS login cannot be renewed", "aws sso login"),
    "ParamValidationError": (
        RefusedError,
        "AWS is not asked for something of this form",
        "check secret_id, kms_key_id, description and tags",
    ),
    "ConnectTimeoutError": (
        UnavailableError,
        "AWS cannot be reached: no connection in time",
        "is there a way out, or a VPC endpoint for Secrets Manager?",
    ),
    "EndpointConnectionError": (
        UnavailableError,
        "AWS cannot be reached: the connection is refused, or the name unknown",
        "check region and endpoint_url; is there a way out, or a VPC endpoint for Secrets Manager?",
    ),
    "ProxyConnectionError": (UnavailableError, "AWS cannot be reached through the proxy", "check HTTPS_PROXY"),
    "UnusableLogin": (
        UnauthenticatedError,
        "what AWS's configuration names for the login cannot be used",
        "credential_process must name a program that can be run and prints what AWS says, web_identity_token_file a "
        "file that is there; " + _LOGIN,
    ),
    "UnusableConfiguration": (
        RefusedError,
        "AWS's configuration cannot be used",
        "is a variable of AWS's (AWS_ENDPOINT_URL, ...), or a line of its files, no address or number? " + _LOGIN,
    ),
    "UnsafeEndpoint": (
        RefusedError,
        "AWS's configuration leads to an address that is not encrypted",
        "AWS_ENDPOINT_URL and endpoint_url must begin with https://",
    ),
}


def _unsent(failure: Failure) -> RotatorError:
    kind, message, hint = _UNSENT.get(
        failure.code, (UnauthenticatedError, f"AWS cannot be asked: {failure.code}", _LOGIN)
    )
    return kind(message, hint=hint)


def _role(failure: Failure) -> RotatorError:
    if failure.code in _THROTTLED:
        return UnavailableError("AWS slows down the taking on of roles", hint="run again later")
    if failure.code in _EXPIRED or failure.code in _UNKNOWN:
        return _MEANINGS[failure.code](failure, "the role")
    return RefusedError(
        f"the role cannot be taken on: {failure.code}",
        hint="its trust policy must name the caller, with this external id if it asks for one; the caller needs "
        "sts:AssumeRole on it",
    )


def _throttled(failure: Failure, place: str) -> RotatorError:
    return UnavailableError(f"AWS slows down {failure.operation} on {place}", hint="run again later")


def _denied(failure: Failure, place: str) -> RotatorError:
    if "KMS" in failure.message:
        return _key_denied(failure, place)
    found = _DENIED.search(failure.message)
    action = found["action"] if found else f"secretsmanager:{failure.operation}"
    who = f" to {found['who']}" if found else ""
    resource = (found["resource"] if found else "") or place
    if "explicit deny" in failure.message:
        hint = f"a policy denies {action} on {resource} explicitly; that of the secret, of the VPC endpoint, or its own"
    else:
        hint = f"its IAM policy lacks {action} on {resource}"
    return RefusedError(f"AWS does not allow {action} on {place}{who}", hint=hint)


def _key_denied(_failure: Failure, place: str) -> RotatorError:
    return RefusedError(
        f"AWS KMS does not let the key of {place} be used",
        hint="kms:Decrypt and kms:GenerateDataKey on that key are missing, in the caller's policy or in the key's",
    )


def _key_broken(failure: Failure, place: str) -> RotatorError:
    what = "decrypted" if failure.code == "DecryptionFailure" else "encrypted"
    return RefusedError(
        f"{place} cannot be {what}: its KMS key does not work",
        hint="is the key disabled, or being deleted? aws kms describe-key",
    )


def _expired(_failure: Failure, _place: str) -> RotatorError:
    return UnauthenticatedError("the AWS credentials have expired", hint="renew them, or run where a role is attached")


def _unknown(_failure: Failure, _place: str) -> RotatorError:
    return UnauthenticatedError("AWS does not accept the credentials", hint=_LOGIN)


def _unsigned(_failure: Failure, _place: str) -> RotatorError:
    hint = "the secret access key is another one, or this machine's clock is more than 5 minutes off"
    return UnauthenticatedError("AWS does not accept the signature", hint=hint)


def _missing(_failure: Failure, place: str) -> RotatorError:
    return NotFoundError(f"{place} does not exist", hint="check the name, the region and the account")


def _full(_failure: Failure, place: str) -> RotatorError:
    return RefusedError(
        f"{place} has reached a quota of Secrets Manager",
        hint="versions of the last 24 hours are all kept: write no more often than every 10 minutes",
    )


def _other(failure: Failure, place: str) -> RotatorError:
    return RefusedError(f"AWS refuses {failure.operation} on {place}: {failure.code}", hint="CloudTrail has its reason")


_THROTTLED = (
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestLimitExceeded",
    "TooManyRequestsException",
    "SlowDown",
)
_EXPIRED = ("ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired")
_UNKNOWN = (
    "AuthFailure",
    "IncompleteSignature",
    "IncompleteSignatureException",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "UnrecognizedClientException",
)

_MEANINGS: Mapping[str, Callable[[Failure, str], RotatorError]] = {
    **dict.fromkeys(_THROTTLED, _throttled),
    **dict.fromkeys(_EXPIRED, _expired),
    **dict.fromkeys(_UNKNOWN, _unknown),
    **dict.fromkeys(("InvalidSignatureException", "SignatureDoesNotMatch"), _unsigned),
    **dict.fromkeys(("AccessDenied", "AccessDeniedException", "UnauthorizedOperation"), _denied),
    **dict.fromkeys(("DecryptionFailure", "EncryptionFailure"), _key_broken),
    "KMSAccessDeniedException": _key_denied,
    "LimitExceededException": _full,
    "ResourceNotFoundException": _missing,
}
