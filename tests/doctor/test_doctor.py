"""``rotate doctor``: each thing that can be wrong is made wrong on a simulated PVE, and it names that and no other."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from rotator.testing.state import Holder
from tests.cli.lab import USER, only
from tests.doctor.clinic import GROUP, OPERATOR, Clinic

Harm = Callable[[Clinic], None]


def test_what_is_well_is_called_fine(clinic: Clinic) -> None:
    """As a whole and by name; nothing is refused on the way, and nothing changed."""
    before = clinic.pve.cluster.newest()
    assert clinic.codes() == []
    assert clinic.codes("ci") == []
    assert clinic.refused() == 0
    assert clinic.pve.cluster.newest() is before
    assert {call.method for call in clinic.pve.calls} == {"GET"}


def test_everything_is_examined_in_its_order(clinic: Clinic) -> None:
    """Clusters and operators, stores, credentials; what cannot be known is said."""
    results = clinic.doctor()
    assert [(it["kind"], it["name"]) for it in results] == [
        ("cluster", "one"),
        ("operator", f"{OPERATOR}!op"),
        ("store", f"file:{clinic.folder}/ci.json"),
        ("credential", "ci"),
    ]
    assert "a store tells each caller of its own rights alone" in results[2]["unknown"][0]
    assert [it["unknown"] for it in results if it["kind"] != "store"] == [[], [], []]


# what a credential suffers from


def token_gone(clinic: Clinic) -> None:
    """Delete the published token."""
    clinic.pve.delete_token(clinic.current)


def token_expired(clinic: Clinic) -> None:
    """Let it end a minute ago."""
    clinic.change_token(expire=int(clinic.time.stamp()) - 60)


def user_disabled(clinic: Clinic) -> None:
    """Disable its user."""
    clinic.change_user(enable=False)


def user_expired(clinic: Clinic) -> None:
    """Let its user end a minute ago."""
    clinic.change_user(expire=int(clinic.time.stamp()) - 60)


def secret_wrong(clinic: Clinic) -> None:
    """Give it another secret, as a regenerate by hand does."""
    secret = "99999999-9999-4999-8999-999999999999"
    clinic.watch(secret)
    clinic.change_token(secret=secret)


def secret_misshapen(clinic: Clinic) -> None:
    """Leave a line break behind the secret, as `echo` does."""
    record = clinic.record("ci")
    clinic.plant("ci", record["token_id"], record["token_secret"] + "\n")


def realm_wrong(clinic: Clinic) -> None:
    """Write another realm into the record."""
    record = clinic.record("ci")
    clinic.plant("ci", record["token_id"].replace("@pve", "@pam"), record["token_secret"])


def realm_unknown(clinic: Clinic) -> None:
    """Configure, and record, a realm that PVE does not have."""
    record = clinic.record("ci")
    clinic.plant("ci", record["token_id"].replace("@pve", "@ldap"), record["token_secret"])
    clinic.credentials[0]["user"] = USER.replace("@pve", "@ldap")
    clinic.write()


def user_gone(clinic: Clinic) -> None:
    """Delete the user, with its tokens."""
    clinic.pve.cluster.plant(lambda state: state.without_user(USER))


def privsep_without_acl(clinic: Clinic) -> None:
    """Turn privilege separation on, and grant nothing."""
    clinic.change_token(privsep=True)


def user_lacks_role(clinic: Clinic) -> None:
    """Take the user's own role away."""
    clinic.pve.cluster.plant(lambda state: state.with_grant("/vms", holder("user", USER), "NoAccess", propagate=True))


def colon_in_record(clinic: Clinic) -> None:
    """Put a header with the wrong separator beside the token, as a consumer of the Backup Server would want it."""
    record = clinic.record("ci")
    record["header"] = f"PVEAPIToken={record['token_id']}:{record['token_secret']}"
    (clinic.folder / "ci.json").write_text(json.dumps(record))


def record_empty(clinic: Clinic) -> None:
    """Take the record away."""
    (clinic.folder / "ci.json").write_text("{}")


def record_misshapen(clinic: Clinic) -> None:
    """Leave only half of it."""
    (clinic.folder / "ci.json").write_text('{"token_id": "svc@pve!x"}')


def not_adopted(clinic: Clinic) -> None:
    """Put a token there that somebody else made."""
    clinic.plant("ci", f"{USER}!hand", clinic.pve.add_token(USER, "hand", privsep=False))


def other_token(clinic: Clinic) -> None:
    """Put a token of somebody else there."""
    clinic.pve.add_user("other@pve", groups=[GROUP])
    clinic.pve.grant("/vms", "PVEVMUser", user="other@pve")
    clinic.plant("ci", "other@pve!hand", clinic.pve.add_token("other@pve", "hand", privsep=False))


def holder(kind: Any, name: str) -> Any:  # noqa: ANN401 - the simulator's own kinds
    """Name whom an entry of the ACL is for."""
    return Holder(kind, name)


HARMS: list[tuple[Harm, str, int]] = [
    (token_gone, "token-gone", 5),
    (token_expired, "token-expired", 5),
    (user_disabled, "user-disabled", 5),
    (user_expired, "user-expired", 5),
    (secret_wrong, "secret-wrong", 5),
    (secret_misshapen, "secret-misshapen", 5),
    (realm_wrong, "realm-wrong", 5),
    (realm_unknown, "realm-wrong", 5),
    (user_gone, "user-gone", 5),
    (privsep_without_acl, "privsep-without-acl", 5),
    (user_lacks_role, "user-lacks-role", 5),
    (colon_in_record, "colon-for-equals", 5),
    (record_empty, "record-empty", 4),
    (record_misshapen, "record-misshapen", 4),
    (not_adopted, "not-adopted", 4),
    (other_token, "other-token", 4),
]


@pytest.mark.parametrize(("harm", "code", "exit_code"), HARMS, ids=[harm.__name__ for harm, _, _ in HARMS])
def test_what_ails_a_credential_is_named_and_nothing_else(
    clinic: Clinic, harm: Harm, code: str, exit_code: int
) -> None:
    """As a part of the whole and by name; and no refused login is provoked where the operator sees the cause."""
    harm(clinic)
    for named in ([], ["ci"]):
        results = clinic.doctor(*named)
        found = only([finding for it in results for finding in it["findings"]])
        assert (found["code"], max(it["exit_code"] for it in results)) == (code, exit_code)
        assert found["evidence"]
        assert found["commands"]
    assert clinic.refused() == (2 if code == "secret-wrong" else 0)


@pytest.mark.parametrize("harm", [not_adopted, other_token])
def test_the_mirror_that_holds_a_strange_token_is_the_one_that_is_named(clinic: Clinic, harm: Harm) -> None:
    """The primary is well: who looks there finds nothing, and takes the wrong token for somebody else's."""
    well = clinic.record("ci")
    harm(clinic)
    strange = clinic.record("ci")["token_id"]
    mirror = (clinic.folder / "ci.json").rename(clinic.folder / "mirror.json")
    clinic.plant("ci", well["token_id"], well["token_secret"])
    del clinic.credentials[0]["destination"]
    clinic.credentials[0]["destinations"] = [{"path": str(clinic.folder / "ci.json")}, {"path": str(mirror)}]
    clinic.write()
    told = only([it for each in clinic.doctor("ci") for it in each["findings"] if it["code"] != "mirror-behind"])
    place = f"file:{mirror}"
    if harm is not_adopted:
        assert told["what"] == f"{place} holds {strange}, which somebody else made"
    else:
        assert told["what"] == f"{place} holds a token of another user, or not the pinned one"
        assert told["evidence"][0].startswith(f"{place} holds {strange}")


def test_a_pinned_token_that_is_in_no_record_is_not_said_to_be_in_one(clinic: Clinic) -> None:
    """Terraform made it under the name that the credential pins; only PVE knows it."""
    (clinic.folder / "ci.json").unlink()
    clinic.credentials[0].update(strategy="regenerate", base="pinned")
    clinic.write()
    clinic.watch(clinic.pve.add_token(USER, "pinned", privsep=False))
    (told,) = [it for each in clinic.doctor("ci") for it in each["findings"] if it["code"] == "not-adopted"]
    assert told["what"] == f"PVE holds {USER}!pinned, which somebody else made"


def test_a_paused_credential_that_never_had_a_token_is_no_failure(clinic: Clinic) -> None:
    """It was configured for later; what that means is told all the same."""
    clinic.add("later", paused=True)
    told = only([finding for it in clinic.doctor() for finding in it["findings"]])
    assert (told["code"], told["severity"]) == ("record-empty", "note")
    assert clinic.call("doctor").exit_code == 0
    (clinic.folder / "ci.json").unlink()
    clinic.credentials[0]["paused"] = True
    clinic.write()
    assert only(clinic.doctor("ci")[-1]["findings"])["severity"] == "error"


def test_a_secret_is_tried_once(trio: Clinic) -> None:
    """Although there are three nodes that would refuse it."""
    secret_wrong(trio)
    assert trio.codes("ci") == ["credential: secret-wrong"]
    assert trio.refused() == 1
    assert trio.time.slept == [3.0]


def test_people_are_told_what_to_do(clinic: Clinic) -> None:
    """In pveum's words and by the web interface."""
    user_disabled(clinic)
    result = clinic.call("doctor", "ci")
    assert result.exit_code == 5
    lines = [line.strip() for line in result.output.splitlines()]
    assert "credential ci  1 finding" in lines
    assert f"locked-out: {USER} is disabled (user-disabled)" in lines
    assert f"seen: PVE lists {USER} with enable 0" in lines
    assert f"do: pveum user modify {USER} --enable 1" in lines
    assert f"web: Datacenter > Permissions > Users > {USER} > Edit > Enabled" in lines


@pytest.mark.parametrize(
    ("shown", "code"),
    [("{id}:{secret}", "colon-for-equals"), ("{id}", "record-misshapen")],
)
def test_a_record_in_a_consumers_words_may_be_misspelt(clinic: Clinic, shown: str, code: str) -> None:
    """A record that shows nothing but one text cannot be read back then, and why is told where it can be seen."""
    record = clinic.record("ci")
    text = shown.format(id=record["token_id"], secret=record["token_secret"])
    clinic.credentials[0]["destination"] |= {"fields": {"api_token": "{token}"}, "canonical": False}
    clinic.write()
    (clinic.folder / "ci.json").write_text(json.dumps({"api_token": text}))
    assert clinic.codes("ci") == [f"credential: {code}"]


# privilege separation with declared grants


def separated(clinic: Clinic, path: str = "/vms", role: str = "PVEVMUser") -> None:
    """Configure a privilege-separated credential, and put a token of ours into its record with one entry."""
    clinic.credentials[0] |= {"privsep": True, "grants": [{"path": "/vms", "role": "PVEVMUser"}]}
    clinic.write()
    clinic.pve.grant("/vms", "Granter", user=OPERATOR)
    clinic.change_token(privsep=True)
    clinic.pve.grant(path, role, token=clinic.current)


@pytest.fixture
def granting(clinic: Clinic) -> Clinic:
    """Return a clinic whose operator may grant roles on /vms."""
    clinic.pve.add_role("Granter", ["Permissions.Modify"])
    return clinic


def test_a_grant_that_holds_is_fine(granting: Clinic) -> None:
    """The operator may grant and see, the user has the role, the token has its entry."""
    separated(granting)
    assert granting.codes() == []


@pytest.mark.parametrize(
    ("path", "role", "code"),
    [
        ("/vms/100", "PVEVMUser", "acl-path-elsewhere"),
        ("/storage", "PVEDatastoreUser", "privsep-without-acl"),
        ("/vms", "PVETemplateUser", "role-too-small"),
    ],
)
def test_an_entry_that_does_not_do_is_told_apart(granting: Clinic, path: str, role: str, code: str) -> None:
    """On another path, or with a role that lacks what is granted."""
    separated(granting, path, role)
    expected = "acl-path-elsewhere" if code == "privsep-without-acl" else code
    assert granting.codes("ci") == [f"credential: {expected}"]


def test_a_user_without_the_role_is_told_although_its_token_has_it(granting: Clinic) -> None:
    """A token can do no more than its user."""
    separated(granting)
    user_lacks_role(granting)
    assert granting.codes("ci") == ["credential: user-lacks-role"]


def test_a_grant_on_a_node_that_is_not_there_is_told(granting: Clinic) -> None:
    """PVE takes it, and it covers nothing."""
    separated(granting)
    granting.pve.grant("/nodes/pve9", "PVEAuditor", token=granting.current)
    assert granting.codes("ci") == ["credential: acl-path-missing"]


def test_without_sight_of_the_acl_the_token_itself_tells(granting: Clinic) -> None:
    """Its own permissions are empty; what that leaves open is said."""
    separated(granting, "/storage", "PVEDatastoreUser")
    granting.pve.cluster.plant(lambda state: state.without_grant("/", holder("user", OPERATOR), "Looker"))
    results = granting.doctor("ci")
    found = only([finding for it in results for finding in it["findings"]])
    assert found["code"] == "privsep-without-acl"
    assert "not known without Sys.Audit" in found["evidence"][-1]
    assert "the operator lacks Sys.Audit on /access" in results[-1]["unknown"][0]
