"""``rotate pause`` and ``rotate resume``: one line of the configuration."""

from __future__ import annotations

import pytest

from tests.cli.lab import Lab, only


def test_pause_changes_one_line_and_shows_it(lab: Lab) -> None:
    """The file is reviewed like code, so the difference is told like code."""
    lab.add("ci")
    before = lab.config.read_text(encoding="utf-8").splitlines()
    result = lab.call("pause", "ci")
    after = lab.config.read_text(encoding="utf-8").splitlines()
    number = next(i for i, line in enumerate(after) if "paused" in line)
    assert after[:number] + after[number + 1 :] == before
    assert result.stdout.splitlines() == [
        "ci  paused from now on",
        f"    {lab.config}:{number + 1}",
        "    + paused: true",
    ]


def test_resume_shows_the_line_as_it_was_and_is(lab: Lab) -> None:
    """And the credential is rotated again."""
    lab.add("ci", paused=True)
    flagged = only(lab.json("resume", "ci")["results"])
    assert (flagged["before"], flagged["after"], flagged["changed"]) == ("paused: true", "paused: false", True)
    assert lab.config.read_text(encoding="utf-8").splitlines()[flagged["line"] - 1].strip() == "paused: false"
    assert only(lab.json("due")["results"])["done"] == ["first-issue"]


def test_what_is_so_already_is_left_alone(lab: Lab) -> None:
    """A second pause changes nothing and is no failure."""
    lab.add("ci", paused=True)
    before = lab.config.read_bytes()
    result = lab.call("pause", "ci")
    assert (result.exit_code, result.stdout) == (0, "ci  paused already; nothing was changed\n")
    assert lab.config.read_bytes() == before
    assert only(lab.json("pause", "ci")["results"])["changed"] is False


def test_several_are_changed_in_one_go(lab: Lab) -> None:
    """All names, each with its own line."""
    lab.add("ci")
    lab.add("backup")
    results = lab.json("pause", "ci", "backup")["results"]
    assert [it["credential"] for it in results] == ["ci", "backup"]
    assert lab.config.read_text(encoding="utf-8").count("paused: true") == 2


def test_a_wrong_name_changes_none_of_the_others(lab: Lab) -> None:
    """The names are looked at before anything is written."""
    lab.add("ci")
    before = lab.config.read_bytes()
    result = lab.call("pause", "ci", "cii")
    assert result.exit_code == 2
    assert "no credential 'cii'" in result.stderr
    assert lab.config.read_bytes() == before


@pytest.mark.parametrize("credentials", ["5", "true", "{a: b}", "text", "[5, {name: 3}]"])
def test_a_name_is_looked_for_in_whatever_stands_there(lab: Lab, credentials: str) -> None:
    """Somebody is in the middle of writing it: the name is not there, which is no bug."""
    lab.config.write_text(f"credentials: {credentials}\n", encoding="utf-8")
    result = lab.call("pause", "ci")
    assert (result.exit_code, "no credential 'ci'" in result.stderr) == (2, True)
    assert lab.config.read_text(encoding="utf-8") == f"credentials: {credentials}\n"


def test_a_faulty_configuration_is_not_edited(lab: Lab) -> None:
    """Exit code 3, with the place; the credential is said to be as before."""
    lab.add("ci", evry="7d")
    result = lab.call("pause", "ci")
    assert result.exit_code == 3
    assert "unknown key 'evry'" in result.stdout
    assert "    live now: it is not paused, as before" in result.stdout
    flagged = only(lab.json("pause", "ci")["results"])
    assert (flagged["exit_code"], flagged["changed"], flagged["paused"]) == (3, False, False)


def test_a_configuration_that_is_not_there_is_told(lab: Lab) -> None:
    """Exit code 3."""
    result = lab.call("pause", "ci", "-c", str(lab.folder / "none.yaml"))
    assert result.exit_code == 3
    assert "cannot be read" in result.stderr


def test_pausing_needs_no_secret(lab: Lab) -> None:
    """Who reviews the configuration on a laptop has no operator there; nobody is contacted either."""
    lab.add("ci")
    lab.environ.clear()
    assert lab.call("pause", "ci").exit_code == 0
    assert lab.pve.calls == []
