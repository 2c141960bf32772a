"""What the rotation function is told, by its environment and by the secret, what it does with it, and what it logs."""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from rotator.aws_lambda import handler, teller
from rotator.aws_lambda_settings import credential, function_settings
from rotator.errors import ConfigError
from rotator.events import Event, Outcome, Step
from rotator.model import Destination, Secret
from tests.aws.function import OWNER, STEPS, Function, refused

ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:pve/ci-AbCdEf"
DOCUMENT = Path(__file__).parents[2] / "backends/aws.md"
LEAST = {"ROTATE_ENDPOINTS": "pve1.lan, pve2.lan:8007", "ROTATE_OPERATOR_SECRET": "op", "ROTATE_USERS": "a@pve,b@pve"}


def test_the_environment_says_where_and_whose() -> None:
    """What is not said has a default; endpoints get PVE's port."""
    settings = function_settings(LEAST, ARN)
    assert settings.endpoints == ("pve1.lan:8006", "pve2.lan:8007")
    assert (settings.operator, settings.users) == ("op", ("a@pve", "b@pve"))
    assert (settings.owner, settings.ca_file, settings.fingerprint, settings.adopt) == (OWNER, None, "", False)


def test_the_document_lists_every_variable() -> None:
    """And none that is not there; which user it is, only the secret says."""
    asked: set[str] = set()

    class Environment(dict[str, str]):
        def get(self, name: str, otherwise: Any = None) -> Any:  # noqa: ANN401 - as a dictionary has it
            asked.add(name)
            return super().get(name, otherwise)

    environ = Environment({**LEAST, "ROTATE_USERS": "a@pve"})
    credential(function_settings(environ, ARN), environ, None, Destination("aws", "x", "x"), "pve/ci")
    assert asked - {"ROTATE_USER"} == set(re.findall(r"`(ROTATE_[A-Z_]+)[`=]", DOCUMENT.read_text()))


def test_all_faults_of_the_environment_are_told_at_once() -> None:
    """A line for each, with the variable."""
    wrong = {"ROTATE_ENDPOINTS": "https://pve1", "ROTATE_CA_FILE": "ca.pem", "ROTATE_ADOPT": "maybe"}
    with pytest.raises(ConfigError) as caught:
        function_settings(wrong, ARN)
    assert caught.value.message.splitlines() == [
        "ROTATE_ENDPOINTS: a URL instead of a host; write pve1:8006, nothing before or after",
        "ROTATE_OPERATOR_SECRET: is not set",
        "ROTATE_USERS: is not set",
        "ROTATE_CA_FILE: not the absolute path of a file; write it from / on, for example /etc/rotate/name",
        "ROTATE_ADOPT: neither true nor false; write true or false",
    ]


def test_two_ways_to_trust_exclude_each_other() -> None:
    """Which one counts would be a guess."""
    both = {**LEAST, "ROTATE_CA_FILE": "/var/task/ca.pem", "ROTATE_FINGERPRINT": "AB" * 32}
    with pytest.raises(ConfigError, match=r"^ROTATE_CA_FILE and ROTATE_FINGERPRINT exclude each other$"):
        function_settings(both, ARN)


def test_a_function_that_is_not_set_up_says_so(f: Function) -> None:
    """AWS shows every variable that is missing."""
    f.store()
    f.environ.clear()
    message = refused(f, "createSecret", f.begin())
    assert "ROTATE_ENDPOINTS: is not set" in message
    assert message.endswith("hint: set them in the function's configuration, under environment variables")


def test_the_secret_fills_what_the_environment_leaves_open(f: Function) -> None:
    """Its own base, overlap and grants; they stay in the secret."""
    del f.environ["ROTATE_GRANTS"]
    f.environ["ROTATE_USERS"] = "other@pve, ci@pve"
    own = {"rotate_user": "ci@pve", "rotate_base": "robot", "rotate_overlap": "1h", "rotate_grants": "/vms=PVEVMUser"}
    f.store(own)
    f.rotate()
    f.rotate()
    assert f.w.standing() == {"robot-1": "marked, ends in 1h", "robot-2": "marked"}
    assert f.record().items() >= own.items()


def test_the_environment_counts_before_the_secret(f: Function) -> None:
    """Whoever may write the secret cannot change what the function was told."""
    f.environ |= {"ROTATE_OVERLAP": "2h", "ROTATE_BASE": "ci"}
    f.store({"rotate_overlap": "9999h", "rotate_base": "evil", "rotate_grants": "/=Administrator"})
    f.rotate()
    f.rotate()
    assert f.w.standing() == {"ci-1": "marked, ends in 2h", "ci-2": "marked"}
    assert "/" not in f.w.pve.permissions(f.record()["token_id"])


@pytest.mark.parametrize("name", ["endpoints", "operator_secret", "users", "fingerprint", "ca_file", "owner", "adopt"])
def test_the_secret_cannot_say_where_or_whose(f: Function, name: str) -> None:
    """The operator's secret would go to whoever may write the consumer's."""
    f.store({f"rotate_{name}": "evil.example.com"})
    f.rotate()
    assert f.works()


def test_a_user_that_is_not_listed_is_refused(f: Function) -> None:
    """Neither named by the secret nor as the owner of the token that is there."""
    for content in ({"rotate_user": "root@pam"}, {"token_id": "root@pam!xx", "token_secret": "y" * 9}):
        f.name = f"pve-{uuid4()}/ci"
        f.store(content)
        assert refused(f, "createSecret", f.begin()).startswith("ROTATE_USERS: does not list root@pam; hint: ")


def test_one_of_several_users_must_be_named(f: Function) -> None:
    """With one there is no question."""
    f.environ["ROTATE_USERS"] = "other@pve, ci@pve"
    f.store()
    message = "the secret's rotate_user: is not set, and ROTATE_USERS lists more than one"
    assert refused(f, "createSecret", f.begin()).startswith(message)


def test_aws_calls_the_handler(f: Function, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an event and a context; settings come from the process's environment, and nothing is returned."""
    f.settled()
    for name, value in f.environ.items():
        monkeypatch.setenv(name, value)
    token = f.begin()
    for step in STEPS:
        handler({"Step": step, "SecretId": f.arn, "ClientRequestToken": token}, object())
    assert f.record()["token_id"].startswith("ci@pve!ci-2-")
    assert f.works()


def test_faults_of_the_secret_are_told_with_their_keys(f: Function) -> None:
    """And not with their values: a secret may stand there by mistake."""
    f.environ.pop("ROTATE_GRANTS")
    f.store({"rotate_overlap": "24", "rotate_grants": "PVEVMUser", "rotate_privsep": "perhaps-hunter2"})
    message = refused(f, "createSecret", f.begin())
    assert "the secret's rotate_overlap: a number without a unit; write 24d for days or 24h for hours" in message
    assert "the secret's rotate_grants: not a grant; write /path=Role, or /path=Role:no-propagate" in message
    assert "the secret's rotate_privsep: neither true nor false" in message
    assert "hunter2" not in message


def test_a_lifetime_leaves_room_for_the_overlap(f: Function) -> None:
    """A token that dies before its successor is read is of no use."""
    f.environ["ROTATE_LIFETIME"] = "48h"
    f.store()
    message = refused(f, "createSecret", f.begin())
    assert message.startswith("ROTATE_LIFETIME: must be more than twice the overlap")


def test_a_secret_whose_name_is_no_base_asks_for_one(f: Function) -> None:
    """PVE's token names begin with a letter."""
    f.name = f"pve-{uuid4()}/9"
    f.store()
    message = refused(f, "createSecret", f.begin())
    assert message.startswith(f"ROTATE_BASE: is not set, and tokens cannot be named after the secret {f.name}")


def test_the_token_has_its_grants_and_its_end(f: Function) -> None:
    """Declared grants, and a lifetime that PVE enforces."""
    f.environ |= {"ROTATE_LIFETIME": "90d", "ROTATE_GRANTS": "/vms=PVEVMUser:no-propagate"}
    f.settled()
    token = f.record()["token_id"]
    assert f.w.pve.permissions(token)["/vms"]["VM.Console"] == 0
    expire = datetime.fromtimestamp(int(str((f.w.pve.token(token) or {})["expire"])), UTC)
    assert expire - f.w.clock.now() == timedelta(days=90)


def test_without_declared_grants_the_successor_has_those_of_its_predecessor(f: Function) -> None:
    """They are read from PVE."""
    f.settled()
    del f.environ["ROTATE_GRANTS"]
    old = f.w.pve.permissions(f.record()["token_id"])
    f.rotate()
    assert f.w.pve.permissions(f.record()["token_id"]) == old != {}


def test_without_grants_and_predecessor_nothing_is_issued(f: Function) -> None:
    """What to grant is not guessed."""
    del f.environ["ROTATE_GRANTS"]
    f.store()
    message = refused(f, "createSecret", f.begin())
    assert message.startswith("what to grant is not known: there is no predecessor; hint: ")


def test_a_token_without_privilege_separation_needs_no_grants(f: Function) -> None:
    """It may do what its user may."""
    del f.environ["ROTATE_GRANTS"]
    f.environ["ROTATE_PRIVSEP"] = "false"
    f.settled()
    assert [call for call in f.w.changes() if "acl" in call] == []
    assert f.works()


def test_no_overlap_deletes_the_old_token_at_once(f: Function) -> None:
    """As everywhere."""
    f.environ["ROTATE_OVERLAP"] = "0s"
    f.settled()
    f.rotate()
    assert f.w.standing() == {"ci-2": "marked"}


def test_an_operator_that_is_not_there_is_told(f: Function) -> None:
    """The function says which secret it looked in."""
    f.store()
    f.environ["ROTATE_OPERATOR_SECRET"] = "nobody"
    message = refused(f, "createSecret", f.begin())
    assert message.startswith("aws:eu-west-1/nobody does not hold the operator of cluster pve: no token; hint: ")


def test_a_token_that_somebody_else_made_is_not_touched(f: Function) -> None:
    """Until the function is told to take it over; then it is retired like any other."""
    secret = f.w.pve.add_token("ci@pve", "hand")
    f.w.pve.grant("/vms", "PVEVMUser", token="ci@pve!hand")
    f.store({"token_id": "ci@pve!hand", "token_secret": secret})
    token = f.begin()
    assert "ci@pve!hand, which this credential did not issue" in refused(f, "createSecret", token)
    f.environ["ROTATE_ADOPT"] = "true"
    for name in STEPS:
        f.step(name, token)
    assert f.w.standing() == {"ci-1": "marked", "hand": "marked, ends in 1d"}
    assert f.works("AWSPREVIOUS")


def test_aws_s_proof_goes_with_the_value(f: Function) -> None:
    """A function in another account must show the RotationToken, and nothing else gets it."""
    f.settled()
    token = f.begin()
    f.aws.calls.clear()
    proof = str(uuid4())
    f.step("createSecret", token, RotationToken=proof)
    shown = [call.action for call in f.aws.calls if proof in str(dict(call.wish))]
    assert shown == ["secretsmanager:PutSecretValue"]


def test_the_log_tells_each_step_in_json(f: Function, caplog: pytest.LogCaptureFixture) -> None:
    """What happened, to which token, in which rotation; no secret (the canary reads along)."""
    f.settled()
    caplog.clear()
    with caplog.at_level(logging.INFO, "rotator.aws_lambda"):
        token = f.rotate()
    lines = [json.loads(it.getMessage()) for it in caplog.records if it.name == "rotator.aws_lambda"]
    done = [line["step"] for line in lines if line["outcome"] == "done"]
    assert done == ["issue", "grant", "verify", "verify", "mark", "retire"]
    assert {line["rotation"] for line in lines} == {token}
    assert {line["credential"] for line in lines} == {f.name}
    assert {line["trigger"] for line in lines} <= {f"lambda {step}" for step in STEPS}
    assert len({line["trigger"] for line in lines}) > 1


def test_the_log_repeats_no_secret_that_others_do(caplog: pytest.LogCaptureFixture, canary: str) -> None:
    """As in every other log: what a store or PVE said may hold one; names may be told."""
    secret, uuid = Secret(f"battery-staple {canary}"), str(uuid4())
    said = f"svc@pve!ci-1-abcde was refused: {secret.reveal()}, {uuid}"
    event = Event(datetime.now(UTC), "ci", "pve", Step.PUBLISH, Outcome.FAILED, message=said, hint=said)
    with caplog.at_level(logging.INFO, "rotator.aws_lambda"):
        teller("createSecret")(event)
    line = json.loads(caplog.messages[-1])
    assert line["message"] == line["hint"] == "svc@pve!ci-1-abcde was refused: [hidden], [hidden]"
