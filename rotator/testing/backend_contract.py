"""What every backend must do, as tests: subclass ``BackendContract``, give it a ``subject``, and run pytest.

::

    class TestMyBackend(BackendContract):
        refuses = {"odd-key"}  # kinds of fields that the store cannot hold, see KINDS

        @pytest.fixture
        def subject(self) -> Subject:
            return Subject(MyBackend.configure({...}), fresh=lambda: {"path": f"secret/{uuid4()}"})

Where the test can reach behind the backend's back, ``TamperContract`` adds what must hold when others write there. Only
tests import this module: it needs pytest, which the product does not depend on.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import pytest

from rotator.backend import Backend
from rotator.errors import ConfigError, ConflictError, RefusedError, RotatorError
from rotator.model import Secret, Stored, Version

_Result = TypeVar("_Result")

Location = Any
"""Each backend has its own kind."""

MANY = 50
"""Writes in a row, none of which may repeat a version."""
RACES = 200
"""Rounds of two writers with one version."""
_BOTH = 2
_LONG = 8 * 1024
_LONG_KEY = 200

KINDS: Mapping[str, tuple[str, str]] = {
    "white-space": ("token_secret", " two  blanks\tand a tab "),
    "newline": ("token_secret", "one\ntwo\r\nthree\n"),
    "quotes": ("token_secret", 'it\'s "quoted" by `both` and $HOME'),
    "backslash": ("token_secret", "C:\\new\\table\\"),
    "comment": ("token_secret", "before #after"),
    "latin": ("token_secret", "Grüße-ÆØÅ"),
    "cyrillic": ("token_secret", "пароль"),
    "cjk": ("token_secret", "密碼"),
    "emoji": ("token_secret", "🔑👩‍💻"),
    "number-like": ("token_secret", "0777"),
    "truth-like": ("token_secret", "yes"),
    "empty": ("token_secret", ""),
    "long": ("token_secret", "x" * _LONG),
    "foreign-key": ("PROXMOX_VE_API_TOKEN", "ci@pve!ci=1"),
    "long-key": ("k" * _LONG_KEY, "value-of-the-long-key"),
    "odd-key": ("a key.with/odd=signs: #1", "value-of-the-odd-one"),
    "unicode-key": ("ключ", "value-of-the-cyrillic-one"),
}
"""Fields by the name of what is special about them."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is tested: a backend, and the settings of a new destination, where nothing is, at every call."""

    backend: Backend
    fresh: Callable[[], Mapping[str, Any]]

    def place(self) -> Location:
        """Return a location where nothing is."""
        return self.backend.locate(self.fresh())[0]

    def present(self, location: Location) -> Stored:
        """Read what must be there."""
        stored = self.backend.read(location)
        if stored is None:
            raise AssertionError("what was written is not there")
        return stored


def must(holds: object, claim: str) -> None:
    """Fail with a sentence, and without the values: they are secrets in a test of a real store."""
    if not holds:
        raise AssertionError(claim)


def pair(number: int) -> dict[str, Secret]:
    """Make an id and a secret that belong together, as both show."""
    return {
        "token_id": Secret(f"ci@pve!ci-{number}-abcde"),
        "token_secret": Secret(f"{number:08d}-5ec7-4e75-8000-c0ffee000000"),
    }


def are_a_pair(fields: Mapping[str, Secret]) -> bool:
    """Say whether an id and a secret belong together."""
    number = int(fields["token_secret"].reveal().partition("-")[0])
    return {key: fields[key] for key in ("token_id", "token_secret")} == pair(number)


def shown(error: BaseException) -> str:
    """Return all that an error and those behind it could show to anybody."""
    behind = [error.__cause__, error.__context__]
    parts = [str(error), repr(error), repr(error.args), repr(getattr(error, "__dict__", ""))]
    parts += traceback.format_exception_only(error)
    return "\n".join(parts + [shown(other) for other in behind if other is not None])


def refused(attempt: Callable[[], object], *, by: type[RotatorError]) -> RotatorError:
    """Return the error that an attempt must end with."""
    try:
        attempt()
    except by as error:
        return error
    raise AssertionError(f"it was not refused by {by.__name__}")


def at_once(*attempts: Callable[[], _Result]) -> list[Future[_Result]]:
    """Start all attempts at the same moment, each in a thread, and return how they ended."""
    start = threading.Barrier(len(attempts))

    def started(attempt: Callable[[], _Result]) -> _Result:
        start.wait()
        return attempt()

    with ThreadPoolExecutor(len(attempts)) as pool:
        return [pool.submit(started, attempt) for attempt in attempts]


class BackendContract:
    """What holds for every backend. A subclass gives the fixture ``subject``."""

    refuses: ClassVar[AbstractSet[str]] = frozenset()
    """The ``KINDS`` that the store cannot hold; those must be refused, all others kept."""

    def test_nothing_is_read_as_none(self, subject: Subject) -> None:
        """Where there is no record, there is None, and not an error."""
        must(subject.backend.read(subject.place()) is None, "an absent record is read as None")

    def test_a_record_is_read_as_it_was_written(self, subject: Subject) -> None:
        """A created record has the fields and the version that the write returned."""
        place = subject.place()
        version = subject.backend.write(place, pair(1), expected=None)
        stored = subject.present(place)
        must(dict(stored.fields) == pair(1), "the fields are read as they were written")
        must(stored.version == version, "the version that a write returns is the one that is read")

    def test_a_record_is_created_once(self, subject: Subject) -> None:
        """A second create is a conflict and changes nothing."""
        place = subject.place()
        subject.backend.write(place, pair(1), expected=None)
        before = subject.present(place)
        refused(lambda: subject.backend.write(place, pair(2), expected=None), by=ConflictError)
        must(subject.present(place) == before, "a conflict changes nothing")

    def test_a_record_that_is_gone_is_a_conflict(self, subject: Subject) -> None:
        """A version of another record does not open a place where nothing is."""
        place, other = subject.place(), subject.place()
        version = subject.backend.write(other, pair(1), expected=None)
        refused(lambda: subject.backend.write(place, pair(2), expected=version), by=ConflictError)
        must(subject.backend.read(place) is None, "a conflict creates nothing")

    def test_the_expected_version_is_replaced(self, subject: Subject) -> None:
        """A write on the version that is there succeeds."""
        place = subject.place()
        first = subject.backend.write(place, pair(1), expected=None)
        second = subject.backend.write(place, pair(2), expected=first)
        must(subject.present(place) == Stored(pair(2), second), "the second write is there")

    def test_an_old_version_is_a_conflict(self, subject: Subject) -> None:
        """A write on a version that others have replaced changes nothing, visibly so even without compare-and-set."""
        place = subject.place()
        first = subject.backend.write(place, pair(1), expected=None)
        subject.backend.write(place, pair(2), expected=first)
        before = subject.present(place)
        refused(lambda: subject.backend.write(place, pair(3), expected=first), by=ConflictError)
        must(subject.present(place) == before, "a conflict changes nothing")

    def test_a_repeated_write_is_a_conflict(self, subject: Subject) -> None:
        """The same call again has lost, although its own first effect is what beat it."""
        place = subject.place()
        first = subject.backend.write(place, pair(1), expected=None)
        subject.backend.write(place, pair(2), expected=first)
        refused(lambda: subject.backend.write(place, pair(2), expected=first), by=ConflictError)

    def test_an_unchanged_write_makes_a_new_version(self, subject: Subject) -> None:
        """The fence works: whoever holds the version before it can no longer write."""
        place = subject.place()
        first = subject.backend.write(place, pair(1), expected=None)
        second = subject.backend.write(place, pair(1), expected=first)
        must(dict(subject.present(place).fields) == pair(1), "an unchanged write changes no field")
        if subject.backend.traits.compare_and_set:
            must(first != second, "an unchanged write makes a new version")
            refused(lambda: subject.backend.write(place, pair(2), expected=first), by=ConflictError)

    def test_no_version_comes_back(self, subject: Subject) -> None:
        """Versions never repeat, also where the content goes to and fro."""
        place = subject.place()
        versions: list[Version] = []
        for number in range(MANY):
            expected = versions[-1] if versions else None
            versions.append(subject.backend.write(place, pair(number % _BOTH), expected=expected))
        if subject.backend.traits.compare_and_set:
            must(len(set(versions)) == MANY, "every write makes a version that never was")

    def test_reading_makes_no_version(self, subject: Subject) -> None:
        """Two looks at one state agree."""
        place = subject.place()
        subject.backend.write(place, pair(1), expected=None)
        must(subject.present(place) == subject.present(place), "two reads of one state are equal")

    def test_only_the_given_keys_change(self, subject: Subject) -> None:
        """A key that is not written stays."""
        place = subject.place()
        first = subject.backend.write(place, pair(1), expected=None)
        subject.backend.write(place, {"token_secret": pair(2)["token_secret"]}, expected=first)
        wanted = {"token_id": pair(1)["token_id"], "token_secret": pair(2)["token_secret"]}
        must(dict(subject.present(place).fields) == wanted, "a key that is not given stays")

    @pytest.mark.parametrize("kind", KINDS)
    def test_fields_of_every_kind_are_kept_or_refused(self, subject: Subject, kind: str) -> None:
        """What a store cannot hold it refuses without a trace; all else is read back to the letter."""
        place = subject.place()
        first = subject.backend.write(place, pair(1), expected=None)
        before = subject.present(place)
        key, value = KINDS[kind]
        if kind in self.refuses:
            error = refused(lambda: subject.backend.write(place, {key: Secret(value)}, expected=first), by=RefusedError)
            must(not isinstance(error, ConflictError), "a field that cannot be held is no conflict")
            must(not value or value not in shown(error), "the refusal shows the value")
            must(subject.present(place) == before, "a refusal changes nothing")
            return
        second = subject.backend.write(place, {key: Secret(value)}, expected=first)
        must(dict(subject.present(place).fields) == {**pair(1), key: Secret(value)}, f"{kind} is kept to the letter")
        subject.backend.write(place, {"token_id": pair(2)["token_id"]}, expected=second)
        must(subject.present(place).fields[key] == Secret(value), f"{kind} survives a write of another key")

    def test_of_two_writers_one_wins(self, subject: Subject) -> None:
        """Of two writes on one version exactly one succeeds, in every round, and its record is what is there."""
        place = subject.place()
        version = subject.backend.write(place, pair(0), expected=None)
        for number in range(1, RACES * _BOTH, _BOTH):
            rivals = [_writing(subject.backend, place, pair(number + turn), version) for turn in range(_BOTH)]
            ends = at_once(*rivals)
            version = self._judged(subject, place, number, ends)

    def _judged(self, subject: Subject, place: Location, number: int, ends: list[Future[Version]]) -> Version:
        stored = subject.present(place)
        must(are_a_pair(stored.fields), "the record is of one writer")
        errors = [end.exception() for end in ends]
        must(all(isinstance(error, ConflictError | None) for error in errors), "the loser meets a conflict")
        winners = [turn for turn, error in enumerate(errors) if error is None]
        if subject.backend.traits.compare_and_set:
            must(len(winners) == 1, "exactly one of two writers wins")
            must(dict(stored.fields) == pair(number + winners[0]), "the record is the winner's")
            must(ends[winners[0]].result() == stored.version, "the version is the winner's")
        return stored.version

    def test_readers_never_see_half_a_record(self, subject: Subject) -> None:
        """While a record is written, its id and its secret always belong together."""
        place = subject.place()
        first = subject.backend.write(place, pair(0), expected=None)
        done = threading.Event()
        writing, reading = at_once(
            lambda: _written_often(subject.backend, place, first, done),
            lambda: [are_a_pair(subject.present(place).fields) for _ in _until(done)].count(False),
        )
        must(writing.result() == 0, "writing failed")
        must(reading.result() == 0, "a reader saw an id with the secret of another")

    def test_a_preflight_changes_nothing(self, subject: Subject) -> None:
        """Whether there is a record or not, it is as it was, and the write that follows succeeds."""
        place = subject.place()
        subject.backend.preflight(place)
        must(subject.backend.read(place) is None, "a preflight creates nothing")
        version = subject.backend.write(place, pair(1), expected=None)
        before = subject.present(place)
        subject.backend.preflight(place)
        must(subject.present(place) == before, "a preflight changes nothing, not even the version")
        subject.backend.write(place, pair(2), expected=version)

    def test_errors_carry_no_value(self, subject: Subject) -> None:
        """Neither what is there nor what was to be written stands in an error or behind it."""
        place = subject.place()
        subject.backend.write(place, pair(1), expected=None)
        error = refused(lambda: subject.backend.write(place, pair(2), expected=None), by=ConflictError)
        for number in (1, 2):
            must(pair(number)["token_secret"].reveal() not in shown(error), "an error shows a secret")

    def test_nothing_shows_a_value(self, subject: Subject) -> None:
        """The backend, its locations and its records can be printed and logged."""
        place = subject.place()
        version = subject.backend.write(place, pair(1), expected=None)
        things = (subject.backend, vars(subject.backend), place, subject.present(place), version)
        text = " ".join(f"{thing!r} {thing}" for thing in things)
        must(pair(1)["token_secret"].reveal() not in text, "a repr shows a secret")

    def test_one_place_has_one_label(self, subject: Subject) -> None:
        """The same settings give an equal, hashable location and the same label; other settings give others."""
        settings, other = subject.fresh(), subject.fresh()
        must({subject.backend.locate(settings)} == {subject.backend.locate(settings)}, "locating twice gives the same")
        must(subject.backend.locate(settings)[1] != subject.backend.locate(other)[1], "two places have two labels")

    def test_all_faults_of_settings_are_told_at_once(self, subject: Subject) -> None:
        """A message names every key that is not a setting, a line each."""
        wrong = {"no-such-setting": 1, "nor-this-one": 2}
        for attempt in (type(subject.backend).configure, subject.backend.locate):
            lines = refused(lambda attempt=attempt: attempt(wrong), by=ConfigError).message.splitlines()  # type: ignore[misc]
            for key in wrong:
                must(sum(key in line for line in lines) == 1, "each wrong setting has a line of its own")

    def test_a_backend_is_closed_as_often_as_one_likes(self, subject: Subject) -> None:
        """The second close does nothing."""
        subject.backend.close()
        subject.backend.close()


@dataclass(frozen=True, slots=True)
class Tampering:
    """Ways to a record that do not lead through the backend."""

    raw: Callable[[Location], bytes]
    """What the store holds at a location, to the byte, whatever it is."""
    garble: Callable[[Location], None]
    """Make the record unreadable."""
    edit: Callable[[Location], None]
    """Change the record as a person would, leaving ``token_id`` and ``token_secret`` alone."""


class TamperContract(BackendContract):
    """What also holds when others write there. A subclass gives the fixture ``tampering``, too."""

    def test_what_cannot_be_read_is_never_overwritten(self, subject: Subject, tampering: Tampering) -> None:
        """A record that makes no sense is refused by reads and writes, and stays as it is."""
        place = subject.place()
        version = subject.backend.write(place, pair(1), expected=None)
        tampering.garble(place)
        before = tampering.raw(place)
        secret = pair(1)["token_secret"].reveal()
        must(secret not in shown(refused(lambda: subject.backend.read(place), by=RefusedError)), "an error shows it")
        for expected in (version, None):
            attempt = _writing(subject.backend, place, pair(2), expected)
            must(secret not in shown(refused(attempt, by=RefusedError)), "an error shows a secret")
        must(tampering.raw(place) == before, "what cannot be read stays as it is")

    def test_a_change_by_others_is_a_conflict(self, subject: Subject, tampering: Tampering) -> None:
        """An edit makes a new version, as a write does, and what was edited is kept by the next write."""
        place = subject.place()
        version = subject.backend.write(place, pair(1), expected=None)
        tampering.edit(place)
        edited = tampering.raw(place)
        refused(_writing(subject.backend, place, pair(2), version), by=ConflictError)
        must(tampering.raw(place) == edited, "a conflict changes nothing")
        subject.backend.write(place, pair(2), expected=subject.present(place).version)
        must(are_a_pair(subject.present(place).fields), "the write on the new version is there")

    def test_a_refused_write_changes_no_byte(self, subject: Subject, tampering: Tampering) -> None:
        """After a conflict the store holds to the byte what it held before."""
        place = subject.place()
        subject.backend.write(place, pair(1), expected=None)
        before = tampering.raw(place)
        refused(_writing(subject.backend, place, pair(2), None), by=ConflictError)
        must(tampering.raw(place) == before, "a conflict changes no byte")


def _writing(
    backend: Backend,
    place: Location,
    fields: Mapping[str, Secret],
    expected: Version | None,
) -> Callable[[], Version]:
    return lambda: backend.write(place, fields, expected=expected)


def _written_often(backend: Backend, place: Location, version: Version, done: threading.Event) -> int:
    try:
        for number in range(1, MANY + 1):
            version = backend.write(place, pair(number), expected=version)
    finally:
        done.set()
    return 0


def _until(done: threading.Event) -> Iterator[None]:
    """Go on until it is done, and once more."""
    while not done.is_set():
        yield
    yield
