"""What is told when a Vault is not well, does not answer, or is not one: the message, the hint, and what happened."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rotator.errors import (
    ConflictError,
    OutcomeUnknownError,
    RefusedError,
    RotatorError,
    UnavailableError,
)
from rotator.testing.vault import (
    HangUpAfter,
    HangUpBefore,
    Hold,
    VaultAnswerAfter,
    VaultAnswerInstead,
    VaultRequest,
)
from rotator_backends.vault_kv import VaultLocation
from tests.vault.failing import LOOK, PLACE, SHORT, UNKNOWN, failing, of_writes, read, write
from tests.vault.lab import RECORD, Simulated


def of_reads(fault: Any) -> Callable[[VaultRequest], Any]:  # noqa: ANN401 - any fault
    """Let a fault meet reads of the record alone."""
    return lambda request: fault if request.method == "GET" and request.path == "secret/data/ci" else None


def seal(sim: Simulated) -> None:
    """Seal it."""
    sim.server.sealed = True


def forget(sim: Simulated) -> None:
    """Make it as new."""
    sim.server.initialized = False


def recover(sim: Simulated) -> None:
    """Make it a secondary."""
    sim.server.standby = "recovery"


def stand_by(sim: Simulated) -> None:
    """Make it a standby that points elsewhere."""
    sim.server.standby, sim.server.forwards, sim.server.leader = "standby", False, "https://other.example:8200"


def lose_the_leader(sim: Simulated) -> None:
    """Make it a standby that knows no leader."""
    sim.server.standby, sim.server.forwards = "performance", False


STATES = [
    (seal, "it is sealed", "unseal it: bao operator unseal, or vault operator unseal"),
    (forget, "it is not initialized", "initialize it: bao operator init, or vault operator init"),
    (recover, "the cluster is a disaster recovery secondary", "set `address` to the primary cluster"),
    (
        stand_by,
        "the node is a standby that does not forward",
        "set `address` to the active node or to a load balancer that asks sys/health; redirects are not followed",
    ),
    (
        lose_the_leader,
        "the node is a standby and finds no active node",
        "wait until the cluster has elected one, then run again",
    ),
]


@pytest.mark.parametrize(("change", "what", "hint"), STATES)
def test_a_node_that_takes_no_requests_says_why(
    sim: Simulated, change: Callable[[Simulated], None], what: str, hint: str
) -> None:
    """Nothing has happened, also when it becomes so just before the write."""
    backend = sim.backend()
    backend.read(PLACE)

    def change_before_writes(request: VaultRequest) -> None:
        if request.method == "PUT":
            change(sim)

    sim.server.intercept = change_before_writes
    expected = f"cannot write secret/ci at {sim.address}: {what}", hint
    assert failing(write(backend), by=UnavailableError) == expected
    sim.server.intercept = None
    assert failing(read(backend), by=UnavailableError) == (f"cannot read secret/ci at {sim.address}: {what}", hint)
    message, shown = failing(lambda: backend.preflight(PLACE), by=UnavailableError)
    assert message.endswith(f" at {sim.address}: {what}")
    assert shown == hint


def test_a_mount_that_is_still_being_made_is_waited_for(sim: Simulated) -> None:
    """Version 2 is made of version 1 after the mount was answered; until then nothing happens, and then it is there."""
    place = VaultLocation(sim.mount(), "ci")
    engine: Any = sim.server.core.namespaces[""].mounts[place.mount].engine
    backend = sim.backend()

    def upgrade_before_writes(request: VaultRequest) -> None:
        if request.method == "PUT":
            engine.is_upgrading = True

    sim.server.intercept = upgrade_before_writes
    what, hint = "the mount is still being made", "wait a moment, then run again"
    attempts: dict[str, Callable[[], object]] = {
        "write": lambda: backend.write(place, RECORD, expected=None),
        "read": lambda: backend.read(place),
    }
    for doing, attempt in attempts.items():
        expected = f"cannot {doing} {place.mount}/ci at {sim.address}: {what}", hint
        assert failing(attempt, by=UnavailableError) == expected
    sim.server.intercept, engine.is_upgrading = None, False
    assert attempts["write"]()


@pytest.mark.parametrize("state", ["standby", "performance"])
def test_a_standby_that_forwards_is_as_good_as_any(sim: Simulated, state: Any) -> None:  # noqa: ANN401 - a literal
    """Its health is a 429 or 473, which is neither a rate limit nor an error."""
    sim.server.standby = state
    backend = sim.backend()
    backend.preflight(PLACE)
    assert write(backend)()


def test_a_preflight_looks_at_the_health_first(sim: Simulated) -> None:
    """It needs no token."""
    sim.server.sealed = True
    message, hint = failing(lambda: sim.backend().preflight(PLACE), by=UnavailableError)
    assert message == f"cannot look how it is at {sim.address}: it is sealed"
    assert hint == "unseal it: bao operator unseal, or vault operator unseal"
    assert [call.path for call in sim.server.calls] == ["sys/health"]


def test_what_hides_the_health_does_not_matter(sim: Simulated) -> None:
    """A proxy may keep it to itself."""
    sim.server.intercept = lambda request: VaultAnswerInstead(403) if request.path == "sys/health" else None
    sim.backend().preflight(PLACE)


def test_a_rate_limit_is_told_as_one(sim: Simulated) -> None:
    """It is no standby, although the number is the same."""
    backend = sim.backend()
    backend.read(PLACE)
    sim.admin().adapter.post("/v1/sys/quotas/rate-limit/all", json={"rate": 1, "interval": "1h"})
    backend.read(PLACE)
    assert failing(write(backend), by=UnavailableError) == (
        f"cannot read secret/ci at {sim.address}: too many requests",
        "a rate limit quota of the server is used up",
    )


def test_how_long_to_wait_is_passed_on(sim: Simulated) -> None:
    """If it is a number of seconds."""
    backend = sim.backend()
    sim.server.intercept = of_writes(VaultAnswerInstead(429, headers={"Retry-After": "7"}))
    assert failing(write(backend), by=UnavailableError)[1].endswith("used up; it asks to wait 7 s")
    sim.server.intercept = of_writes(VaultAnswerInstead(429, headers={"Retry-After": "<b>later</b>"}))
    assert failing(write(backend), by=UnavailableError)[1].endswith("used up")


def test_a_conflict_in_the_last_moment_is_one(sim: Simulated) -> None:
    """Somebody writes between our read and our write: the server compares, and nothing is lost."""
    backend, other = sim.backend(), sim.backend()
    version = backend.write(PLACE, RECORD, expected=None)

    def write_first(request: VaultRequest) -> None:
        if request.method == "PUT":
            sim.server.intercept = None
            other.write(PLACE, RECORD, expected=version)

    sim.server.intercept = write_first
    message, _ = failing(lambda: backend.write(PLACE, RECORD, expected=version), by=ConflictError)
    assert message == f"cannot write secret/ci at {sim.address}: it was changed by somebody else"
    assert sim.raw(PLACE)["metadata"]["version"] == 2


@pytest.mark.parametrize("word", ["check", "current", "version"])
def test_a_conflict_is_one_whatever_others_keep_in_the_record(sim: Simulated, word: str) -> None:
    """A value of theirs may be a word of what the server says, which is not shown then, but understood."""
    sim.admin().secrets.kv.v2.create_or_update_secret("ci", {"theirs": word}, mount_point="secret")
    backend, other = sim.backend(), sim.backend()
    found = backend.read(PLACE)
    assert found is not None

    def write_first(request: VaultRequest) -> None:
        if request.method == "PUT":
            sim.server.intercept = None
            other.write(PLACE, RECORD, expected=found.version)

    sim.server.intercept = write_first
    attempt = lambda: backend.write(PLACE, RECORD, expected=found.version)  # noqa: E731 - as the others
    assert failing(attempt, by=ConflictError)[0].endswith("it was changed by somebody else")


def test_a_conflict_after_a_deletion_is_one(sim: Simulated) -> None:
    """Two writers replace a deleted version: the number is compared all the same."""
    backend, other = sim.backend(), sim.backend()
    backend.write(PLACE, RECORD, expected=None)
    sim.admin().secrets.kv.v2.delete_latest_version_of_secret("ci")

    def write_first(request: VaultRequest) -> None:
        if request.method == "PUT":
            sim.server.intercept = None
            other.write(PLACE, RECORD, expected=None)

    sim.server.intercept = write_first
    assert failing(write(backend), by=ConflictError)[0].endswith("it was changed by somebody else")


@pytest.mark.parametrize(
    ("fault", "why", "happened"),
    [
        (HangUpBefore(), "the connection broke (RemoteDisconnected)", False),
        (HangUpAfter(), "the connection broke (RemoteDisconnected)", True),
        (Hold(), f"no answer within {SHORT:g} s", False),
        (Hold(after=True), f"no answer within {SHORT:g} s", True),
        (VaultAnswerInstead(500, ("internal error",)), "status 500, internal error", False),
        (VaultAnswerAfter(500), "status 500", True),
        (VaultAnswerAfter(502), "status 502", True),
        (VaultAnswerAfter(503), "status 503", True),
        (VaultAnswerAfter(504), "status 504", True),
        (VaultAnswerAfter(200), "the answer (status 200) is not one of Vault's", True),
        (VaultAnswerAfter(204), "the answer (status 204) is not one of Vault's", True),
    ],
)
def test_a_write_without_an_answer_is_unknown(sim: Simulated, fault: object, why: str, happened: bool) -> None:  # noqa: FBT001 - a parameter
    """It is sent once, and never again; whether it has happened shows when one looks."""
    backend = sim.backend(timeout=SHORT)
    backend.read(PLACE)
    sim.server.calls.clear()
    sim.server.intercept = of_writes(fault)
    expected = f"cannot write secret/ci at {sim.address}: {why}", UNKNOWN
    assert failing(write(backend), by=OutcomeUnknownError) == expected
    sim.server.close()
    assert [call.method for call in sim.server.calls] == ["GET", "PUT"]
    engine: Any = sim.server.core.namespaces[""].mounts["secret"].engine
    assert ("ci" in engine.paths) is happened


@pytest.mark.parametrize(
    ("fault", "why", "hint"),
    [
        (HangUpBefore(), "the connection broke (RemoteDisconnected)", LOOK),
        (Hold(), f"no answer within {SHORT:g} s", LOOK),
        (
            VaultAnswerInstead(502),
            "status 502",
            "look at the log of the server, and of what stands in between",
        ),
        (
            VaultAnswerInstead(200),
            "the answer (status 200) is not one of Vault's",
            "is this the address of Vault or OpenBao, and what stands in between?",
        ),
    ],
)
def test_a_read_without_an_answer_is_unavailable(sim: Simulated, fault: object, why: str, hint: str) -> None:
    """Nothing can have happened; and a write whose read fails has not been sent."""
    backend = sim.backend(timeout=SHORT)
    backend.read(PLACE)
    sim.server.intercept = of_reads(fault)
    expected = f"cannot read secret/ci at {sim.address}: {why}", hint
    assert failing(read(backend), by=UnavailableError) == expected
    assert failing(write(backend), by=UnavailableError) == expected


@pytest.mark.parametrize("status", [400, 404, 405, 409, 413])
def test_what_a_server_refuses_is_refused(sim: Simulated, status: int) -> None:
    """With what it said, if it said anything."""
    backend = sim.backend()
    sim.server.intercept = of_writes(VaultAnswerInstead(status, ("some reason",)))
    with pytest.raises(RefusedError) as caught:
        write(backend)()
    assert not isinstance(caught.value, ConflictError)
    said = "the record is larger than Vault takes" if status == 413 else f"status {status}, some reason"
    assert caught.value.message == f"cannot write secret/ci at {sim.address}: {said}"


def test_a_preflight_where_nobody_listens(sim: Simulated) -> None:
    """The first question is for the health."""
    backend = sim.backend()
    sim.server.close()
    expected = f"cannot look how it is at {sim.address}: connection refused", LOOK
    assert failing(lambda: backend.preflight(PLACE), by=UnavailableError) == expected


def test_version_one_fails_as_version_two_does(sim: Simulated) -> None:
    """Its answers are others, what they mean is the same."""
    place = VaultLocation(sim.mount(version=1), "ci")
    backend = sim.backend(kv_version=1, timeout=SHORT)
    version = backend.write(place, RECORD, expected=None)

    def meet(method: str, fault: object) -> None:
        sim.server.intercept = lambda request: fault if request.method == method else None  # type: ignore[return-value,assignment]

    attempts: list[tuple[str, object, Callable[[], object], type[RotatorError], str]] = [
        ("GET", VaultAnswerInstead(403), lambda: backend.read(place), RefusedError, "permission denied"),
        ("GET", VaultAnswerInstead(200), lambda: backend.read(place), UnavailableError, "is not one of Vault's"),
        (
            "PUT",
            VaultAnswerInstead(403),
            lambda: backend.write(place, RECORD, expected=version),
            RefusedError,
            "permission denied",
        ),
        (
            "PUT",
            HangUpAfter(),
            lambda: backend.write(place, RECORD, expected=version),
            OutcomeUnknownError,
            "the connection broke (RemoteDisconnected)",
        ),
    ]
    for method, fault, attempt, kind, what in attempts:
        meet(method, fault)
        sim.server.calls.clear()
        assert failing(attempt, by=kind)[0].endswith(what)
        assert sum(call.method == method for call in sim.server.calls) == 1


def test_an_annotation_that_fails_does_not_undo_the_write(sim: Simulated) -> None:
    """The record is there; what is told of it can wait for the next one."""
    backend = sim.backend(metadata=True)
    backend.read(PLACE)
    for fault in (HangUpAfter(), VaultAnswerInstead(403), VaultAnswerInstead(500)):
        sim.server.intercept = lambda request, fault=fault: fault if "/metadata/" in request.path else None
        stored = backend.read(PLACE)
        version = backend.write(PLACE, RECORD, expected=stored.version if stored else None)
        assert backend.read(PLACE) is not None
        assert version.partition("@")[0] == str(sim.raw(PLACE)["metadata"]["version"])
