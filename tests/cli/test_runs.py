"""``rotate now`` and ``rotate due``."""

from __future__ import annotations

from pathlib import Path

import pytest

from rotator.marker import Marker
from rotator.testing.pve import AnswerInstead, Fault, Request
from tests.cli.lab import START, USER, Lab, only


def test_due_fills_an_empty_record_and_does_nothing_more(lab: Lab) -> None:
    """The first run issues, the second has nothing to do."""
    lab.add("ci")
    first, second = lab.json("due"), lab.json("due")
    assert only(first["results"])["done"] == ["first-issue"]
    assert only(second["results"])["done"] == []
    assert only(second["results"])["reason"] == "up-to-date"
    assert lab.tokens() == ["ci-1"]
    assert lab.works("ci")


def test_due_tells_people_what_was_done_and_until_when_it_lasts(lab: Lab) -> None:
    """One line for each credential on stdout; the steps go to stderr."""
    lab.add("ci")
    result = lab.call("due")
    assert result.stdout.startswith("ci  done (first-issue)  svc@pve!ci-1-")
    assert "next change 2026-" in result.stdout
    assert " publish " in result.stderr


def test_due_with_names_leaves_the_others_alone(lab: Lab) -> None:
    """A name is a limit."""
    lab.add("ci")
    lab.add("backup")
    assert only(lab.json("due", "backup")["results"])["credential"] == "backup"
    assert lab.tokens() == ["backup-1"]


def test_due_replaces_a_token_whose_time_has_come(lab: Lab) -> None:
    """The old one keeps working for the overlap, and PVE knows its end."""
    lab.add("ci", every="7d", overlap="1h")
    lab.call("due")
    old = lab.record("ci")
    lab.time.pass_by(days=7)
    assert only(lab.json("due")["results"])["done"] == ["due"]
    assert lab.ends_after(old["token_id"], days=7, hours=1)
    assert lab.pve.accepts(old["token_id"], old["token_secret"])
    assert lab.record("ci")["token_id"] != old["token_id"]


def test_due_leaves_out_what_is_paused(lab: Lab) -> None:
    """All means all that are meant to be rotated."""
    lab.add("ci", paused=True)
    result = lab.call("due")
    assert (result.exit_code, result.stdout) == (0, "nothing to do: no credential is left\n")
    assert lab.pve.tokens(USER) == []


def test_now_rotates_what_is_not_due(lab: Lab) -> None:
    """It was asked for, so it is done."""
    lab.add("ci")
    lab.call("due")
    assert only(lab.json("now", "ci")["results"])["done"] == ["forced"]
    assert lab.tokens() == ["ci-1", "ci-2"]


def test_now_rotates_a_paused_credential_that_is_named(lab: Lab) -> None:
    """Who names it knows what he does; with --all it is left out."""
    lab.add("ci", paused=True)
    assert lab.json("now", "--all")["results"] == []
    assert only(lab.json("now", "ci")["results"])["done"] == ["forced"]


def test_now_takes_another_overlap_for_this_run(lab: Lab) -> None:
    """The old token ends earlier than configured."""
    lab.add("ci", overlap="24h")
    lab.call("due")
    old = lab.record("ci")["token_id"]
    lab.call("now", "ci", "--overlap", "10m")
    assert lab.ends_after(old, minutes=10)


def test_now_compromised_ends_the_old_tokens_at_once(lab: Lab) -> None:
    """What others know must not work a second longer."""
    lab.add("ci")
    lab.call("due")
    lab.call("now", "ci")
    assert lab.tokens() == ["ci-1", "ci-2"]
    assert only(lab.json("now", "ci", "--compromised")["results"])["exit_code"] == 0
    assert lab.tokens() == ["ci-3"]
    assert lab.works("ci")


def test_now_all_rotates_every_credential(lab: Lab) -> None:
    """In the order of the configuration."""
    lab.add("ci")
    lab.add("backup")
    assert [it["credential"] for it in lab.json("now", "--all")["results"]] == ["ci", "backup"]
    assert lab.tokens() == ["backup-1", "ci-1"]


def test_a_name_given_twice_is_rotated_once(lab: Lab) -> None:
    """A repeated word is not a second wish."""
    lab.add("ci")
    lab.call("now", "ci", "ci")
    assert lab.tokens() == ["ci-1"]


def test_now_and_due_go_through_one_at_a_time_when_told_so(lab: Lab) -> None:
    """--parallel 1 is for a cluster that has enough to do."""
    lab.add("ci")
    lab.add("backup")
    steps = [line.split()[1] for line in lab.call("due", "--parallel", "1").stderr.splitlines()]
    assert steps == sorted(steps, key=["ci", "backup"].index)


@pytest.mark.parametrize("command", [("now", "ci"), ("due",)])
def test_dry_run_prints_the_plan_and_changes_nothing(lab: Lab, command: tuple[str, ...]) -> None:
    """What it prints is what the run would do next, down to the order of the steps."""
    lab.add("ci")
    found = lab.json(*command, "--dry-run")
    assert [step["step"] for step in only(found["results"])["steps"]] == [
        "preflight",
        "issue",
        "verify",
        "publish",
        "confirm",
        "mark",
    ]
    assert {call.method for call in lab.pve.calls} == {"GET"}
    assert not (lab.folder / "ci.json").exists()


def test_dry_run_knows_what_else_was_asked_for(lab: Lab) -> None:
    """The plan of a compromised token revokes instead of retiring."""
    lab.add("ci")
    lab.call("due")
    usual, urgent = (
        {step["step"] for step in only(lab.json("now", "ci", "--dry-run", *more)["results"])["steps"]}
        for more in ((), ("--compromised",))
    )
    assert "retire" in usual - urgent
    assert "revoke" in urgent - usual


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "which? give names, or --all"),
        (("ci", "--all"), "either names or --all"),
        (("--all", "--compromised"), "say --yes"),
        (("ci", "--compromised", "--overlap", "1h"), "it goes with no --overlap"),
        (("ci", "--wait", "--dry-run"), "nothing to wait for"),
        (("ci", "--overlap", "60"), "a number without a unit"),
        (("ci", "--parallel", "0"), "0 is not in the range"),
        (("cii",), "did you mean 'ci'?"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_happens(
    lab: Lab, arguments: tuple[str, ...], told: str
) -> None:
    """Exit code 2, and PVE was not asked anything."""
    lab.add("ci")
    result = lab.call("now", *arguments)
    assert result.exit_code == 2
    assert told in result.stderr
    assert result.stdout == ""
    assert lab.pve.calls == []


def test_compromised_for_all_is_done_with_yes(lab: Lab) -> None:
    """It is possible, but not by accident."""
    lab.add("ci")
    lab.call("due")
    assert lab.call("now", "--all", "--compromised", "--yes").exit_code == 0
    assert lab.tokens() == ["ci-2"]


def test_a_failure_says_what_failed_what_is_live_and_what_to_do(lab: Lab) -> None:
    """The three things that somebody wants to know at night."""
    lab.add("ci")
    lab.call("due")
    before = lab.record("ci")

    def refuse(request: Request) -> Fault | None:
        return AnswerInstead(403, "Permission check failed") if request.method == "POST" else None

    lab.pve.intercept = refuse
    result = lab.call("now", "ci")
    assert result.exit_code == 4
    first, live, *rest = result.stdout.splitlines()
    assert first.startswith("ci  failed (issue)  ")
    assert live == f"    live now: {before['token_id']} is still published"
    assert all(line.startswith("    do: ") for line in rest)
    assert lab.works("ci")


def test_a_failure_tells_a_script_the_step(lab: Lab) -> None:
    """The step that failed is a word of its own, beside the reason for the rotation."""
    path = lab.add("ci")
    path.parent.chmod(0o700)
    lab.pve.intercept = lambda request: AnswerInstead(403, "no") if request.method == "POST" else None
    failed = only(lab.json("now", "ci")["results"])
    assert (failed["step"], failed["reason"], failed["exit_code"]) == ("issue", "forced", 4)


def test_a_cluster_that_is_down_fails_its_own_credentials_only(empty_lab: Lab) -> None:
    """The others are rotated, and the exit code tells of the failure."""
    lab = empty_lab
    lab.add_cluster("one")
    lab.add_cluster("two")
    lab.add("ci")
    lab.add("backup", cluster="two")
    lab.pve.nodes[0].down = True
    found = lab.json("due")
    assert found["exit_code"] == 4
    assert [(it["reason"], it["live"]) for it in found["results"]] == [
        ("cluster-unreachable", "nothing was touched"),
        ("up-to-date", ""),
    ]
    assert lab.works("backup")


def test_somebody_elses_rotation_is_left_alone(lab: Lab) -> None:
    """Exit code 6: nothing is wrong, and nothing was done."""
    lab.add("ci")
    lab.call("due")
    marker = Marker("lab", "ci", "0123456789ab", START, "ci-1-aaaaa")
    lab.watch(lab.pve.add_token(USER, "ci-2-bbbbb", comment=marker.comment()))
    result = lab.call("due")
    assert result.exit_code == 6
    assert result.stdout.startswith("ci  waiting (rotation-in-flight)  svc@pve!ci-2-bbbbb was issued at")
    assert lab.json("due")["exit_code"] == 6


def test_a_lost_configuration_file_names_all_the_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who starts a CronJob without a configuration learns where one could be."""
    lab = Lab(tmp_path, None, lambda _: None)  # type: ignore[arg-type] # no clock is needed
    monkeypatch.chdir(tmp_path)
    result = lab.call("due", env={"ROTATE_CONFIG": "", "HOME": str(tmp_path)})
    assert result.exit_code == 3
    assert "./rotate.yaml, ~/.config/rotate/rotate.yaml, /etc/rotate/rotate.yaml" in result.stderr
    assert "do: name it with --config PATH, or make one: rotate init" in result.stderr


def test_who_has_no_home_is_told_of_the_other_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a container's user of any number, whom nobody has given a HOME: ``~`` means nothing."""
    lab = Lab(tmp_path, None, lambda _: None)  # type: ignore[arg-type] # no clock is needed
    monkeypatch.chdir(tmp_path)
    result = lab.call("due", env={"ROTATE_CONFIG": "", "HOME": "~"})
    assert result.exit_code == 3
    assert "no configuration" in result.stderr


def test_a_home_that_cannot_be_looked_into_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who was started as another user may have that one's home; here a path that no system call takes."""
    lab = Lab(tmp_path, None, lambda _: None)  # type: ignore[arg-type] # no clock is needed
    monkeypatch.chdir(tmp_path)
    result = lab.call("due", env={"ROTATE_CONFIG": "", "HOME": "/" + "x" * 300})
    assert result.exit_code == 3
    assert "no configuration" in result.stderr


@pytest.mark.parametrize("place", ["rotate.yaml", ".config/rotate/rotate.yaml"])
def test_the_configuration_is_found_in_its_usual_places(lab: Lab, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither option nor variable is needed for what lies where everybody puts it."""
    lab.add("ci")
    home = lab.folder / "home"
    (home / place).parent.mkdir(parents=True, exist_ok=True)
    (home / place).write_text(lab.config.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.chdir(home)
    assert lab.call("due", env={"ROTATE_CONFIG": "", "HOME": str(home)}).exit_code == 0


def test_the_option_beats_the_variable(lab: Lab) -> None:
    """The nearest wins."""
    lab.add("ci")
    assert lab.call("due", "-c", str(lab.config), env={"ROTATE_CONFIG": "/nowhere"}).exit_code == 0


def test_verbose_shows_the_start_of_each_step_too(lab: Lab) -> None:
    """All events, in full."""
    lab.add("ci")
    result = lab.call("due", "--verbose")
    assert "started" in result.stderr
    assert "started" not in lab.call("now", "ci").stderr


def test_a_stop_that_needs_a_person_is_named_by_its_reason(lab: Lab) -> None:
    """No step failed: it was decided to do nothing."""
    lab.add("ci")
    lab.plant("ci", f"{USER}!hand", lab.pve.add_token(USER, "hand"))
    result = lab.call("due")
    assert result.exit_code == 4
    assert result.stdout.startswith("ci  failed (not-adopted)  ")
    assert only(lab.json("due")["results"])["step"] == ""
