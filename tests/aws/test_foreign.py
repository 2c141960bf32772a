"""Every exception that botocore can raise has its translation, before and after sending."""

from __future__ import annotations

import botocore.exceptions
import pytest
from botocore import parsers

from rotator.errors import OutcomeUnknownError, RotatorError, UnavailableError
from rotator_backends.aws_client import FOREIGN, UNSENT, failure_of
from rotator_backends.aws_errors import Fate

PLACE = "aws:eu-west-1/ci"
NO_CALL = {"MissingServiceIdError", "NoInitialResponseError", "UndefinedModelAttributeError"}
"""Raised where a service's model is wrong, which none of a released botocore is, or by event streams."""

FOUND = {
    name: kind
    for module in (botocore.exceptions, parsers)
    for name, kind in vars(module).items()
    if isinstance(kind, type)
    and issubclass(kind, Exception)
    and not issubclass(kind, Warning)
    and kind.__module__.startswith("botocore")
}
RAISED = sorted(FOUND.keys() - NO_CALL)
ON_THE_WAY = {
    "ChecksumError",
    "ConnectionClosedError",
    "ConnectionError",
    "HTTPClientError",
    "IncompleteReadError",
    "ReadTimeoutError",
    "ResponseParserError",
    "ResponseStreamingError",
    "SSLError",
}
"""What can be raised when the request has left."""


def made(kind: type[Exception]) -> Exception:
    """Make an exception of any kind, without its constructor."""
    error = kind.__new__(kind)
    if isinstance(error, botocore.exceptions.ClientError):
        error.response, error.operation_name = {"Error": {"Code": "Strange", "Message": ""}}, "PutSecretValue"
    return error


@pytest.mark.parametrize("name", RAISED)
def test_each_is_caught_and_translated(name: str) -> None:
    """Another kind, which we do not catch, fails here when botocore brings it."""
    error = made(FOUND[name])
    assert isinstance(error, FOREIGN)
    for is_change in (True, False):
        told = failure_of(error, "PutSecretValue", is_change=is_change).error(PLACE)
        assert isinstance(told, RotatorError)
        assert is_change or not isinstance(told, OutcomeUnknownError)


@pytest.mark.parametrize("name", sorted(ON_THE_WAY & FOUND.keys()))
def test_what_happens_on_the_way_is_unknown(name: str) -> None:
    """A change may have arrived; a read is repeated by whoever wants to know."""
    failure = failure_of(made(FOUND[name]), "PutSecretValue", is_change=True)
    assert failure.fate is Fate.UNANSWERED
    assert type(failure.error(PLACE)) is OutcomeUnknownError
    read = failure_of(made(FOUND[name]), "GetSecretValue", is_change=False)
    assert type(read.error(PLACE)) is UnavailableError


def test_nothing_that_happens_on_the_way_counts_as_unsent() -> None:
    """The two lists share nothing."""
    assert [name for name in ON_THE_WAY & FOUND.keys() if issubclass(FOUND[name], UNSENT)] == []


def test_what_botocore_says_of_itself_is_not_repeated() -> None:
    """A validation error quotes the parameter, a credential process its output."""
    error = botocore.exceptions.ParamValidationError(report="Invalid SecretString, value: hunter2-hunter2")
    told = failure_of(error, "PutSecretValue", is_change=True).error(PLACE)
    assert "hunter2" not in f"{told}{told.hint}"
    assert told.message == "AWS is not asked for something of this form"
