"""Records in the two versions of the KV secrets engine: read one, write one, and what may be done to it.

Version 2 counts the versions of a path and compares the count itself (``cas``). What counts is the latest version, be
it deleted or destroyed: its number is in the body of the 404. Removing a path with all its metadata starts the count
anew, so that a number alone would come back; the time at which a version was made does not.

Version 1 has neither versions nor a comparison. A record there is named by a keyed hash, whose key no other process
has: versions get logged, and a plain hash of a weak password can be guessed from.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from rotator.errors import RefusedError, RotatorError
from rotator.model import Version
from rotator_backends.vault_answers import FORBIDDEN, NOT_FOUND, OK, Answer, Call, garbled, policy_line, refusal
from rotator_backends.vault_login import Login
from rotator_backends.vault_operations import annotate, capabilities, mount_of, read_v1, read_v2, write_v1, write_v2

WRITTEN_BY = "proxmox-token-rotator"


@dataclass(frozen=True, slots=True)
class VaultLocation:
    """One record: where its engine is mounted, and its path there."""

    mount: str
    path: str

    def __str__(self) -> str:
        return f"{self.mount}/{self.path}"


@dataclass(frozen=True, slots=True)
class State:
    """What is at a path: the data, None where nothing is, and the number that the next write must name."""

    data: Mapping[str, Any] | None = field(repr=False)
    number: int = 0
    version: Version | None = None


Policy = Mapping[str, tuple[str, ...]]
"""Capabilities by path."""


class Engine(Protocol):
    """One version of the KV secrets engine at one server."""

    number: int

    def read(self, location: VaultLocation) -> State:
        """Read what is there, also if that is nothing."""
        ...

    def write(self, location: VaultLocation, data: Mapping[str, Any], before: State) -> Version:
        """Replace the record."""
        ...

    def policy(self, location: VaultLocation) -> Policy:
        """Return the capabilities that a rotation needs, by path."""
        ...


_RECORD = ("create", "update", "read")


class KvOne:
    """KV version 1."""

    number = 1

    def __init__(self, login: Login, address: str) -> None:
        self._login = login
        self._address = address
        self._key = secrets.token_bytes(32)

    def policy(self, location: VaultLocation) -> Policy:
        """Return the capabilities that a rotation needs, by path."""
        return {str(location): _RECORD}

    def read(self, location: VaultLocation) -> State:
        """Read a record."""
        call = _call("read", location, self._address, self.policy(location))
        answer = self._login.ask(call, read_v1(location.mount, location.path))
        if _is_absent(answer):
            return State(None)
        if answer.status != OK:
            raise refusal(call, answer)
        if not isinstance(answer.body.get("data"), dict):
            raise garbled(call, answer)
        data = answer.part("data")
        return State(data, version=self._version(data))

    def write(self, location: VaultLocation, data: Mapping[str, Any], before: State) -> Version:
        """Replace a record, racing with whoever else does."""
        del before
        call = _call("write", location, self._address, self.policy(location), changing=True)
        answer = self._login.ask(call, write_v1(location.mount, location.path, data))
        if not answer.is_fine:
            raise refusal(call, answer)
        if answer.status == OK and "request_id" not in answer.body:  # a proxy's page; Vault says 204, or more than that
            raise garbled(call, answer)
        return self._version(data)

    def _version(self, data: Mapping[str, Any]) -> Version:
        text = json.dumps(data, sort_keys=True)
        return Version(hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest())


class KvTwo:
    """KV version 2. ``annotating``: who wrote what is told in the custom metadata."""

    number = 2

    def __init__(self, login: Login, address: str, *, annotating: bool = False) -> None:
        self._login = login
        self._address = address
        self._annotating = annotating

    def policy(self, location: VaultLocation) -> Policy:
        """Return the capabilities that a rotation needs, by path."""
        data = {f"{location.mount}/data/{location.path}": _RECORD}
        return {**data, f"{location.mount}/metadata/{location.path}": ("update",)} if self._annotating else data

    def read(self, location: VaultLocation, *, doubted: Callable[[], None] = lambda: None) -> State:
        """Read the latest version; a deleted or destroyed one is nothing, but counts.

        Anything but a version makes it doubtful whether this is an engine of version 2: that is told first.
        """
        call = _call("read", location, self._address, self.policy(location))
        answer = self._login.ask(call, read_v2(location.mount, location.path))
        found = answer.part("data", "metadata")
        number, made = found.get("version"), found.get("created_time")
        if not isinstance(number, int) or not isinstance(made, str):
            doubted()
        if _is_absent(answer):
            return State(None)
        if answer.status not in {OK, NOT_FOUND} or (answer.status == NOT_FOUND and number is None):
            raise refusal(call, answer)
        if not isinstance(number, int) or not isinstance(made, str):
            raise garbled(call, answer)
        data = answer.part("data", "data") if answer.status == OK else None
        return State(data, number, _named(number, made))

    def write(self, location: VaultLocation, data: Mapping[str, Any], before: State) -> Version:
        """Make a new version, if the latest one is still the one that was read."""
        call = _call("write", location, self._address, self.policy(location), changing=True)
        answer = self._login.ask(call, write_v2(location.mount, location.path, data, cas=before.number))
        if not answer.is_fine:
            raise refusal(call, answer)
        found = answer.part("data")
        number, made = found.get("version"), found.get("created_time")
        if not isinstance(number, int) or not isinstance(made, str):
            raise garbled(call, answer)
        if self._annotating:
            self._annotate(location, data, answer.part("data", "custom_metadata"))
        return _named(number, made)

    def _annotate(self, location: VaultLocation, data: Mapping[str, Any], others: Mapping[str, str]) -> None:
        """Say in the custom metadata who wrote what; the record is written, whatever comes of this."""
        token_id = {"token_id": data["token_id"]} if isinstance(data.get("token_id"), str) else {}
        call = _call("annotate", location, self._address, {})
        with suppress(RotatorError):
            self._login.ask(
                call, annotate(location.mount, location.path, {**others, "written_by": WRITTEN_BY, **token_id})
            )


def check_version(login: Login, address: str, location: VaultLocation, wanted: int) -> bool:
    """Look which version is mounted; False when the server does not tell.

    Version 1 takes a write meant for version 2 as a record of another name, and says that all is well.

    Raises: ``RefusedError`` when it is the other version, or no KV at all; ``UnavailableError``.
    """
    call = Call(f"look what is mounted at {location.mount}", address)
    answer = login.ask(call, mount_of(location.mount, location.path))
    kind = answer.part("data").get("type")
    if answer.status not in {OK, FORBIDDEN}:
        raise refusal(call, answer)
    if not isinstance(kind, str):
        return False
    if kind not in {"kv", "generic"}:
        raise RefusedError(
            f"{location.mount} at {address} is no KV secrets engine: it is of type {kind}", hint="correct `mount`"
        )
    found = 2 if answer.part("data", "options").get("version") == "2" else 1
    if found != wanted:
        raise RefusedError(f"{location.mount} at {address} is KV version {found}", hint=f"set kv_version: {found}")
    return True


def capabilities_of(login: Login, address: str, paths: Iterable[str]) -> Mapping[str, Any]:
    """Ask what our token may do, by path.

    Raises: ``RefusedError`` when it may not even ask; ``UnavailableError``.
    """
    call = Call("ask for our capabilities", address, policy=policy_line("sys/capabilities-self", ("update",)))
    answer = login.ask(call, capabilities(paths))
    if answer.status != OK:
        raise refusal(call, answer)
    return answer.part("data")


def check_held(held: Mapping[str, Any], needed: Mapping[str, tuple[str, ...]], policy: Policy) -> None:
    """Compare what our token may do with what is needed.

    Raises: ``RefusedError`` with the lines of the policy that are missing.
    """
    missing = {path: _missing(held.get(path), wanted) for path, wanted in needed.items()}
    lacking = {path: names for path, names in missing.items() if names}
    if lacking:
        what = "; ".join(f"{', '.join(names)} on {path}" for path, names in lacking.items())
        lines = "\n".join(policy_line(path, policy[path]) for path in lacking)
        raise RefusedError(f"our token lacks {what}", hint=f"its policy needs: {lines}")


def _missing(held: object, wanted: tuple[str, ...]) -> list[str]:
    found = held if isinstance(held, list) else []
    return [] if "root" in found else [name for name in wanted if name not in found]


def _call(
    doing: str,
    location: VaultLocation,
    address: str,
    policy: Policy,
    *,
    changing: bool = False,
) -> Call:
    line = next((policy_line(path, names) for path, names in policy.items()), "")
    return Call(f"{doing} {location}", address, changing=changing, policy=line)


def _is_absent(answer: Answer) -> bool:
    """Tell an empty 404 (nothing was ever there) from those that say more."""
    return answer.status == NOT_FOUND and answer.body.get("errors") == [] and not answer.warnings


def _named(number: int, made: str) -> Version:
    return Version(f"{number}@{made}")
