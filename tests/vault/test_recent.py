"""A rotation reads its record once before it writes it, and relies on that for a moment and no longer."""

from __future__ import annotations

import pytest

from rotator.errors import ConflictError
from rotator.model import Secret, Version
from rotator_backends.vault_kv import State, VaultLocation
from rotator_backends.vault_recent import MOMENT, Recent
from tests.vault.failing import PLACE
from tests.vault.lab import Simulated

RECORD = VaultLocation("secret", "ci")
THERE = State({"token_id": "a"}, 3, Version("3@then"))


def paths(sim: Simulated) -> list[str]:
    """Tell what was asked since it was last told."""
    calls, sim.server.calls = sim.server.calls, []
    return [f"{call.method} {call.path}" for call in calls]


def test_a_rotation_asks_four_times(sim: Simulated) -> None:
    """Reading, what may be done, writing, reading back: nothing twice, and no look at what is mounted."""
    backend = sim.backend()
    backend.write(PLACE, {"token_id": Secret("a")}, expected=None)
    backend = sim.backend()
    paths(sim)
    found = backend.read(PLACE)
    assert found is not None
    backend.preflight(PLACE)
    backend.write(PLACE, {"token_id": Secret("b")}, expected=found.version)
    backend.read(PLACE)
    assert paths(sim) == [
        "GET secret/data/ci",
        "PUT sys/capabilities-self",
        "PUT secret/data/ci",
        "GET secret/data/ci",
    ]


def test_without_a_preflight_a_write_reads_for_itself(sim: Simulated) -> None:
    """A record that was deleted in between has the same number, so that only reading shows it."""
    backend = sim.backend()
    version = backend.write(PLACE, {"token_id": Secret("a")}, expected=None)
    backend.read(PLACE)
    sim.admin().secrets.kv.v2.delete_latest_version_of_secret("ci", mount_point="secret")
    with pytest.raises(ConflictError, match="was removed by somebody else"):
        backend.write(PLACE, {"token_id": Secret("b")}, expected=version)


def test_a_record_that_was_written_since_is_a_conflict(sim: Simulated) -> None:
    """The server compares the number that is relied on."""
    backend, other = sim.backend(), sim.backend()
    version = backend.write(PLACE, {"token_id": Secret("a"), "mine": Secret("1")}, expected=None)
    backend.read(PLACE)
    backend.preflight(PLACE)
    other.write(PLACE, {"token_id": Secret("x")}, expected=version)
    with pytest.raises(ConflictError):
        backend.write(PLACE, {"token_id": Secret("b")}, expected=version)
    found = backend.read(PLACE)
    assert found is not None
    assert found.fields["token_id"] == Secret("x")


def test_what_was_read_is_relied_on_once() -> None:
    """A write that is repeated must see what came of the first."""
    recent = Recent(lambda: 0.0)
    recent.saw(RECORD, THERE)
    assert recent.promise(RECORD) == THERE
    assert recent.promised(RECORD, THERE.version) == THERE
    assert recent.promised(RECORD, THERE.version) is None


def test_what_confirms_a_write_is_not_kept() -> None:
    """No write follows it, and a service may ask nothing more for hours: so long the record would be in its memory."""
    recent = Recent(lambda: 0.0)
    recent.saw(RECORD, THERE)
    recent.wrote(RECORD)
    recent.saw(RECORD, THERE)
    assert recent.promise(RECORD) is None
    recent.saw(RECORD, THERE)
    assert recent.promise(RECORD) == THERE


def test_the_next_rotation_asks_four_times_too(sim: Simulated) -> None:
    """Only what is read between the two is not kept."""
    backend = sim.backend()
    version = backend.write(PLACE, {"token_id": Secret("a")}, expected=None)
    for value in ("b", "c"):
        paths(sim)
        backend.read(PLACE)
        backend.preflight(PLACE)
        version = backend.write(PLACE, {"token_id": Secret(value)}, expected=version)
        backend.read(PLACE)
        assert len(paths(sim)) == 4
        backend.preflight(PLACE)
        assert "GET sys/health" in paths(sim)


def test_what_was_read_is_relied_on_only_where_it_is_expected() -> None:
    """A decision that was made on another version is not carried out on this one."""
    recent = Recent(lambda: 0.0)
    recent.saw(RECORD, THERE)
    recent.promise(RECORD)
    assert recent.promised(RECORD, Version("2@before")) is None


def test_what_was_not_promised_is_not_relied_on() -> None:
    """Only a preflight says that a write is to come."""
    recent = Recent(lambda: 0.0)
    recent.saw(RECORD, THERE)
    assert recent.promised(RECORD, THERE.version) is None


def test_nothing_is_known_where_nothing_is() -> None:
    """An absent or a deleted record may be made by anybody, and its number need not change."""
    recent = Recent(lambda: 0.0)
    for state in (State(None), State(None, 3, Version("3@then"))):
        recent.saw(RECORD, THERE)
        recent.saw(RECORD, state)
        assert recent.promise(RECORD) is None


@pytest.mark.parametrize(("passed", "is_known"), [(MOMENT - 0.1, True), (MOMENT, False)])
def test_a_moment_is_short(passed: float, *, is_known: bool) -> None:
    """After it a preflight asks for everything, and a write reads for itself."""
    now = [0.0]
    recent = Recent(lambda: now[0])
    recent.saw(RECORD, THERE)
    now[0] += passed
    assert (recent.promise(RECORD) is not None) is is_known
    assert (recent.promised(RECORD, THERE.version) is not None) is is_known


def test_closing_forgets() -> None:
    """Nothing outlives the connections."""
    recent = Recent(lambda: 0.0)
    recent.saw(RECORD, THERE)
    recent.promise(RECORD)
    recent.forget()
    assert recent.promised(RECORD, THERE.version) is None
