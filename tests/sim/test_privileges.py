"""Who may do what: tokens, groups, the access control list."""

from __future__ import annotations

import pytest
import requests

from tests.sim.world import World

TOKENS = "/access/users/svc@pve/token"


def put_acl(world: World, headers: dict[str, str], **form: object) -> requests.Response:
    """Change the access control list."""
    return world.ask("PUT", "/access/acl", headers, form)


@pytest.mark.parametrize("privsep", [True, False])
def test_a_token_is_never_its_own_user(world: World, *, privsep: bool) -> None:
    """Without User.Modify it cannot list, read, create, change or delete tokens, itself included (measured)."""
    token = world.token("svc@pve", privsep=privsep)
    tries = {
        world.ask("GET", TOKENS, token).status_code,
        world.ask("GET", f"{TOKENS}/t1", token).status_code,
        world.create(token, "t2").status_code,
        world.ask("PUT", f"{TOKENS}/t1", token, {"regenerate": "1"}).status_code,
        world.ask("DELETE", f"{TOKENS}/t1", token).status_code,
    }
    assert tries == {403}
    assert world.ask("GET", "/access/users?full=1", token).json()["data"] == []


def test_the_ticket_of_a_user_is_its_own_user(world: World) -> None:
    """A person manages its own tokens without any privilege (measured)."""
    ticket = world.ticket("svc@pve")
    assert world.create(ticket, "st").status_code == 200
    assert [row["userid"] for row in world.ask("GET", "/access/users?full=1", ticket).json()["data"]] == ["svc@pve"]
    assert world.ask("DELETE", f"{TOKENS}/st", ticket).status_code == 200


def test_user_modify_counts_on_a_group_of_the_target(world: World) -> None:
    """It is needed where the target user is a member; the target's own groups decide (measured)."""
    world.pve.add_user("other@pve")
    world.pve.grant("/access/groups/rotated", "PVEUserAdmin", user="plain@pve")
    operator = world.token("plain@pve", "op", privsep=False)
    assert world.create(operator, "mg").status_code == 200
    assert world.ask("POST", "/access/users/other@pve/token/mg", operator).status_code == 403
    rows = world.ask("GET", "/access/users?full=1", operator).json()["data"]
    assert [row["userid"] for row in rows] == ["svc@pve"]


def test_a_privsep_token_needs_it_for_itself_and_for_its_user(world: World) -> None:
    """Neither alone is enough (measured)."""
    operator = world.token("plain@pve", "op")
    world.pve.grant("/access/groups/rotated", "PVEUserAdmin", token="plain@pve!op")
    assert world.create(operator, "mm").status_code == 403
    world.pve.grant("/access/groups/rotated", "PVEUserAdmin", user="plain@pve")
    assert world.create(operator, "mm").status_code == 200


def test_a_rotator_rotates_itself_only_as_a_member_of_its_group(world: World) -> None:
    """Its user must be in a group that it manages (measured)."""
    world.pve.add_user("rot@pve")
    world.pve.grant("/access/groups/rotated", "PVEUserAdmin", user="rot@pve")
    operator = world.token("rot@pve", "op", privsep=False)
    path = "/access/users/rot@pve/token/op2"
    assert world.ask("POST", path, operator).status_code == 403
    assert world.ask("PUT", "/access/users/rot@pve", world.admin, {"groups": "rotated"}).status_code == 200
    assert world.ask("POST", path, operator).status_code == 200


def test_user_modify_lifts_its_own_separation(world: World) -> None:
    """With it a token can clear its own privsep (measured)."""
    world.pve.grant("/access/groups/rotated", "PVEUserAdmin", user="svc@pve")
    token = world.token("svc@pve")
    world.pve.grant("/access/groups/rotated", "PVEUserAdmin", token="svc@pve!t1")
    assert world.ask("PUT", f"{TOKENS}/t1", token, {"privsep": "0"}).json()["data"]["privsep"] == "0"


def test_user_modify_on_all_groups_reaches_root(world: World) -> None:
    """On /access/groups it makes a privsep=0 token of root@pam, which may do everything (measured)."""
    world.pve.grant("/access/groups", "PVEUserAdmin", user="plain@pve", propagate=False)
    operator = world.token("plain@pve", "op", privsep=False)
    made = world.ask("POST", "/access/users/root@pam/token/esc", operator, {"privsep": "0"})
    assert made.status_code == 200
    root = {"Authorization": f"PVEAPIToken=root@pam!esc={made.json()['data']['value']}"}
    assert world.ask("GET", "/cluster/status", root).status_code == 200
    assert put_acl(world, root, path="/", users="plain@pve", roles="Administrator").status_code == 200


def test_setting_an_acl_needs_permissions_modify_there(world: World) -> None:
    """With it any role can be given, also one with more privileges than one's own (measured)."""
    world.pve.add_token("svc@pve", "t1")
    world.pve.add_role("AclEditor", ["Permissions.Modify"])
    world.pve.grant("/vms", "AclEditor", user="plain@pve")
    editor = world.token("plain@pve", "op", privsep=False)
    assert put_acl(world, editor, path="/vms", tokens="svc@pve!t1", roles="Administrator").status_code == 200
    refused = put_acl(world, editor, path="/", tokens="svc@pve!t1", roles="PVEAuditor")
    assert (refused.status_code, refused.reason) == (403, "Permission check failed (/, Permissions.Modify)")


def test_the_owner_of_an_object_may_hand_out_what_it_has(world: World) -> None:
    """VM.Allocate on a concrete guest, then roles within one's own privileges; never NoAccess (measured)."""
    world.pve.grant("/vms", "PVEVMAdmin", user="svc@pve")
    world.pve.add_token("svc@pve", "t1")
    owner = world.ticket("svc@pve")
    assert put_acl(world, owner, path="/vms", tokens="svc@pve!t1", roles="PVEVMUser").status_code == 403
    assert put_acl(world, owner, path="/vms/100", tokens="svc@pve!t1", roles="PVEVMUser").status_code == 200
    assert put_acl(world, owner, path="/vms/100", tokens="svc@pve!t1", roles="PVEVMAdmin").status_code == 200
    said = {
        role: put_acl(world, owner, path="/vms/100", tokens="svc@pve!t1", roles=role).json()["message"]
        for role in ("Administrator", "NoAccess")
    }
    start = "ACL update failed: 400 Parameter verification failed.\nrole: Cannot add role"
    assert said == {
        "Administrator": f"{start} 'Administrator' - requires 'Permissions.Modify' or superset of privileges.\n",
        "NoAccess": f"{start} 'NoAccess' - requires 'Permissions.Modify'\n",
    }


def test_the_owner_cannot_spread_what_does_not_propagate(world: World) -> None:
    """A role given with propagation needs privileges that propagate."""
    world.pve.grant("/vms/100", "PVEVMAdmin", user="svc@pve", propagate=False)
    world.pve.add_token("svc@pve", "t1")
    owner = world.ticket("svc@pve")
    form = {"path": "/vms/100", "tokens": "svc@pve!t1", "roles": "PVEVMUser"}
    assert put_acl(world, owner, **form).status_code == 500
    assert put_acl(world, owner, **form, propagate="0").status_code == 200


def test_acl_entries_of_a_full_token_have_no_effect(world: World) -> None:
    """They are accepted for a privsep=0 token, which has what its user has (measured)."""
    world.pve.add_token("svc@pve", "a0", privsep=False)
    world.pve.grant("/vms/100", "PVEVMAdmin", user="svc@pve")
    assert put_acl(world, world.admin, path="/nodes", tokens="svc@pve!a0", roles="PVEAuditor").status_code == 200
    assert world.pve.permissions("svc@pve!a0") == world.pve.permissions("svc@pve")
    assert set(world.pve.permissions("svc@pve!a0")) == {"/vms/100"}


def test_the_acl_is_silently_shorter_without_sys_audit(world: World) -> None:
    """GET /access/acl leaves out what the caller may not change, unless it has Sys.Audit on /access (measured)."""
    world.pve.add_role("AclEditor", ["Permissions.Modify"])
    world.pve.grant("/vms", "AclEditor", user="plain@pve")
    world.pve.add_user("audit@pve")
    world.pve.grant("/", "PVEAuditor", user="audit@pve")

    def seen(userid: str) -> list[str]:
        rows = world.ask("GET", "/access/acl", world.token(userid, "look", privsep=False)).json()["data"]
        return sorted(row["ugid"] for row in rows)

    assert seen("svc@pve") == []
    assert seen("plain@pve") == ["plain@pve"]
    assert seen("audit@pve") == ["admin@pve", "audit@pve", "plain@pve"]


def test_the_permissions_of_others_need_sys_audit(world: World) -> None:
    """Oneself and one's own tokens are free; a token asking for its user is somebody else (measured)."""
    world.pve.grant("/vms", "PVEVMUser", user="svc@pve")
    token = world.token("svc@pve", privsep=False)

    def status(headers: dict[str, str], who: str) -> int:
        return world.ask("GET", f"/access/permissions?userid={who}", headers).status_code

    assert status(token, "svc@pve!t1") == 200
    assert status(token, "svc@pve") == 403
    assert status(world.ticket("svc@pve"), "svc@pve!t1") == 200
    assert status(world.ticket("plain@pve"), "svc@pve") == 403
    assert status(world.admin, "svc@pve") == 200


def test_an_unknown_token_has_empty_permissions(world: World) -> None:
    """200 {} for a token that is not there, 400 for what is no id (measured)."""
    answer = world.ask("GET", "/access/permissions?userid=svc@pve!nope", world.admin)
    assert (answer.status_code, answer.json()["data"]) == (200, {})
    assert world.ask("GET", "/access/permissions?userid=svc", world.admin).status_code == 400


def test_an_auditor_cannot_read_tokens(world: World) -> None:
    """PVEAuditor lists users with their tokens, but may not read one (measured)."""
    world.pve.add_token("svc@pve", "t1")
    world.pve.grant("/", "PVEAuditor", user="plain@pve")
    assert world.ask("GET", f"{TOKENS}/t1", world.ticket("plain@pve")).status_code == 403


@pytest.mark.parametrize(
    ("form", "status", "said"),
    [
        ({"roles": "NoSuch"}, 500, "ACL update failed: role 'NoSuch' does not exist"),
        ({"tokens": "svc@pve!nope"}, 500, "ACL update failed: no such token 'nope' for user 'svc@pve'"),
        ({"tokens": "nosuch@pve!nope"}, 500, "ACL update failed: no such user ('nosuch@pve')"),
        ({"tokens": "svc@pve"}, 400, "invalid format - value 'svc@pve' does not look like a valid token ID"),
        ({"roles": "a b/c"}, 400, "invalid format - role name 'b/c' contains invalid characters"),
        ({"path": "/foo"}, 400, "invalid ACL path '/foo'"),
        ({"path": "/vms/abc"}, 400, "invalid ACL path '/vms/abc'"),
        ({"tokens": ""}, 400, "either 'users', 'groups' or 'tokens' is required."),
    ],
)
def test_what_an_acl_entry_may_hold(world: World, form: dict[str, str], status: int, said: str) -> None:
    """The words for each refusal (measured)."""
    world.pve.add_token("svc@pve", "t1")
    answer = put_acl(world, world.admin, **{"path": "/vms", "tokens": "svc@pve!t1", "roles": "PVEVMUser"} | form)
    assert answer.status_code == status
    assert said in [
        line for text in (*answer.json().get("errors", {}).values(), answer.reason) for line in text.split("\n")
    ]


def test_acl_entries_come_and_go(world: World) -> None:
    """The same again changes nothing, delete=1 of what is not there is fine, paths are brought into form (measured)."""
    world.pve.add_token("svc@pve", "t1")
    entry = {"path": "vms/", "tokens": "svc@pve!t1", "roles": "PVEVMUser,PVEAuditor"}
    admin = world.admin

    def entries() -> list[tuple[str, str, int]]:
        rows = world.ask("GET", "/access/acl", admin).json()["data"]
        return sorted((row["path"], row["roleid"], row["propagate"]) for row in rows if row["type"] == "token")

    assert [put_acl(world, admin, **entry).status_code for _ in range(2)] == [200, 200]
    assert entries() == [("/vms", "PVEAuditor", 1), ("/vms", "PVEVMUser", 1)]
    put_acl(world, admin, **entry | {"roles": "PVEVMUser"}, propagate="0")
    assert entries() == [("/vms", "PVEAuditor", 1), ("/vms", "PVEVMUser", 0)]
    assert [put_acl(world, admin, **entry, delete="1").status_code for _ in range(2)] == [200, 200]
    assert entries() == []


def test_roles_groups_and_pools_through_the_api(world: World) -> None:
    """An Administrator makes, reads, changes and deletes them; built-in roles stay as they are."""
    admin = world.admin
    made = [
        world.ask("POST", "/access/roles", admin, {"roleid": "R1", "privs": "VM.Audit"}),
        world.ask("PUT", "/access/roles/R1", admin, {"privs": "VM.PowerMgmt", "append": "1"}),
        world.ask("POST", "/access/groups", admin, {"groupid": "g1", "comment": "c"}),
        world.ask("PUT", "/access/groups/g1", admin, {"comment": "d"}),
        world.ask("POST", "/pools", admin, {"poolid": "p1"}),
        world.ask("PUT", "/access/users/plain@pve", admin, {"groups": "g1", "append": "1", "comment": "hello"}),
    ]
    assert [answer.status_code for answer in made] == [200] * 6
    assert world.ask("GET", "/access/roles/R1", admin).json()["data"] == {"VM.Audit": 1, "VM.PowerMgmt": 1}
    assert world.ask("GET", "/access/groups/g1", admin).json()["data"] == {"members": ["plain@pve"], "comment": "d"}
    assert world.ask("GET", "/access/users/plain@pve", admin).json()["data"]["comment"] == "hello"
    assert world.ask("GET", "/pools", admin).json()["data"] == [{"poolid": "p1"}]
    assert world.ask("GET", "/pools/p1", admin).json()["data"] == {"members": []}
    assert world.ask("PUT", "/access/roles/PVEAuditor", admin, {"privs": ""}).status_code == 500
    assert world.ask("POST", "/access/roles", admin, {"roleid": "pveMine"}).status_code == 400
    gone = [world.ask("DELETE", path, admin) for path in ("/access/roles/R1", "/access/groups/g1", "/pools/p1")]
    assert [answer.status_code for answer in gone] == [200] * 3
    again = [world.ask("DELETE", path, admin) for path in ("/access/roles/R1", "/access/groups/g1", "/pools/p1")]
    assert [answer.reason for answer in again] == [
        "delete role failed: role 'R1' does not exist",
        "delete group failed: group 'g1' does not exist",
        "delete pool failed: pool 'p1' does not exist",
    ]


def test_the_setup_of_a_rotator_through_the_api(world: World) -> None:
    """Group, user, role, ACL and operator token, as an Administrator would make them by hand."""
    admin = world.admin
    steps = [
        world.ask("POST", "/access/groups", admin, {"groupid": "managed"}),
        world.ask("POST", "/access/users", admin, {"userid": "rot@pve", "groups": "managed"}),
        world.ask("POST", "/access/roles", admin, {"roleid": "TokenRotator", "privs": "User.Modify"}),
        put_acl(world, admin, path="/access/groups/managed", roles="TokenRotator", users="rot@pve"),
        world.ask("POST", "/access/users/rot@pve/token/op", admin, {"privsep": "0"}),
    ]
    assert [step.status_code for step in steps] == [200] * 5
    assert world.pve.permissions("rot@pve!op") == {"/access/groups/managed": {"User.Modify": 1}}


def test_making_users_needs_realm_and_group(world: World) -> None:
    """Realm.AllocateUser on the realm, and User.Modify on every group that is named."""
    world.pve.add_role("Maker", ["Realm.AllocateUser"])
    world.pve.grant("/access/realm/pve", "Maker", user="plain@pve")
    maker = world.ticket("plain@pve")
    form = {"userid": "new@pve", "groups": "rotated"}
    assert world.ask("POST", "/access/users", maker, form).reason.endswith("(/access/groups/rotated, User.Modify)")
    assert world.ask("POST", "/access/users", maker, {"userid": "new@pve"}).status_code == 403
    world.pve.grant("/access/groups/rotated", "PVEUserAdmin", user="plain@pve")
    assert world.ask("POST", "/access/users", maker, form).status_code == 200
    assert world.ask("POST", "/access/users", maker, {**form, "userid": "new@pam"}).status_code == 403


def test_a_user_that_cannot_be_made(world: World) -> None:
    """An id that is taken, a realm or a group that is not there: 500 that names it."""
    admin = world.admin
    said = [
        world.ask("POST", "/access/users", admin, form).reason
        for form in ({"userid": "svc@pve"}, {"userid": "x@ldap"}, {"userid": "x@pve", "groups": "nope"})
    ]
    assert said == [
        "create user failed: user 'svc@pve' already exists",
        "create user failed: auth domain 'ldap' does not exist",
        "create user failed: no such group 'nope'",
    ]
