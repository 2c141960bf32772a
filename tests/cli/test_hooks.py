"""Hooks of real commands: little scripts that write down what they are told, fail, hang, or kill who called them."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from rotator.testing.exchange import AnswerInstead, Fault, Request
from tests.cli.lab import Lab

NOTE = """#!/bin/sh
(env | grep ^ROTATE_ | sort; cat) >> {folder}/notes
{then}
"""


def script(lab: Lab, then: str = "") -> str:
    """Make a script that writes down what it is told, and then does something."""
    path = lab.folder / "hook"
    path.write_text(NOTE.format(folder=lab.folder, then=then), encoding="utf-8")
    path.chmod(stat.S_IRWXU)
    return str(path)


def notes(lab: Lab) -> list[dict[str, Any]]:
    """Return what was written down, each a document; the variables said the same."""
    path = lab.folder / "notes"
    found = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    documents = [json.loads(it) for it in found if it.startswith("{")]
    said = [it.partition("=")[2] for it in found if it.startswith("ROTATE_TOKEN=")]
    assert said == [it["token"] for it in documents]
    return documents


def hooked(lab: Lab, then: str = "", **settings: Any) -> Path:  # noqa: ANN401 - any key of a credential
    """Configure a credential with that script after both, and return where its record is."""
    hook = [{"run": [script(lab, then)], "timeout": "10s"}]
    return lab.add("ci", hooks={"after_publish": hook, "after_revoke": hook}, **settings)


def test_a_hook_is_told_names_and_no_secret(lab: Lab) -> None:
    """After the record was written: which credential, which token, where, why, in which rotation, by whom."""
    path = hooked(lab)
    code, _, _ = lab.run("due")
    assert code == 0
    (note,) = notes(lab)
    rotation = note.pop("rotation")
    assert note == {
        "version": 1,
        "event": "after-publish",
        "credential": "ci",
        "cluster": "one",
        "token": lab.record("ci")["token_id"],
        "destination": f"file:{path}",
        "reason": "first-issue",
        "trigger": note["trigger"],
    }
    assert note["trigger"].startswith("command due (")
    assert len(rotation) == 12
    everything = (lab.folder / "notes").read_text(encoding="utf-8")
    assert lab.record("ci")["token_secret"] not in everything
    assert all(secret not in everything for secret in lab.environ.values())


def test_the_record_is_there_when_the_hook_runs_and_the_old_token_still_works(lab: Lab) -> None:
    """What it restarts finds the new token, and whoever still has the old one is not locked out."""
    hooked(lab, then=f"cp {lab.folder}/ci.json {lab.folder}/seen.json", overlap="0s")
    lab.call("due")
    lab.call("now", "ci")
    assert json.loads((lab.folder / "seen.json").read_text(encoding="utf-8")) == lab.record("ci")
    assert [it["event"] for it in notes(lab)] == ["after-publish", "after-publish", "after-revoke"]


def test_a_revoked_token_is_told(lab: Lab) -> None:
    """Which one, and why."""
    hooked(lab)
    lab.call("due")
    old = lab.record("ci")["token_id"]
    lab.call("now", "ci", "--compromised")
    last = notes(lab)[-1]
    assert (last["event"], last["token"], last["reason"], last["destination"]) == ("after-revoke", old, "forced", "")


def test_each_mirror_is_told_once_it_is_written(lab: Lab) -> None:
    """Who reads a mirror learns of it when it holds the new token."""
    places = [{"path": str(lab.folder / name)} for name in ("ci.json", "copy.json")]
    hooked(lab, destination=None, destinations=places)
    lab.credentials[0].pop("destination")
    lab.write()
    lab.call("due")
    assert [it["destination"] for it in notes(lab)] == [f"file:{it['path']}" for it in places]


@pytest.mark.parametrize(
    ("then", "said"),
    [("echo broken; exit 3", "ended with 3; it said: broken"), ("kill -9 $$", "killed by signal 9")],
)
def test_a_hook_that_fails_is_told_and_fails_nothing(lab: Lab, then: str, said: str) -> None:
    """The rotation is done; the failure is an event, on stderr, and in the audit trail."""
    lab.extra["audit"] = {"file": str(lab.folder / "audit.jsonl")}
    hooked(lab, then=then)
    result = lab.call("due")
    assert result.exit_code == 0
    assert lab.works("ci")
    assert f"after-publish: {lab.folder}/hook: {said}" in result.stderr
    (failed,) = lab.json("history", "--failed")["results"]
    assert (failed["step"], failed["outcome"], failed["token"]) == ("hook", "failed", lab.record("ci")["token_id"])


def test_a_hook_that_is_not_there_fails_nothing(lab: Lab) -> None:
    """It may be installed later; nothing is rolled back."""
    lab.add("ci", hooks={"after_publish": [{"run": ["/nowhere/hook"]}]})
    result = lab.call("due")
    assert (result.exit_code, lab.works("ci")) == (0, True)
    assert "did not start: No such file or directory" in result.stderr


def test_a_death_between_publishing_and_the_hook_runs_it_in_the_next_run(lab: Lab) -> None:
    """At least once: the rotation is not marked finished before, so the next run finishes it, hook and all."""
    hooked(lab, then='[ "$ROTATE_REASON" = unfinished ] || kill -9 $PPID')
    code, _, _ = lab.run("due")
    assert code == -9
    token = lab.record("ci")["token_id"]
    assert lab.call("due").exit_code == 0
    assert [(it["token"], it["reason"]) for it in notes(lab)] == [(token, "first-issue"), (token, "unfinished")]
    assert lab.call("due").exit_code == 0
    assert len(notes(lab)) == 2


def test_a_death_after_revoking_is_not_made_up_for(lab: Lab) -> None:
    """At most once: nothing tells of a token that is gone."""
    hooked(lab, then='[ "$ROTATE_EVENT" = after-publish ] || kill -9 $PPID', overlap="0s")
    lab.call("due")
    code, _, _ = lab.run("now", "ci")
    assert code == -9
    assert lab.call("due").exit_code == 0
    assert [it["event"] for it in notes(lab)].count("after-revoke") == 1


def test_what_does_not_happen_is_not_told(lab: Lab) -> None:
    """A look, a dry run, a rotation that fails before its record is written."""
    hooked(lab)
    lab.call("plan")
    lab.call("due", "--dry-run")

    def refuse(request: Request) -> Fault | None:
        return AnswerInstead(500) if request.method == "POST" else None

    lab.pve.intercept = refuse
    assert lab.call("due").exit_code == 4
    assert [it for it in notes(lab) if it["event"] == "after-publish"] == []
