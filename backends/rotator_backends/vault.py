"""Records in HashiCorp Vault or OpenBao: the KV secrets engine, version 2 with compare-and-set, version 1 without.

Settings are in ``vault_settings``, who we are in ``vault_login`` and ``vault_sources``, the two engines in
``vault_kv``, the questions in ``vault_operations``, the meaning of answers in ``vault_answers``, and all that goes
over the wire in ``vault_wire``, which is imported, with hvac, when something is asked.

A write reads first, to keep the keys of others, and then names the number that it has read; the server compares that
number with the latest one. Where nothing is to be replaced, the latest version may still be a deleted or destroyed
one: its number is named then, so that of any writes after it only one succeeds. What the server does not notice is a
version that is *deleted* or *undeleted* in between: its number is the same. Its content stays in the history of the
record.

A preflight says that a write is to come. If the record was read a moment before, that reading proves what the preflight
would ask for, and the write relies on it: three calls fewer for each rotation, all within ``MOMENT``.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar

from rotator.backend import Traits
from rotator.errors import ConfigError, ConflictError, RefusedError
from rotator.model import Secret, Stored, Version
from rotator_backends.vault_answers import Answer, Call, Silence, silence, unwell
from rotator_backends.vault_kv import (
    Engine,
    KvOne,
    KvTwo,
    State,
    VaultLocation,
    capabilities_of,
    check_held,
    check_version,
)
from rotator_backends.vault_login import Asked, Clock, Login
from rotator_backends.vault_operations import Operation, health
from rotator_backends.vault_recent import Recent
from rotator_backends.vault_settings import BackendSettings, backend_settings, destination_settings

if TYPE_CHECKING:
    from rotator_backends.vault_wire import Wire


class VaultBackend:
    """The store of the types ``vault`` and ``openbao``."""

    traits: ClassVar[Traits] = Traits(compare_and_set=True)

    def __init__(self, settings: BackendSettings, *, clock: Clock = time.monotonic) -> None:
        vars(self)["traits"] = Traits(compare_and_set=settings.kv_version != 1)  # depends on the mount, not the class
        self._settings = settings
        _require_library()
        self._wire = _LateWire(settings, clock)
        self._login = _login(settings, self._wire, clock)
        self._checked: set[str] = set()
        self._lock = threading.Lock()
        self._recent = Recent(clock)
        self._engine: Engine = self._two() if settings.kv_version != 1 else KvOne(self._login, settings.address)

    def _two(self) -> KvTwo:
        return KvTwo(self._login, self._settings.address, annotating=self._settings.metadata)

    @classmethod
    def configure(cls, settings: Mapping[str, Any]) -> VaultBackend:
        """Make a backend of ``address``, ``auth`` and what else there is to say; secrets are read at the first use.

        Raises: ``ConfigError``, a line for each fault, or one that says which library is missing.
        """
        return cls(backend_settings(settings))

    def locate(self, settings: Mapping[str, Any]) -> tuple[VaultLocation, str]:
        """Make a location of ``mount`` and ``path``.

        A namespace may be said by the backend's ``namespace`` or by the beginning of ``mount``: the label is the same.

        Raises: ``ConfigError``, a line for each fault.
        """
        found = destination_settings(settings)
        steps = (self._settings.address, self._settings.namespace, found.mount, found.path)
        return VaultLocation(found.mount, found.path), f"vault:{'/'.join(step for step in steps if step)}"

    def read(self, location: VaultLocation) -> Stored | None:
        """Read the record; what is no text is read as it is written in JSON, and structures are not shown.

        Raises: ``UnavailableError``; ``RefusedError``; ``ConfigError`` when a secret for the login is not there.
        """
        state = self._state(location)
        self._recent.saw(location, state)
        return Stored(_texts(state.data), state.version) if state.data is not None and state.version else None

    def write(self, location: VaultLocation, fields: Mapping[str, Secret], *, expected: Version | None) -> Version:
        """Make a new version with these fields changed, if the latest one is still as expected.

        Repeat: a ``ConflictError`` (with KV version 1: unless the content is the same).
        Crash: the old record or the new one.
        Raises: ``ConflictError``; ``OutcomeUnknownError``; ``UnavailableError``; ``RefusedError``.
        """
        self._check_mount(location)
        _check_fields(location, fields)
        recent = self._recent.promised(location, expected)
        before = recent or self._engine.read(location)
        _check_expected(location, before, expected)
        data = _merged(location, before.data or {}, fields)
        version = self._engine.write(location, data, before)
        if recent:
            self._recent.wrote(location)
        return version

    def preflight(self, location: VaultLocation) -> None:
        """Return when a write could begin now: the node is well, the mount is right, the policy allows it.

        Raises: ``RefusedError`` with the missing lines of the policy; ``UnavailableError``; ``ConfigError``.
        """
        recent = self._recent.promise(location)
        if recent is None:
            self._check_health()
            self._check_mount(location)
        policy = self._engine.policy(location)
        record, *others = policy
        held = capabilities_of(self._login, self._settings.address, policy)
        check_held(held, {record: ("read",), **{path: policy[path] for path in others}}, policy)
        state = recent or self._engine.read(location)
        is_there = state.data is not None or state.number > 0
        check_held(held, {record: ("update" if is_there else "create",)}, policy)

    def close(self) -> None:
        """Let go of the connections. Repeat: nothing happens."""
        self._recent.forget()
        self._wire.close()

    def _state(self, location: VaultLocation) -> State:
        """Read what is there. A record as version 2 has it shows which version is mounted, without another call."""
        if isinstance(self._engine, KvTwo):
            state = self._engine.read(location, doubted=lambda: self._check_mount(location))
            if state.version:
                self._knows(location.mount)
            return state
        self._check_mount(location)
        return self._engine.read(location)

    def _check_health(self) -> None:
        call = Call("look how it is", self._settings.address)
        answer = self._wire.ask(health(), token=None, namespace="")
        if isinstance(answer, Silence):
            raise silence(call, answer)
        if error := unwell(call, answer):
            raise error

    def _check_mount(self, location: VaultLocation) -> None:
        """Look once for each mount whether it is of the version that the settings say."""
        with self._lock:
            if location.mount in self._checked:
                return
        if check_version(self._login, self._settings.address, location, self._engine.number):
            self._knows(location.mount)

    def _knows(self, mount: str) -> None:
        with self._lock:
            self._checked.add(mount)


class _LateWire:
    """The wire, made when something is asked: where nothing is due hvac is not even imported."""

    def __init__(self, settings: BackendSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._made: Wire | None = None
        self._lock = threading.Lock()

    def ask(
        self, operation: Operation, *, token: Secret | None, namespace: str | None = None, changing: bool = False
    ) -> Answer | Silence:
        """Ask, and return what came, or why nothing did."""
        return self._wire().ask(operation, token=token, namespace=namespace, changing=changing)

    def close(self) -> None:
        """Let go of the connections. Repeat: nothing happens."""
        if self._made is not None:
            self._made.close()

    def _wire(self) -> Wire:
        with self._lock:
            if self._made is None:
                from rotator_backends.vault_wire import Wire  # noqa: PLC0415 - hvac, for those who ask something

                self._made = Wire(self._settings, self._clock)
            return self._made


def _require_library() -> None:
    try:
        is_there = find_spec("hvac") is not None
    except ValueError:
        is_there = False
    if not is_there:
        raise ConfigError("the library hvac is not installed", hint="pip install 'proxmox-token-rotator[vault]'")


def _login(settings: BackendSettings, wire: Asked, clock: Clock) -> Login:
    return Login(settings.auth, wire, address=settings.address, clock=clock)


def _texts(data: Mapping[str, Any]) -> dict[str, Secret]:
    plain = {key: value for key, value in data.items() if isinstance(value, str | int | float)}
    return {key: Secret(value if isinstance(value, str) else json.dumps(value)) for key, value in plain.items()}


def _check_fields(location: VaultLocation, fields: Mapping[str, Secret]) -> None:
    """Refuse half characters, in whose place Vault would put another."""
    for key, value in fields.items():
        if any("\ud800" <= letter <= "\udfff" for letter in key + value.reveal()):
            raise RefusedError(f"{location} is left as it is: the key or value of {key!a} is no text")


def _check_expected(location: VaultLocation, before: State, expected: Version | None) -> None:
    if before.data is None and expected is not None:
        raise ConflictError(f"{location} was removed by somebody else")
    if before.data is not None and before.version != expected:
        raise ConflictError(f"{location} was {'made' if expected is None else 'changed'} by somebody else")


def _merged(location: VaultLocation, data: Mapping[str, Any], fields: Mapping[str, Secret]) -> dict[str, Any]:
    for key in fields:
        if isinstance(data.get(key), dict | list):
            raise RefusedError(
                f"{location} is left as it is: its key {key!a} holds a structure", hint="remove that key by hand"
            )
    return {**data, **{key: value.reveal() for key, value in fields.items()}}
