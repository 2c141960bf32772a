"""The rotation function writes a token in its consumer's own words, and reads it back out of them in every step."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml

from rotator.aws_lambda import RotationError
from rotator.presets import PRESETS
from rotator.testing.aws import HangUp
from tests.aws.function import STEPS, Function, once, refused
from tests.world import OVERLAP

Content = Mapping[str, Any]
Login = tuple[str, str]


@dataclass(frozen=True)
class Wish:
    """What the function is told, and how the consumer reads what comes of it: token id and secret."""

    environ: Mapping[str, str]
    read: Callable[[Content], Login]
    keys: frozenset[str]


def of_bpg(content: Content) -> Login:
    """Read ``user@realm!name=secret``."""
    token, _, secret = str(content["PROXMOX_VE_API_TOKEN"]).rpartition("=")
    return token, secret


def of_csi(content: Content) -> Login:
    """Read the first cluster of a whole configuration file."""
    cluster = yaml.safe_load(content["config.yaml"])["clusters"][0]
    assert cluster["region"] == "fsn-1"
    return cluster["token_id"], cluster["token_secret"]


def of_own(content: Content) -> Login:
    """Read a key that holds the secret alone; the id stands beside it."""
    assert content["apiKey"] == content["token_secret"]
    return content["token_id"], content["apiKey"]


OWN = {"apiKey": "{secret}", "baseUrl": "{endpoint_url}"}
BPG = Wish({"ROTATE_PRESET": "bpg"}, of_bpg, frozenset(PRESETS["bpg"].fields))
CSI = Wish({"ROTATE_PRESET": "proxmox-csi", "ROTATE_CLUSTER": "fsn-1"}, of_csi, frozenset({"config.yaml"}))
OWN_KEYS = Wish({"ROTATE_FIELDS": json.dumps(OWN)}, of_own, frozenset({*OWN, "token_id", "token_secret"}))
WISHES = pytest.mark.parametrize("wish", [BPG, CSI, OWN_KEYS], ids=["preset", "whole file", "own keys"])


def works(f: Function, wish: Wish, label: str = "AWSCURRENT") -> bool:
    """Say whether the consumer logs in with what it reads now."""
    return f.w.pve.accepts(*wish.read(f.record(label)))


@WISHES
def test_a_consumer_finds_each_token_in_its_own_words(f: Function, wish: Wish) -> None:
    """Each step twice; the predecessor works for the overlap, other keys stay, and there is no second copy."""
    f.environ |= wish.environ
    f.settled()
    token = f.begin()
    for name in STEPS:
        f.step(name, token)
        f.step(name, token)
        assert works(f, wish)
    assert f.record().keys() == {"note", "port", *wish.keys}
    assert works(f, wish, "AWSPREVIOUS")
    assert f.w.standing() == {"ci-1": "marked, ends in 1d", "ci-2": "marked"}
    f.w.clock.pass_by(OVERLAP + timedelta(seconds=5))
    f.rotate()
    assert works(f, wish)
    assert f.w.standing() == {"ci-2": "marked, ends in 1d", "ci-3": "marked"}


@WISHES
@pytest.mark.parametrize("after", [False, True])
def test_a_rotation_that_broke_off_is_finished_in_these_words(f: Function, wish: Wish, *, after: bool) -> None:
    """The pending version is read back by a repeat: one token that lives, and one that was not put is deleted."""
    f.environ |= wish.environ
    f.settled()
    token = f.begin()
    lost = [lambda: HangUp(after=after)] * 2
    f.aws.intercept = lambda call: lost.pop()() if call.action.endswith("PutSecretValue") and lost else None
    with pytest.raises(RotationError, match="AWS did not say whether PutSecretValue"):
        f.step("createSecret", token)
    f.steps(token)
    assert works(f, wish)
    published = f"ci-{2 if after else 3}"
    assert f.w.standing() == {"ci-1": "marked, ends in 1d", published: "marked"}


def test_every_step_reads_what_is_pending_in_the_words_that_are_configured(f: Function) -> None:
    """What the template would not write is nobody's token; nothing is published, and no value is told."""
    f.environ |= BPG.environ
    f.settled()
    token = f.begin()
    spoilt = {"PROXMOX_VE_API_TOKEN": "hunter2", "PROXMOX_VE_ENDPOINT": "https://pve1.lan:8006"}
    f.client.put_secret_value(
        SecretId=f.arn, ClientRequestToken=token, SecretString=json.dumps(spoilt), VersionStages=["AWSPENDING"]
    )
    for step in STEPS:
        assert refused(f, step, token) == (
            f"version {token} holds something that is no token: "
            "its PROXMOX_VE_API_TOKEN is not what the configuration would write there"
        )
    assert works(f, BPG)


@pytest.mark.parametrize("before", [{}, OWN_KEYS.environ])
def test_words_can_be_configured_at_any_time(f: Function, before: Mapping[str, str]) -> None:
    """What was stored without them is read, its token is the predecessor, and ends after the overlap."""
    f.environ |= before
    f.settled()
    old = f.record()
    for name in before:
        del f.environ[name]
    f.environ |= BPG.environ
    f.rotate()
    assert works(f, BPG)
    assert f.w.pve.accepts(old["token_id"], old["token_secret"])
    assert f.w.standing() == {"ci-1": "marked, ends in 1d", "ci-2": "marked"}
    assert f.record().items() >= old.items()


def test_a_copy_of_the_current_value_is_not_finished(f: Function) -> None:
    """AWS makes one to try the function with; the token in it is what consumers use, and is not deleted."""
    secret = f.w.pve.add_token("ci@pve", "hand", privsep=False)
    f.store({"token_id": "ci@pve!hand", "token_secret": secret})
    del f.environ["ROTATE_GRANTS"]
    version = f.begin(RotateImmediately=False)
    f.step("testSecret", version)
    assert refused(f, "finishSecret", version).startswith("ci@pve!hand is pending and is current already; hint: ")
    assert f.works()


def test_words_that_change_within_a_rotation_publish_nothing_and_delete_nothing(f: Function) -> None:
    """What is read then is the current token, which a copy of the record brings along."""
    f.settled()
    token = f.begin()
    f.environ |= BPG.environ
    f.step("createSecret", token)
    del f.environ["ROTATE_PRESET"]
    f.step("setSecret", token)
    f.step("testSecret", token)
    current = f.record()["token_id"]
    assert refused(f, "finishSecret", token) == (
        f"{current} is pending and is current already; "
        f"hint: take AWSPENDING off version {token} and start another rotation"
    )
    assert f.works()
    f.environ |= BPG.environ
    f.steps(token)
    assert works(f, BPG)


def test_a_token_in_its_consumers_words_is_taken_over(f: Function) -> None:
    """Its user is read out of them, where several may be rotated."""
    f.environ |= {**BPG.environ, "ROTATE_USERS": "other@pve, ci@pve", "ROTATE_ADOPT": "true"}
    secret = f.w.pve.add_token("ci@pve", "hand")
    f.store({"PROXMOX_VE_API_TOKEN": f"ci@pve!hand={secret}", "note": "by hand"})
    f.rotate()
    assert works(f, BPG)
    assert works(f, BPG, "AWSPREVIOUS")
    assert f.record()["note"] == "by hand"
    assert f.w.standing() == {"ci-1": "marked", "hand": "marked, ends in 1d"}


def test_the_end_that_pve_enforces_is_told(f: Function) -> None:
    """Also when the answer of the first try was lost: both tries write the same."""
    f.environ |= {"ROTATE_LIFETIME": "90d", "ROTATE_FIELDS": json.dumps({"until": "{expires_at}"})}
    f.store()
    token = f.begin()
    f.aws.intercept = once("PutSecretValue", lambda: HangUp(after=True))
    f.steps(token)
    record = f.record()
    expire = int(str((f.w.pve.token(record["token_id"]) or {})["expire"]))
    assert record["until"] == datetime.fromtimestamp(expire, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_the_secret_says_in_which_words_unless_the_environment_does(f: Function) -> None:
    """One function, many consumers; what it says stays in the secret."""
    own = {"rotate_preset": "bpg", "rotate_fields": json.dumps({"PROXMOX_VE_INSECURE": "true"})}
    f.store(own)
    f.rotate()
    assert works(f, BPG)
    assert f.record().items() >= {**own, "PROXMOX_VE_INSECURE": "true"}.items()
    f.environ |= CSI.environ
    f.rotate()
    assert works(f, CSI)


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"ROTATE_PRESET": "bgp"}, "ROTATE_PRESET: no preset of that name; did you mean 'bpg'?"),
        (
            {"ROTATE_FIELDS": "KEY={token}"},
            'ROTATE_FIELDS: not an object of JSON with texts; write {"KEY": "a text with {token}"}',
        ),
        ({"ROTATE_FIELDS": "[" * 60_000}, "ROTATE_FIELDS: not an object of JSON with texts; "),
        ({"ROTATE_FIELDS": "{}"}, "ROTATE_FIELDS: not an object of JSON with texts; "),
        ({"ROTATE_FIELDS": '{"": "{token}"}'}, "ROTATE_FIELDS: not an object of JSON with texts; "),
        ({"ROTATE_FIELDS": '{"KEY": 8006}'}, "ROTATE_FIELDS: not an object of JSON with texts; "),
        (
            {"ROTATE_FIELDS": '{"KEY": "{tokenid}"}'},
            "ROTATE_FIELDS: KEY: no variable is called 'tokenid'; did you mean 'token_id'?",
        ),
        (
            {"ROTATE_FIELDS": '{"rotate_user": "{userid}"}'},
            "ROTATE_FIELDS: the key rotate_user would be a setting of the function; call it something else",
        ),
        (
            {"ROTATE_FIELDS": '{"KEY": "{secret}"}', "ROTATE_CANONICAL": "false"},
            "ROTATE_CANONICAL: the token cannot be read back out of these fields, so token_id and token_secret are",
        ),
        (
            {"ROTATE_FIELDS": '{"token_id": "{userid}", "key": "{secret}"}'},
            "ROTATE_FIELDS: the key token_id is needed for {token_id}; ",
        ),
        ({"ROTATE_CLUSTER": "Main Site"}, "ROTATE_CLUSTER: "),
    ],
)
def test_words_that_cannot_be_are_told_before_anything_is_touched(
    f: Function, environ: Mapping[str, str], message: str
) -> None:
    """With the variable, and what to write instead."""
    f.environ |= environ
    f.store()
    assert refused(f, "createSecret", f.begin()).startswith(message)
