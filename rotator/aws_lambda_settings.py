"""What the rotation function is told: by its environment and, where that leaves something open, by the secret itself.

What decides whom the operator's secret is shown to, and whose tokens are made, comes from the environment alone:
whoever may write a secret must not be able to lead the function elsewhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from rotator.config_fields import shaped, site_at
from rotator.config_values import (
    parse_acl_path,
    parse_base,
    parse_endpoint,
    parse_file,
    parse_fingerprint,
    parse_name,
    parse_role,
    parse_userid,
)
from rotator.durations import LONGEST, parse_duration, parse_positive_duration
from rotator.errors import ConfigError
from rotator.faults import InvalidValueError
from rotator.model import Credential, Destination, Grant, Secret, Stored, UnusableRecordError
from rotator.presets import parse_preset
from rotator.settings import addresses
from rotator.shape import Shape
from rotator.template import Template

_Value = TypeVar("_Value")

CLUSTER = "pve"
"""What the function calls its one cluster unless told otherwise."""
OVERLAP = timedelta(hours=24)
_SETTING = "rotate_"
_TRUTHS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class FunctionSettings:
    """What holds for every secret that the function rotates."""

    endpoints: tuple[str, ...]
    operator: str
    """The secret, by name or ARN, that holds the operator's token."""
    users: tuple[str, ...]
    """Whose tokens may be rotated."""
    owner: str
    cluster: str = CLUSTER
    ca_file: Path | None = None
    fingerprint: str = ""
    adopt: bool = False

    def words(self) -> frozenset[str]:
        """Return what everybody may read, though consumers' records may have it too."""
        names = {self.owner, self.cluster, self.operator, *self.users}
        return addresses(self.endpoints) | names | {it.rpartition("@")[0] for it in self.users}


@dataclass
class Words:
    """Texts by key: ``ROTATE_KEY`` of the environment, else ``rotate_key`` of the secret. Collects what is wrong."""

    environ: Mapping[str, str]
    fields: Mapping[str, Secret] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def find(self, key: str) -> tuple[str, str]:
        """Return where a key stands and its text, "" where it stands nowhere."""
        variable, name = f"ROTATE_{key.upper()}", f"{_SETTING}{key}"
        if self.environ.get(variable) or name not in self.fields:
            return variable, self.environ.get(variable, "").strip()
        return f"the secret's {name}", self.fields[name].reveal().strip()

    def take(self, key: str, parse: Callable[[str], _Value], otherwise: _Value) -> _Value:
        """Read one value; a fault is noted, and then the value does not matter."""
        where, text = self.find(key)
        if not text:
            return otherwise
        try:
            return parse(text)
        except InvalidValueError as error:
            self.blame(where, error)
            return otherwise

    def blame(self, where: str, error: InvalidValueError) -> None:
        """Note a fault."""
        self.faults.append("; ".join(filter(None, (f"{where}: {error.message}", error.advice))))

    def require(self, key: str, parse: Callable[[str], _Value], otherwise: _Value) -> _Value:
        """Read one value that must be there."""
        if not self.find(key)[1]:
            self.faults.append(f"{self.find(key)[0]}: is not set")
        return self.take(key, parse, otherwise)

    def settle(self) -> None:
        """Tell all faults, if there are any. Raises: ``ConfigError``."""
        if self.faults:
            raise ConfigError(
                "\n".join(self.faults), hint="set them in the function's configuration, under environment variables"
            )


def function_settings(environ: Mapping[str, str], arn: str) -> FunctionSettings:
    """Read what the environment says. Raises: ``ConfigError``, a line for each fault."""
    words = Words(environ)
    settings = FunctionSettings(
        endpoints=words.require("endpoints", _each(parse_endpoint), ()),
        operator=words.require("operator_secret", str, ""),
        users=words.require("users", _each(parse_userid), ()),
        owner=words.take("owner", parse_name, _owner(arn)),
        cluster=words.take("cluster", parse_name, CLUSTER),
        ca_file=words.take("ca_file", _path, None),
        fingerprint=words.take("fingerprint", parse_fingerprint, ""),
        adopt=words.take("adopt", _truth, otherwise=False),
    )
    if settings.ca_file and settings.fingerprint:
        words.faults.append("ROTATE_CA_FILE and ROTATE_FINGERPRINT exclude each other")
    words.settle()
    return settings


def credential(
    settings: FunctionSettings,
    environ: Mapping[str, str],
    stored: Stored | None,
    destination: Destination,
    name: str,
) -> Credential:
    """Make the credential that a secret of that name is about. Raises: ``ConfigError``, a line for each fault."""
    words = Words(environ, stored.fields if stored else {})
    shape = _shape(words, settings)
    made = Credential(
        name=name,
        cluster=settings.cluster,
        owner=settings.owner,
        userid=_user(words, settings, _holder(shape, stored)),
        base=words.take("base", parse_base, "") or _base(words, name),
        every=LONGEST,  # AWS says when
        overlap=words.take("overlap", parse_duration, OVERLAP),
        destinations=(replace(destination, shape=shape),),
        lifetime=words.take("lifetime", parse_positive_duration, None),
        privsep=words.take("privsep", _truth, otherwise=True),
        grants=words.take("grants", _grants, None),
        adopt=settings.adopt,
    )
    if made.lifetime and made.lifetime <= 2 * made.overlap:
        words.faults.append(f"{words.find('lifetime')[0]}: must be more than twice the overlap")
    words.settle()
    return made


def _user(words: Words, settings: FunctionSettings, holder: str) -> str:
    """Choose among the users that may be rotated: the one that is named, that of the token there, or the only one."""
    named = words.find("user")[1] or holder
    if not named and len(settings.users) == 1:
        return settings.users[0]
    if named not in settings.users:
        words.faults.append(
            f"ROTATE_USERS: does not list {named}"
            if named
            else "the secret's rotate_user: is not set, and ROTATE_USERS lists more than one"
        )
    return named


def _holder(shape: Shape, stored: Stored | None) -> str:
    """Tell whose token is there, "" where there is none or it cannot be read."""
    with suppress(UnusableRecordError):
        token = shape.read(stored)
        return token.id.userid if token else ""
    return ""


def _shape(words: Words, settings: FunctionSettings) -> Shape:
    """Read how the secret shows a token to its consumer; its faults are noted."""
    site = site_at(settings.cluster, settings.endpoints[0])
    fields: Mapping[str, str] = words.take("fields", _fields, {})
    shape, faults = shaped(
        site,
        preset=words.take("preset", parse_preset, ""),
        fields=fields,
        canonical=words.take("canonical", _truth, None),
    )
    for (key, *_), error in faults:
        words.blame(words.find(str(key))[0], error)
    return shape


def _owner(arn: str) -> str:
    """Name the installation after account and region, so that two of them leave each other's tokens alone."""
    _, _, _, region, account, *_ = [*arn.split(":"), *[""] * 5]
    return "-".join(part for part in ("aws", account, region) if part)


def _base(words: Words, name: str) -> str:
    likely = re.sub(r"[^A-Za-z0-9._-]+", "-", name.rpartition("/")[2])
    try:
        return parse_base(likely)
    except InvalidValueError:
        words.faults.append(f"ROTATE_BASE: is not set, and tokens cannot be named after the secret {name}")
        return ""


def _each(parse: Callable[[str], str]) -> Callable[[str], tuple[str, ...]]:
    def parse_all(text: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(parse(part.strip()) for part in text.split(",") if part.strip()))

    return parse_all


def _path(text: str) -> Path:
    return Path(parse_file(text))


def _truth(text: str) -> bool:
    if text.lower() not in _TRUTHS:
        raise InvalidValueError("neither true nor false", "write true or false")
    return _TRUTHS[text.lower()]


def _grants(text: str) -> tuple[Grant, ...]:
    """Read ``/vms=PVEVMUser, /storage/local=PVEDatastoreUser:no-propagate``."""
    return tuple(_grant(part.strip()) for part in text.split(",") if part.strip())


def _grant(text: str) -> Grant:
    path, equals, rest = text.partition("=")
    role, colon, flag = rest.partition(":")
    if not equals or (colon and flag != "no-propagate"):
        raise InvalidValueError("not a grant", "write /path=Role, or /path=Role:no-propagate, separated by commas")
    return Grant(parse_acl_path(path.strip()), parse_role(role.strip()), propagate=not colon)


def _fields(text: str) -> Mapping[str, str]:
    """Read an object of JSON, key to text with variables."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not found or not all(key and isinstance(it, str) for key, it in found.items()):
        raise InvalidValueError("not an object of JSON with texts", 'write {"KEY": "a text with {token}"}')
    for key, template in found.items():
        _check_field(key, template)
    return found


def _check_field(key: str, template: str) -> None:
    if key.startswith(_SETTING):
        raise InvalidValueError(f"the key {key} would be a setting of the function", "call it something else")
    try:
        Template.parse(template)
    except InvalidValueError as error:
        raise InvalidValueError(f"{key}: {error.message}", error.advice) from None
