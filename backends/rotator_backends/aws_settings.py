"""The settings of the AWS backend and of its destinations; every fault is told at once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from rotator.errors import ConfigError

_Model = TypeVar("_Model", bound=BaseModel)

_NAME = r"[A-Za-z0-9/_+=.@-]{1,512}"
_ARN = re.compile(
    rf"arn:aws[a-z-]*:secretsmanager:(?P<region>[a-z0-9-]+):(?P<account>\d{{12}}):secret:"
    rf"(?P<name>{_NAME})-[A-Za-z0-9]{{6}}"
)
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::(?P<account>\d{12}):role/[\w+=,.@/-]+", re.ASCII)
_DURATION = re.compile(r"(?P<number>\d{1,6})(?P<unit>ms|s|m)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0}
_MOST_TAGS = 50
_LONGEST_KEY, _LONGEST_VALUE = 128, 256


def is_safe(url: str) -> bool:
    """Say whether a secret may be sent there: encrypted, or without leaving the machine."""
    parts = urlsplit(url)
    return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(url)))


def is_loopback(url: str) -> bool:
    """Say whether an address is this machine's own."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _endpoint(url: str) -> str:
    if not is_safe(url):
        raise ValueError("must begin with https://; http:// only to this machine")
    parts = urlsplit(url)
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("must be a scheme, a host and a port, nothing else")
    return url


def _duration(value: object) -> object:
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if not found or not int(found["number"]):
        raise ValueError("must be a duration with its unit, such as 500ms, 15s or 1m")
    return timedelta(seconds=int(found["number"]) * _UNITS[found["unit"]])


def _matching(pattern: str, wanted: str) -> AfterValidator:
    compiled = re.compile(pattern, re.ASCII)

    def check(text: str) -> str:
        if not compiled.fullmatch(text):
            raise ValueError(f"must be {wanted}")
        return text

    return AfterValidator(check)


RoleArn = Annotated[str, _matching(_ROLE.pattern, "a role's ARN, such as arn:aws:iam::123456789012:role/rotate")]
ExternalId = Annotated[str, _matching(r"[\w+=,.@:/-]{2,1224}", "2 to 1224 letters, digits and +=,.@:/_-")]
SessionName = Annotated[str, _matching(r"[\w+=,.@-]{2,64}", "2 to 64 letters, digits and +=,.@_-")]
Region = Annotated[str, _matching(r"[a-z]{2,}(-[a-z]+)+-\d+", "a region, such as eu-central-1")]
Account = Annotated[str, _matching(r"\d{12}", "an account's 12 digits, in quotes")]
Duration = Annotated[timedelta, BeforeValidator(_duration)]
Text = Annotated[str, Field(min_length=1, max_length=2048)]


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AssumeRole(_Settings):
    """The role to take on, and what its trust policy asks for."""

    role_arn: RoleArn
    external_id: ExternalId | None = None
    session_name: SessionName = "rotate"

    @property
    def account(self) -> str:
        """The account that the role belongs to."""
        found = _ROLE.fullmatch(self.role_arn)
        return found["account"] if found else ""


class BackendSettings(_Settings):
    """What all secrets of one backend have in common. What is not set, AWS's own configuration decides."""

    region: Region | None = None
    endpoint_url: Annotated[str, AfterValidator(_endpoint)] | None = None
    profile: Text | None = None
    assume_role: AssumeRole | None = None
    account: Account | None = None
    kms_key_id: Text | None = None
    tags: dict[str, str] = Field(default_factory=dict)
    description: Annotated[str, Field(max_length=2048)] = ""
    connect_timeout: Duration = timedelta(seconds=5)
    read_timeout: Duration = timedelta(seconds=15)
    read_attempts: Annotated[int, Field(ge=1, le=10)] = 3

    @field_validator("tags")
    @classmethod
    def _check_tags(cls, tags: dict[str, str]) -> dict[str, str]:
        if any(key.lower().startswith("aws:") for key in tags):
            raise ValueError("keys that begin with aws: are AWS's own")
        fits = all(0 < len(key) <= _LONGEST_KEY and len(value) <= _LONGEST_VALUE for key, value in tags.items())
        if not fits or len(tags) > _MOST_TAGS:
            raise ValueError("must be 50 at most, keys of 1 to 128 and values of up to 256 characters")
        return tags

    @property
    def owner(self) -> str:
        """The account, as far as the settings tell."""
        return self.account or (self.assume_role.account if self.assume_role else "")


class DestinationSettings(_Settings):
    """One secret."""

    secret_id: str
    description: Annotated[str, Field(max_length=2048)] = ""

    @field_validator("secret_id")
    @classmethod
    def _check_id(cls, value: str) -> str:
        if value.startswith("arn:"):
            if not _ARN.fullmatch(value):
                raise ValueError("must be a secret's whole ARN, which ends with a hyphen and six characters, or a name")
        elif not re.fullmatch(_NAME, value):
            raise ValueError("must be a name of letters, digits and /_+=.@- (512 at most), or an ARN")
        return value


@dataclass(frozen=True, slots=True)
class AwsLocation:
    """One secret: how AWS is asked for it, its name, and what people are told."""

    secret_id: str
    name: str
    label: str
    description: str = ""

    @property
    def can_be_created(self) -> bool:
        """Whether a secret can be made there: an ARN is AWS's to give."""
        return self.secret_id == self.name


def backend_settings(settings: Mapping[str, Any]) -> BackendSettings:
    """Check the settings of a backend.

    Raises: ``ConfigError``, a line for each fault.
    """
    keys = ", ".join(BackendSettings.model_fields)
    return _validated(BackendSettings, settings, f"an AWS backend takes {keys}")


def located(settings: Mapping[str, Any], *, region: str, owner: str) -> AwsLocation:
    """Make a location of a destination's settings; ``owner`` is the backend's account, as far as it is known.

    A name and the ARN of the same secret get the same label. Accounts are told apart where they are known.

    Raises: ``ConfigError``, a line for each fault.
    """
    found = _validated(DestinationSettings, settings, "a destination in AWS takes secret_id and description")
    arn = _ARN.fullmatch(found.secret_id)
    if arn and arn["region"] != region:
        raise ConfigError(
            f"secret_id: is in the region {arn['region']}, and this backend is in {region}",
            hint="configure a backend for each region",
        )
    name = arn["name"] if arn else found.secret_id
    account = f"{arn['account'] if arn else owner}/" if owner else ""
    return AwsLocation(found.secret_id, name, f"aws:{account}{region}/{name}", found.description)


def _validated(model: type[_Model], settings: Mapping[str, Any], hint: str) -> _Model:
    faults = ""
    try:
        return model.model_validate(dict(settings))
    except ValidationError as error:
        faults = _faults(error)
    raise ConfigError(faults, hint=hint)


def _faults(error: ValidationError) -> str:
    return "\n".join(
        ": ".join([*map(str, fault["loc"]), _spoken(fault["msg"])])
        for fault in error.errors(include_url=False, include_input=False)
    )


def _spoken(message: str) -> str:
    message = message.removeprefix("Value error, ")
    return message[:1].lower() + message[1:]
