"""Doctor at its edges: several clusters, operators of other kinds, and answers that do not come."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from rotator.doctor.cluster_checks import right_port
from rotator.doctor.given import read_given, stored_fault
from rotator.doctor.operator_checks import granting
from rotator.doctor.token_checks import held
from rotator.model import Secret
from rotator.testing.pve import AnswerInstead, Fault, HangUpBefore, Request
from tests.cli.lab import USER, only
from tests.doctor.clinic import GROUP, OPERATOR, PASSWORD, Clinic, codes_of

SECRET = "0f0e0d0c-1111-4222-8333-444455556666"


def at_path(path: str, fault: Fault) -> Callable[[Request], Fault | None]:
    """Disturb the calls of one path."""
    return lambda request: fault if request.path == path else None


@pytest.mark.parametrize(("others", "stays"), [((), "''"), (("people", "admins"), "admins,people")])
def test_an_operator_in_its_own_group_keeps_its_other_groups(
    clinic: Clinic, others: tuple[str, ...], stays: str
) -> None:
    """PVE is told all groups that a user stays in; whoever typed none took it out of all."""
    for group in others:
        clinic.pve.add_group(group)
    clinic.change_user(OPERATOR, groups=frozenset({GROUP, *others}))
    finding = only(only([it for it in clinic.doctor() if it["findings"]])["findings"])
    assert finding["commands"] == [f"pveum user modify {OPERATOR} --groups {stays}"]


def test_a_node_that_refuses_the_operator_alone_lags_behind(trio: Clinic) -> None:
    """It was cut off before the operator's token was made, so it cannot even say that it has no quorum."""
    trio.pve.nodes[2].quorate = False
    secret = trio.pve.add_token(OPERATOR, "op2", privsep=False)
    trio.watch(secret)
    trio.environ["ROTATE_TEST_OPERATOR"] = secret
    trio.operators["one"] |= {"token_id": f"{OPERATOR}!op2"}
    trio.write()
    results = trio.doctor()
    assert codes_of(results) == ["cluster: node-lag"]
    assert trio.pve.nodes[2].endpoint in only(results[0]["findings"])["what"]


def test_one_cluster_that_is_down_does_not_keep_the_others_from_being_examined(clinic: Clinic) -> None:
    """Its credentials are said to be unknown, the others are judged."""
    whole = yaml.safe_load(clinic.config.read_text())
    whole["clusters"]["two"] = {**whole["clusters"]["one"], "endpoints": ["pve.invalid"]}
    other = {**whole["credentials"][0], "name": "web", "cluster": "two"}
    other["destination"] = {"path": str(clinic.folder / "web.json")}
    whole["credentials"].append(other)
    clinic.plant("web", f"{USER}!web", SECRET)
    clinic.config.write_text(yaml.safe_dump(whole))
    results = clinic.doctor()
    assert codes_of(results) == ["cluster: name-unresolved"]
    assert [(it["kind"], it["name"]) for it in results] == [
        ("cluster", "one"),
        ("operator", f"{OPERATOR}!op"),
        ("cluster", "two"),
        ("store", f"file:{clinic.folder}/ci.json"),
        ("store", f"file:{clinic.folder}/web.json"),
        ("credential", "ci"),
        ("credential", "web"),
    ]
    assert "the cluster could not be asked" in only(results[-1]["unknown"])
    assert codes_of(clinic.doctor("ci")) == []


def with_password(clinic: Clinic, password: str) -> None:
    """Let the operator be a user who logs in with a password out of a file."""
    clinic.pve.add_user("boss@pve", password=PASSWORD)
    clinic.pve.grant(f"/access/groups/{GROUP}", "TokenRotator", user="boss@pve")
    clinic.pve.grant("/", "Looker", user="boss@pve")
    file = clinic.folder / "boss"
    file.write_text(password)
    file.chmod(0o600)
    clinic.operators["one"] = {"user": "boss@pve", "password": {"file": str(file)}}
    clinic.write()


def test_an_operator_with_a_password_is_examined_too(clinic: Clinic) -> None:
    """It has no token that could end."""
    with_password(clinic, PASSWORD)
    results = clinic.doctor()
    assert codes_of(results) == []
    assert (results[1]["name"], results[1]["unknown"]) == ("boss@pve", [])


def test_an_operator_with_a_wrong_password_is_refused(clinic: Clinic) -> None:
    """PVE does not say whether it is the password."""
    with_password(clinic, "some other password")
    assert clinic.codes() == ["operator: operator-refused"]


def test_a_password_that_is_not_there_is_named(clinic: Clinic) -> None:
    """Nobody was asked anything."""
    place = {"backend": "file", "path": str(clinic.folder / "boss.json"), "key": "password"}
    clinic.operators["one"] = {"user": "boss@pve", "password": place}
    clinic.write()
    results = clinic.doctor()
    assert codes_of(results) == ["operator: operator-unreadable"]
    assert clinic.pve.calls == []


def test_a_login_that_nobody_answers_is_no_finding_of_the_token(clinic: Clinic) -> None:
    """Nothing is known then, and nothing is said."""
    clinic.pve.intercept = at_path("/version", HangUpBefore())
    assert clinic.codes("ci") == []


@pytest.mark.parametrize("path", ["/access/permissions", "/nodes", "/access/acl", "/access/roles/PVEVMUser"])
def test_what_the_operator_cannot_ask_is_no_finding_of_the_credential(clinic: Clinic, path: str) -> None:
    """Refusals of what is asked beside the point are left out."""
    clinic.pve.intercept = at_path(path, AnswerInstead(500, "died"))
    assert [code for code in clinic.codes() if code.startswith("credential")] == []


def test_a_request_that_nobody_answers_is_told_as_that(clinic: Clinic) -> None:
    """The greeting was answered, the request was not."""
    record = clinic.record("ci")
    clinic.pve.intercept = at_path("/version", HangUpBefore())
    shown = f"PVEAPIToken={record['token_id']}={record['token_secret']}"
    assert clinic.request(shown, f"https://{clinic.pve.nodes[0].endpoint}") == ["request: no-answer"]


def test_a_refusal_without_a_named_privilege_is_left_to_the_permissions(clinic: Clinic) -> None:
    """A 403 whose words name nothing: what the token may do explains it, or nothing does, and then that is told."""
    record = clinic.record("ci")
    shown = f"PVEAPIToken={record['token_id']}={record['token_secret']}"
    clinic.pve.intercept = at_path("/cluster/status", AnswerInstead(403, "Permission check failed"))
    where = f"https://{clinic.pve.nodes[0].endpoint}/api2/json/cluster/status"
    assert clinic.request(shown, where) == ["request: answered-otherwise"]
    clinic.change_token(privsep=True)
    assert clinic.request(shown, where) == ["request: privsep-without-acl"]


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=80))
def test_any_text_can_be_shown_and_its_name_has_no_secret(text: str) -> None:
    """What is read is total; and a value with a secret in it is never a name."""
    assert read_given(text).name
    assert SECRET not in read_given(f"{text}={SECRET}").name
    stored_fault(Secret(text))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (f"PVEAPIToken={USER}!t1={SECRET}", None),
        (f"PVEAPIToken={USER}!t1:{SECRET}", "colon-for-equals"),
        (f"'PVEAPIToken={USER}!t1={SECRET}'", "header-quoted"),
        (f"{USER}!t1:{SECRET}", "colon-for-equals"),
        (f"{USER}!t1={SECRET}", None),
        ("anything at all", None),
    ],
)
def test_a_stored_value_is_judged_only_where_it_means_a_header(text: str, fault: str | None) -> None:
    """Keys of others hold what they like."""
    shown = stored_fault(Secret(text))
    assert (shown.fault if shown else None) == fault


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/vms", {"A", "B"}), ("/vms/100", {"A"}), ("/", {"C"}), ("/storage/x", set()), ("/nodes", {"D"})],
)
def test_privileges_come_down_where_they_spread(path: str, expected: set[str]) -> None:
    """What PVE shows on a path holds there; on one that it does not show, what comes from above."""
    permissions = {"/": {"C": 0}, "/vms": {"A": 1, "B": 0}, "/nodes": {"D": 0}}
    assert held(permissions, path) == expected


def test_whose_object_it_is_may_grant_on_it() -> None:
    """On a concrete object only (measured)."""
    assert granting("/vms") == ["Permissions.Modify"]
    assert granting("/vms/100") == ["Permissions.Modify", "VM.Allocate"]
    assert granting("/storage/local") == ["Permissions.Modify", "Datastore.Allocate"]


def test_the_right_port_is_one_of_the_same_host() -> None:
    """Another host's port says nothing."""
    assert right_port("a:1", ["b:8006", "a:8006"]) == "a:8006"
    assert right_port("a:1", ["b:8006", "a:1"]) == ""
    assert right_port("[::1]:1", ["[::1]:8006"]) == "[::1]:8006"
