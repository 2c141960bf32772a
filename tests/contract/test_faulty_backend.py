"""The fault-injecting wrapper fails as planned, and is the inner backend in everything else."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import pytest

from rotator.backend import Backend
from rotator.errors import ConfigError, ConflictError, OutcomeUnknownError, RefusedError, UnavailableError
from rotator.model import Stored, Version
from rotator.testing.backend_contract import BackendContract, Subject, pair
from rotator.testing.faulty_backend import After, Altered, Before, Fault, FaultyBackend, Operation, Stale, every, nth
from tests.contract.memory import MemoryBackend, PlainStore


class TestFaultless(BackendContract):
    """Without a plan, and with one for calls that never come, it keeps the contract."""

    @pytest.fixture(params=[(), (Stale(nth(Operation.READ, 10**9)),)])
    def subject(self, request: pytest.FixtureRequest) -> Subject:
        """Wrap a store."""
        numbers = itertools.count()
        backend = FaultyBackend(MemoryBackend(), request.param)
        return Subject(backend, lambda: {"name": f"place-{next(numbers)}"})

    def test_all_faults_of_settings_are_told_at_once(self, subject: Subject) -> None:
        """It is not made of settings at all, and says which ones were tried."""
        with pytest.raises(ConfigError, match="no-such-setting, nor-this-one"):
            type(subject.backend).configure({"no-such-setting": 1, "nor-this-one": 2})


class PowerFailure(BaseException):
    """The end of a process, in the middle."""


ERRORS = [UnavailableError("x"), RefusedError("x"), ConflictError("x"), OutcomeUnknownError("x"), PowerFailure()]


def faulty(*plan: Fault) -> tuple[FaultyBackend, MemoryBackend, Version]:
    """Wrap a store in which there is a record, called ``ci``."""
    inner = MemoryBackend()
    version = inner.write("ci", pair(1), expected=None)
    backend = FaultyBackend(inner, plan)
    backend.locate({"name": "ci"})
    return backend, inner, version


def fields(stored: Stored | None) -> object:
    """Return what is in a record."""
    return stored and dict(stored.fields)


@pytest.mark.parametrize("error", ERRORS)
def test_before_the_effect_nothing_happens(error: BaseException) -> None:
    """The record is as it was, and the next call is let through."""
    backend, inner, version = faulty(Before(nth(Operation.WRITE, 1), error))
    with pytest.raises(type(error)) as caught:
        backend.write("ci", pair(2), expected=version)
    assert caught.value is error
    assert fields(inner.read("ci")) == pair(1)
    backend.write("ci", pair(2), expected=version)
    assert fields(inner.read("ci")) == pair(2)


@pytest.mark.parametrize("error", ERRORS)
def test_after_the_effect_it_has_happened(error: BaseException) -> None:
    """The record is the new one, although the caller does not hear of it."""
    backend, inner, version = faulty(After(nth(Operation.WRITE, 1), error))
    with pytest.raises(type(error)):
        backend.write("ci", pair(2), expected=version)
    assert fields(inner.read("ci")) == pair(2)
    with pytest.raises(ConflictError, match="faster"):
        backend.write("ci", pair(2), expected=version)


def test_a_conflict_of_the_store_comes_before_a_lost_answer() -> None:
    """What has no effect has no lost effect."""
    backend, _, _ = faulty(After(every(Operation.WRITE), OutcomeUnknownError("x")))
    with pytest.raises(ConflictError):
        backend.write("ci", pair(2), expected=None)


def test_a_stale_read_gives_what_was_before_the_last_write() -> None:
    """As many reads as are planned lag behind, then the store has caught up."""
    backend, _, version = faulty(Stale(nth(Operation.READ, 2, 3)))
    backend.write("ci", pair(2), expected=version)
    assert [fields(backend.read("ci")) for _ in range(4)] == [pair(2), pair(1), pair(1), pair(2)]


def test_a_stale_read_can_lack_a_new_record() -> None:
    """What was before the first write is nothing."""
    backend, _, _ = faulty(Stale(every(Operation.READ)))
    backend.write("new", pair(2), expected=None)
    assert backend.read("new") is None
    assert fields(backend.read("ci")) == pair(1)


def test_a_stale_read_ignores_a_write_that_failed() -> None:
    """A conflict leaves no earlier state behind."""
    backend, _, version = faulty(Stale(every(Operation.READ)))
    backend.write("ci", pair(2), expected=version)
    with pytest.raises(ConflictError):
        backend.write("ci", pair(3), expected=version)
    assert fields(backend.read("ci")) == pair(1)


def test_a_read_can_be_altered() -> None:
    """Somebody else's content comes back, but is not written."""
    backend, inner, _ = faulty(Altered(nth(Operation.READ, 1), lambda _: Stored(pair(9), Version("9"))))
    assert fields(backend.read("ci")) == pair(9)
    assert fields(backend.read("ci")) == fields(inner.read("ci")) == pair(1)


def test_preflight_and_read_fail_as_planned() -> None:
    """Each operation is counted for itself, and a predicate can look at the label."""
    plan: Iterable[Fault] = (
        Before(nth(Operation.PREFLIGHT, 2), RefusedError("second look")),
        After(lambda call: (call.operation, call.label) == (Operation.READ, "memory:ci"), UnavailableError("this one")),
    )
    backend, _, _ = faulty(*plan)
    backend.preflight("ci")
    with pytest.raises(RefusedError, match="second look"):
        backend.preflight("ci")
    assert backend.read("'other'") is None
    with pytest.raises(UnavailableError, match="this one"):
        backend.read("ci")


def test_calls_are_listed_with_their_labels() -> None:
    """Failed calls, too; a location that was never located here is called by its repr."""
    backend, _, version = faulty(Before(nth(Operation.WRITE, 1), UnavailableError("x")))
    backend.preflight("ci")
    with pytest.raises(UnavailableError):
        backend.write("ci", pair(2), expected=version)
    backend.read("other")
    assert backend.calls == [("preflight", "memory:ci"), ("write", "memory:ci"), ("read", "'other'")]


def test_it_has_the_traits_of_what_it_wraps() -> None:
    """A store without compare-and-set does not gain it."""
    assert FaultyBackend(PlainStore()).traits == PlainStore.traits
    assert FaultyBackend(MemoryBackend()).traits == MemoryBackend.traits


def test_it_is_a_backend() -> None:
    """It goes wherever one goes, around another one of its kind, too."""
    backend: Backend = FaultyBackend(FaultyBackend(MemoryBackend()))
    assert isinstance(backend, Backend)
