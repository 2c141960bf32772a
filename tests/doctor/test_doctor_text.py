"""What doctor says to people: findings first, and what can never be seen in one line."""

from __future__ import annotations

from rotator.testing.state import Holder
from tests.doctor.clinic import OPERATOR, Clinic

HIDDEN = "not known: {} that cannot be seen from here; -v lists them"
LOOKER = Holder("user", OPERATOR)


def least(clinic: Clinic) -> None:
    """Take from the operator whatever it does not need."""
    clinic.pve.cluster.plant(lambda state: state.without_grant("/", LOOKER, "Looker"))


def lines(clinic: Clinic, *arguments: str, exit_code: int = 0) -> list[str]:
    """Return what is printed for people."""
    result = clinic.call("doctor", *arguments)
    assert result.exit_code == exit_code, result.output
    return result.stdout.splitlines()


def test_what_the_least_operator_cannot_see_is_one_line(clinic: Clinic) -> None:
    """A healthy set-up is a short list of what is fine, by name as well."""
    least(clinic)
    fine = [f"{it['kind']} {it['name']}  fine" for it in clinic.doctor()]
    assert len(fine) == 4
    assert lines(clinic) == lines(clinic, "ci") == [*fine, HIDDEN.format("4 things")]


def test_verbose_lists_each_where_it_belongs(clinic: Clinic) -> None:
    """The same that is in JSON; and nothing is counted then."""
    least(clinic)
    unknown = [what for it in clinic.doctor() for what in it["unknown"]]
    said = lines(clinic, "-v")
    assert [line.strip().removeprefix("not known: ") for line in said if "not known" in line] == unknown
    assert len(unknown) == 4
    assert "    not known: whether 127.0.0.1:" in "\n".join(said)
    assert " belongs to the majority: " in "\n".join(said)


def test_one_thing_is_one_thing(clinic: Clinic) -> None:
    """Where the operator sees more, less is not known."""
    assert lines(clinic)[-1] == HIDDEN.format("1 thing")


def test_findings_do_not_drown_in_what_is_not_known(clinic: Clinic) -> None:
    """It is counted there, too."""
    least(clinic)
    clinic.change_user(groups=frozenset(), enable=False)
    said = lines(clinic, exit_code=5)
    assert [line for line in said if "not known" in line] == [said[-1]]


def test_what_was_not_examined_is_not_called_fine(clinic: Clinic) -> None:
    """Without the record nothing is known of the credential, and that is said at once."""
    (clinic.folder / "ci.json").unlink()
    (clinic.folder / "ci.json").mkdir()
    said = lines(clinic, exit_code=4)
    where = said.index("credential ci  not examined")
    assert said[where + 1] == "    not known: whether what its consumers read works: the record was not read"
