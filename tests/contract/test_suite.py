"""The contract suite itself: it passes what keeps the contract, and catches each way to break it."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable

import pytest

from rotator.errors import RotatorError
from rotator.testing.backend_contract import BackendContract, Subject
from tests.contract import memory


def subject_of(kind: type[memory.MemoryBackend]) -> Subject:
    """Make a subject of a new backend of a kind."""
    numbers = itertools.count()
    return Subject(kind(), lambda: {"name": f"place-{next(numbers)}"})


class TestMemory(BackendContract):
    """The smallest backend passes."""

    @pytest.fixture
    def subject(self) -> Subject:
        """Give a new store."""
        return subject_of(memory.MemoryBackend)


class TestPlainStore(BackendContract):
    """A store that declares that it cannot compare and set passes with what it can."""

    @pytest.fixture
    def subject(self) -> Subject:
        """Give a new store."""
        return subject_of(memory.PlainStore)


Claim = Callable[[BackendContract, Subject], None]


def kept(suite: BackendContract, subject: Subject) -> None:
    """Run the claim about kinds of fields with one that white space matters to."""
    suite.test_fields_of_every_kind_are_kept_or_refused(subject, "newline")


def refusing(_: BackendContract, subject: Subject) -> None:
    """Run the claim about kinds of fields with one that should be refused."""

    class Refusing(BackendContract):
        refuses = frozenset({"newline"})

    Refusing().test_fields_of_every_kind_are_kept_or_refused(subject, "newline")


@pytest.mark.parametrize(
    ("broken", "claim"),
    [
        (memory.Empty, BackendContract.test_nothing_is_read_as_none),
        (memory.Losing, BackendContract.test_the_expected_version_is_replaced),
        (memory.Lagging, BackendContract.test_a_record_is_read_as_it_was_written),
        (memory.Lagging, BackendContract.test_reading_makes_no_version),
        (memory.Recreating, BackendContract.test_a_record_is_created_once),
        (memory.Resurrecting, BackendContract.test_a_record_that_is_gone_is_a_conflict),
        (memory.Overwriting, BackendContract.test_an_old_version_is_a_conflict),
        (memory.Overwriting, BackendContract.test_a_repeated_write_is_a_conflict),
        (memory.Overwriting, BackendContract.test_of_two_writers_one_wins),
        (memory.Racing, BackendContract.test_of_two_writers_one_wins),
        (memory.Hashing, BackendContract.test_an_unchanged_write_makes_a_new_version),
        (memory.Hashing, BackendContract.test_no_version_comes_back),
        (memory.Replacing, BackendContract.test_only_the_given_keys_change),
        (memory.Stripping, kept),
        (memory.MemoryBackend, refusing),
        (memory.Halving, BackendContract.test_readers_never_see_half_a_record),
        (memory.Preparing, BackendContract.test_a_preflight_changes_nothing),
        (memory.Talking, BackendContract.test_errors_carry_no_value),
        (memory.Showing, BackendContract.test_nothing_shows_a_value),
        (memory.Forgetful, BackendContract.test_one_place_has_one_label),
        (memory.Hasty, BackendContract.test_all_faults_of_settings_are_told_at_once),
        (memory.CloseOnce, BackendContract.test_a_backend_is_closed_as_often_as_one_likes),
    ],
)
def test_a_broken_promise_is_caught(broken: type[memory.MemoryBackend], claim: Claim) -> None:
    """Each broken backend fails the claim that it breaks."""
    with pytest.raises((AssertionError, RotatorError)):
        claim(BackendContract(), subject_of(broken))


def test_every_broken_backend_is_used() -> None:
    """A way to break the contract that nothing catches would stand there for nothing."""
    broken = {
        name
        for name, kind in inspect.getmembers(memory, inspect.isclass)
        if issubclass(kind, memory.MemoryBackend) and kind not in {memory.MemoryBackend, memory.PlainStore}
    }
    assert all(f"memory.{name}," in inspect.getsource(inspect.getmodule(subject_of) or memory) for name in broken)
