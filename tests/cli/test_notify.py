"""Notifications of real commands: over TLS to a receiver on loopback, and to little scripts."""

from __future__ import annotations

import json
import signal
import stat
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from rotator.testing.exchange import AnswerInstead, Fault, Request
from tests.cli.lab import START, Lab
from tests.notify.receiver import Receiver, authority, receiving, secret_of
from tests.service.process import PATIENCE, serving


@pytest.fixture
def receiver(canary: str) -> Iterator[Receiver]:
    """Return a receiver that knows the secret."""
    with receiving(secret_of(canary)) as made:
        yield made


def channel(lab: Lab, receiver: Receiver, **settings: Any) -> None:  # noqa: ANN401 - any key of a channel
    """Configure a channel to the receiver, whose secret is in the environment."""
    lab.environ["OPS_SECRET"] = receiver.secret
    ca = authority(lab.folder)
    ops = {"url": f"{receiver.url}/hook", "secret": {"env": "OPS_SECRET"}, "ca": str(ca), **settings}
    lab.extra.setdefault("notify", {}).setdefault("channels", {})["ops"] = ops
    lab.write()


def script(lab: Lab, name: str, body: str) -> list[str]:
    """Make a script, and return how it is called."""
    path = lab.folder / name
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(stat.S_IRWXU)
    return [str(path)]


def spoil(lab: Lab, name: str = "ci") -> None:
    """Put something into a record that is no token."""
    lab.plant(name, "unusable-id-of-a-test", "unusable-secret-of-a-test")


def told(receiver: Receiver) -> list[str]:
    """Return what the receiver was told, each in a word or two, and forget it."""
    found = [f"{it['data']['occasion']} {it['data']['credential'] or it['data']['cluster']}" for it in receiver.came]
    receiver.came.clear()
    return found


def test_a_test_notification_arrives_everywhere(lab: Lab, receiver: Receiver) -> None:
    """Signed, to the webhook; on standard input and by variables, to the program."""
    lab.add("ci")
    channel(lab, receiver)
    note = lab.folder / "note"
    lab.extra["notify"]["channels"]["pager"] = {"run": script(lab, "page", f'(echo "$ROTATE_EVENT"; cat) > {note}')}
    lab.write()
    found = lab.json("notify", "test")["results"]
    assert [(it["channel"], it["exit_code"], it["message"]) for it in found] == [
        ("ops", 0, "it arrived"),
        ("pager", 0, "it arrived"),
    ]
    (came,) = receiver.came
    assert (came["version"], came["type"], came["data"]["owner"]) == (1, "rotate.test", "lab")
    word, body = note.read_text(encoding="utf-8").splitlines()
    assert (word, json.loads(body)["type"]) == ("test", "rotate.test")
    assert lab.call("notify", "test", "pager").stdout.count("it arrived") == 1
    assert receiver.came == [came]


def test_a_test_that_does_not_arrive_says_why(lab: Lab, receiver: Receiver) -> None:
    """Exit code 4, and one try only."""
    lab.add("ci")
    channel(lab, receiver)
    receiver.answers = [503]
    result = lab.call("notify", "test")
    assert (result.exit_code, len(receiver.headers)) == (4, 1)
    assert "ops  127.0.0.1: 127.0.0.1 answered 503" in result.stdout
    lab.environ["OPS_SECRET"] = "too short"
    assert "openssl rand" in lab.call("notify", "test").stdout
    assert lab.call("notify", "test", "oops").exit_code == 2
    lab.extra.clear()
    lab.write()
    assert lab.call("notify", "test").exit_code == 3


def test_a_run_that_fails_tells_so_each_time_where_it_has_no_memory(lab: Lab, receiver: Receiver) -> None:
    """Without an audit trail a single run cannot know what was told; that all is well it never tells."""
    lab.add("ci")
    channel(lab, receiver)
    spoil(lab)
    lab.call("due")
    lab.call("due")
    (first, second) = receiver.came
    assert (first["data"]["occasion"], first["data"]["reason"]) == ("failed", "record-unreadable")
    assert first["id"] != second["id"]
    receiver.came.clear()
    (lab.folder / "ci.json").unlink()
    lab.call("due")
    assert told(receiver) == []


def test_with_an_audit_trail_single_runs_tell_what_has_changed(lab: Lab, receiver: Receiver) -> None:
    """The trail says what was told before; it says of each notice which channels were to hear it."""
    lab.extra["audit"] = {"file": str(lab.folder / "audit.jsonl")}
    lab.add("ci")
    channel(lab, receiver)
    spoil(lab)
    for _ in range(3):
        lab.call("due")
    assert told(receiver) == ["failed ci"]
    (lab.folder / "ci.json").unlink()
    lab.call("due")
    lab.call("due")
    assert told(receiver) == ["recovered ci"]
    notices = [it for it in lab.json("history")["results"] if it["kind"] == "notice"]
    assert [(it["reason"], it["destination"]) for it in notices] == [("failed", "ops"), ("recovered", "ops")]
    assert lab.call("history", "--verify").exit_code == 0
    assert "notify" in lab.call("history").stdout


def test_a_cluster_that_is_down_is_one_notice(lab: Lab, receiver: Receiver) -> None:
    """Not one for each of its credentials."""
    for name in ("ci", "cd"):
        lab.add(name)
    channel(lab, receiver)
    lab.pve.close()
    lab.call("due")
    assert told(receiver) == ["failed one"]


def test_a_place_is_told_though_a_record_has_it_beside_the_secret(lab: Lab, receiver: Receiver) -> None:
    """Whoever is woken has to know which machine it is: in the notice, and in the audit trail."""
    lab.extra["audit"] = {"file": str(lab.folder / "audit.jsonl")}
    lab.add("ci", destination={"path": str(lab.folder / "ci.json"), "fields": {"host": "{host}"}})
    channel(lab, receiver)
    assert lab.call("due").exit_code == 0
    place = lab.pve.nodes[0].endpoint
    port = place.rpartition(":")[2]
    lab.pve.close()
    lab.call("now", "ci")
    (failed,) = [notice["data"]["message"] for notice in receiver.came]
    lines = [it["message"] for it in lab.json("history")["results"] if port in it.get("message", "")]
    assert lines
    assert all(place in message for message in (failed, *lines))


def test_a_token_is_told_though_a_record_has_its_name_under_a_key_of_its_own(lab: Lab) -> None:
    """Several well-known consumers want it so; the audit trail says which token was gone."""
    lab.extra["audit"] = {"file": str(lab.folder / "audit.jsonl")}
    lab.add("ci", destination={"path": str(lab.folder / "ci.env"), "preset": "pve-exporter"})
    assert lab.call("due").exit_code == 0
    (name,) = lab.pve.tokens("svc@pve")
    lab.pve.delete_token(f"svc@pve!{name}")
    assert lab.call("due").exit_code == 0
    told = [it.get("message", "") for it in lab.json("history")["results"]]
    assert f"svc@pve!{name} is published and does not exist at PVE" in told


def test_who_is_told_of_what_is_configured(lab: Lab, receiver: Receiver) -> None:
    """A channel chooses occasions, a credential its channels."""
    lab.add("ci")
    lab.add("cd", notify=[])
    channel(lab, receiver, on=["failed"])
    for name in ("ci", "cd"):
        spoil(lab, name)
    lab.call("due")
    assert told(receiver) == ["failed ci"]
    channel(lab, receiver, on=["recovered"])
    lab.call("due")
    assert told(receiver) == []


def test_a_token_whose_end_comes_and_that_cannot_be_replaced_is_told(lab: Lab, receiver: Receiver) -> None:
    """By the list that is asked for anyway; one that was just replaced is no news."""
    lab.add("ci", every="10d", overlap="1d", lifetime="20d")
    channel(lab, receiver)
    lab.call("due")
    lab.time.pass_by(days=16)

    def refuse(request: Request) -> Fault | None:
        return AnswerInstead(403) if request.method == "POST" else None

    lab.pve.intercept = refuse
    assert lab.call("due").exit_code == 4
    ending = next(it["data"] for it in receiver.came if it["data"]["occasion"] == "expiring")
    assert ending["token"] == lab.record("ci")["token_id"]
    assert ending["expires"].startswith(f"{START + timedelta(days=20):%Y-%m-%d}")
    assert sorted(told(receiver)) == ["expiring ci", "failed ci"]
    lab.pve.intercept = None
    assert lab.call("due").exit_code == 0
    assert told(receiver) == []


def test_a_receiver_that_is_down_ends_no_run_and_is_said(lab: Lab, receiver: Receiver) -> None:
    """The exit code is that of the rotations."""
    lab.add("ci")
    channel(lab, receiver)
    spoil(lab)
    receiver.answers = [410]
    code, _, err = lab.run("due")
    assert code == 4
    assert "notifications that ops did not get: 1 (127.0.0.1 answered 410" in err


def test_no_secret_is_in_what_is_told(lab: Lab, receiver: Receiver, canaries: tuple[str, ...]) -> None:
    """Neither the operator's, nor the published one, nor the one of the signature."""
    note, secret = lab.folder / "note", canaries[1]
    lab.add("ci")
    channel(lab, receiver)
    lab.extra["notify"]["channels"]["pager"] = {"run": script(lab, "page", f"(env; cat) >> {note}")}
    lab.write()
    lab.plant("ci", "other@pve!xy", secret)
    code, _, _ = lab.run("due")
    everything = note.read_text(encoding="utf-8") + json.dumps(receiver.came) + json.dumps(receiver.headers)
    assert (code, told(receiver)) == (4, ["needs-attention ci"])
    assert not [it for it in (secret, *lab.environ.values()) if it in everything]


def test_the_service_tells_what_changes_and_what_is_left_at_its_end(lab: Lab, receiver: Receiver) -> None:
    """A failure, by the board; a notice that could not be delivered is tried once more when the service ends."""
    lab.extra["service"] = {"listen": "none"}
    lab.add("ci")
    channel(lab, receiver)
    spoil(lab)
    receiver.answers = [503]
    with serving(lab) as service:
        assert receiver.arrived.wait(PATIENCE)
        service.signal(signal.SIGTERM)
        service.until("stopped")
        assert service.ended() == 0
    assert told(receiver) == ["failed ci", "failed ci"]
    assert len({it["webhook-id"] for it in receiver.headers}) == 1
