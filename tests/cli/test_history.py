"""The audit trail of real commands, and ``rotate history``, which reads and proves it."""

from __future__ import annotations

import json
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rotator.cli.history import Wanted, read, told
from rotator.cli.person import person
from tests.cli.lab import START, Lab


@pytest.fixture
def trail(lab: Lab) -> Path:
    """Configure an audit trail and a credential; return where the trail is."""
    path = lab.folder / "audit.jsonl"
    lab.extra["audit"] = {"file": str(path)}
    lab.add("ci")
    return path


def lines(path: Path) -> list[dict[str, Any]]:
    """Read the lines."""
    return [json.loads(text) for text in path.read_text(encoding="utf-8").splitlines()]


def test_every_event_of_a_rotation_is_recorded(lab: Lab, trail: Path) -> None:
    """In order, with who called which command where, by our clock and by PVE's, in one rotation."""
    lab.call("due")
    found = lines(trail)
    steps = [it["step"] for it in found if it["outcome"] == "done"]
    assert steps == ["decide", "preflight", "issue", "verify", "publish", "confirm", "mark"]
    assert {(it["by"], it["what"], it["who"]) for it in found} == {("command", "due", person(os.getuid(), os.environ))}
    assert {(it["host"], it["pid"], it["kind"], it["v"]) for it in found} == {
        (os.uname().nodename, os.getpid(), "step", 1)
    }
    assert {it["credential"] for it in found} == {"ci"}
    assert len({it["rotation"] for it in found if it["step"] != "decide"}) == 1
    publish = next(it for it in found if (it["step"], it["outcome"]) == ("publish", "done"))
    assert publish["token"] == lab.record("ci")["token_id"]
    assert publish["destination"] == f"file:{lab.folder}/ci.json"
    assert publish["reason"] == "first-issue"
    assert publish["at"].startswith(f"{START:%Y-%m-%dT%H:%M}")
    assert publish["pve_at"].startswith(f"{START:%Y-%m-%dT%H}")


def test_no_secret_is_in_the_trail(lab: Lab, trail: Path) -> None:
    """Neither the operator's, nor one that was issued, nor one that a refusing store repeats."""
    lab.call("due")
    lab.call("now", "ci", "--compromised")
    text = trail.read_text(encoding="utf-8")
    assert lab.record("ci")["token_secret"] not in text
    assert all(secret not in text for secret in lab.environ.values())


def test_what_only_looks_leaves_no_trail(lab: Lab, trail: Path) -> None:
    """A plan is no event; the file is not even made."""
    for command in ("plan", "status", "verify"):
        lab.call(command)
    assert not trail.exists()


@pytest.mark.usefixtures("trail")
def test_history_shows_it_as_a_table_and_as_json(lab: Lab) -> None:
    """People see what ended; machines see all, the lines of the chain with their place in it."""
    assert lab.call("history").stdout == "nothing is recorded of that\n"
    lab.call("due")
    head, *rows = lab.call("history").stdout.splitlines()
    assert head.split() == [
        *("time", "credential", "step", "outcome", "reason", "token", "begun", "by", "rotation", "message")
    ]
    assert [row.split()[3] for row in rows] == [
        "decide",
        *("preflight", "issue", "verify", "publish", "confirm", "mark"),
    ]
    found = lab.json("history")["results"]
    assert [it["seq"] for it in found] == list(range(1, len(found) + 1))
    assert {it["outcome"] for it in found} == {"started", "done"}


def test_history_can_be_asked_for_a_part(lab: Lab, trail: Path) -> None:
    """By credential, by time, by rotation, by failure."""
    lab.add("cd")
    lab.call("due")
    lab.time.pass_by(days=2)
    lab.call("now", "ci")
    everything = lab.json("history")["results"]
    rotation = everything[-1]["rotation"]

    def some(*arguments: str) -> list[dict[str, Any]]:
        return list(lab.json("history", *arguments)["results"])

    assert {it["credential"] for it in some("cd")} == {"cd"}
    assert {it["what"] for it in some("--since", "1d")} == {"now"}
    assert some("--since", "1d") == some("--since", f"{START:%Y-%m-%d}T23:00")
    assert {it["what"] for it in some("--until", "1d")} == {"due"}
    assert {it["rotation"] for it in some("--rotation", rotation)} == {rotation}
    assert some("--failed") == []
    assert len(some("ci", "--since", "1d")) + len(some("--until", "1d")) == len(everything)
    assert trail.exists()


def test_a_long_trail_is_not_held_in_memory(lab: Lab, trail: Path) -> None:
    """A fleet writes millions of lines a year; who asks for one credential gets few of them."""
    lab.call("due")
    text = trail.read_bytes()
    trail.write_bytes(text * (1_500_000 // len(text)))
    tracemalloc.start()
    try:
        report = told(read(trail), Wanted(frozenset({"nobody"})))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert report.text == ["nothing is recorded of that"]
    assert most < trail.stat().st_size / 4


def test_a_failure_is_found(lab: Lab, trail: Path) -> None:
    """With its reason and what was said of it."""
    lab.plant("ci", "unusable-id-of-a-test", "unusable-secret-of-a-test")
    lab.call("due")
    failed = lab.json("history", "--failed")["results"]
    assert [(it["step"], it["reason"]) for it in failed] == [("decide", "record-unreadable")]
    assert trail.exists()


def test_a_time_that_is_none_is_refused(lab: Lab, trail: Path) -> None:
    """With what can be written instead."""
    result = lab.call("history", "--since", "yesterday")
    assert result.exit_code == 2
    assert "neither a time" in result.stderr
    assert not trail.exists()


def test_without_a_trail_there_is_no_history(lab: Lab) -> None:
    """It says what to write into the configuration."""
    lab.add("ci")
    result = lab.call("history")
    assert result.exit_code == 3
    assert "audit: {file:" in result.stderr


def test_verify_proves_an_untouched_trail_and_tells_the_last_hash(lab: Lab, trail: Path) -> None:
    """And what is not proven by it."""
    lab.call("due")
    result = lab.call("history", "--verify")
    last = lines(trail)[-1]["hash"]
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0] == f"all is as it was written in {len(lines(trail))} lines"
    assert result.stdout.splitlines()[-1] == f"last: {last}"
    assert "without audit.secret" in result.stdout
    assert "--expect-last" in result.stdout
    assert "--expect-last" not in lab.call("history", "--verify", "--expect-last", last).stdout


def test_verify_names_the_line_that_was_changed_and_ends_with_4(lab: Lab, trail: Path) -> None:
    """Somebody made a failure of a success."""
    lab.call("due")
    text = trail.read_text(encoding="utf-8").splitlines()
    at = next(at for at, it in enumerate(text) if '"publish","outcome":"done"' in it)
    text[at] = text[at].replace('"done"', '"failed"')
    trail.write_text("\n".join([*text, ""]), encoding="utf-8")
    result = lab.call("history", "--verify")
    assert result.exit_code == 4
    assert result.stdout.startswith(f"{trail}:{at + 1}: changed, or written by somebody else: ")
    assert f"\n1 thing is wrong with {len(text)} lines\n" in result.stdout
    (found,) = lab.json("history", "--verify")["results"]
    assert [(it["line"], it["what"]) for it in found["flaws"]] == [(at + 1, "changed")]


def test_lines_cut_off_at_the_end_show_by_a_hash_that_was_kept(lab: Lab, trail: Path) -> None:
    """Without it nothing is wrong with what is left."""
    lab.call("due")
    kept = lines(trail)[-1]["hash"]
    trail.write_text("\n".join([*trail.read_text(encoding="utf-8").splitlines()[:-2], ""]), encoding="utf-8")
    assert lab.call("history", "--verify").exit_code == 0
    assert lab.call("history", "--verify", "--expect-last", kept).exit_code == 4


def untouched(_lab: Lab, _trail: Path) -> None:
    """Do nothing yet."""


def emptied(_lab: Lab, trail: Path) -> None:
    """Leave a file without lines."""
    trail.touch()


def torn(_lab: Lab, trail: Path) -> None:
    """Leave a line that a crash tore."""
    trail.write_text('{"v": 1', encoding="utf-8")


def unchained(lab: Lab, trail: Path) -> None:
    """Begin without a chain."""
    lab.extra["audit"] = {"file": str(trail), "chain": False}
    lab.write()
    lab.call("due")
    lab.extra["audit"] = {"file": str(trail)}
    lab.write()


@pytest.mark.parametrize("begin", [untouched, emptied, torn, unchained])
def test_a_trail_without_a_line_of_the_chain_is_no_bug(
    lab: Lab, trail: Path, begin: Callable[[Lab, Path], None]
) -> None:
    """Nothing was done yet, or the chain was switched on just now; a hash that was kept tells that it was cut off."""
    begin(lab, trail)
    result = lab.call("history", "--verify")
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "last: nothing is there")
    cut = lab.call("history", "--verify", "--expect-last", "abc")
    assert cut.exit_code == 4
    assert "not-found: no line bears abc" in cut.stdout
    (fraud,) = lab.json("history", "--verify", "--expect-last", "abc")["results"][0]["flaws"]
    assert fraud["path"] == str(trail)


def test_with_a_key_nobody_else_proves_or_forges(
    lab: Lab, trail: Path, canary: str, watch: Callable[[str], None]
) -> None:
    """The key is a reference; another key proves nothing."""
    lab.extra["audit"]["secret"] = {"env": "AUDIT_KEY"}
    lab.write()
    watch(canary)
    lab.environ["AUDIT_KEY"] = canary
    lab.call("due")
    assert lab.call("history", "--verify").exit_code == 0
    lab.environ["AUDIT_KEY"] = canary[::-1]
    assert lab.call("history", "--verify").exit_code == 4
    assert trail.exists()


def test_verify_is_about_all_lines(lab: Lab, trail: Path) -> None:
    """A part of a chain proves nothing of the rest."""
    for arguments in (["ci", "--verify"], ["--verify", "--failed"], ["--expect-last", "x"]):
        assert lab.call("history", *arguments).exit_code == 2
    lab.extra["audit"]["chain"] = False
    lab.write()
    lab.call("due")
    assert lab.call("history", "--verify").exit_code == 3
    assert "seq" not in lines(trail)[0]


def test_what_logrotate_put_aside_is_history_too(lab: Lab, trail: Path) -> None:
    """And one chain with it."""
    lab.call("due")
    trail.rename(trail.with_name("audit.jsonl.1"))
    lab.call("now", "ci")
    assert {it["what"] for it in lab.json("history")["results"]} == {"due", "now"}
    assert lab.call("history", "--verify").exit_code == 0


def test_a_trail_that_cannot_be_written_is_told_loudly_and_ends_nothing(lab: Lab, trail: Path) -> None:
    """The rotation is done; stderr says what the trail lacks."""
    trail.mkdir()
    code, _, err = lab.run("due")
    assert code == 0
    assert lab.works("ci")
    assert f"the audit trail {trail} is NOT written" in err
    assert err.count("NOT written") == 1
    assert "lacks" in err


def test_a_trail_that_is_required_comes_before_the_rotation(lab: Lab, trail: Path) -> None:
    """Nothing is begun that could not be written; once it can be, a line says that it was looked at."""
    lab.extra["audit"]["required"] = True
    lab.write()
    trail.mkdir()
    (found,) = lab.json("due")["results"]
    assert (found["exit_code"], found["reason"], found["live"]) == (4, "unaudited", "nothing was touched")
    assert lab.tokens() == []
    trail.rmdir()
    assert lab.call("due").exit_code == 0
    assert (lines(trail)[0]["kind"], lines(trail)[0]["credential"], lines(trail)[0]["by"]) == ("begun", "ci", "command")
