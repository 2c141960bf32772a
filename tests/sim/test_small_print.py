"""The rest of the API: what is there so that scripts find what they expect."""

from __future__ import annotations

import socket
import ssl

import pytest

from tests.sim.world import NOW, PASSWORD, World, with_ticket


def root(world: World) -> dict[str, str]:
    """Return the headers of root@pam, whose password is the machine's."""
    tickets = world.pve.tickets
    ticket, csrf = tickets.issue("root@pam", NOW), tickets.issue_csrf("root@pam", NOW)
    return with_ticket({"ticket": ticket, "CSRFPreventionToken": csrf})


def test_root_may_do_everything(world: World) -> None:
    """Permissions are not even looked at."""
    assert world.ask("POST", "/access/users", root(world), {"userid": "new@pve"}).status_code == 200
    change = {"userid": "plain@pve", "password": "another password"}
    assert world.ask("PUT", "/access/password", root(world), change).status_code == 200


def test_only_root_changes_the_password_of_root(world: World) -> None:
    """And nobody but root that of another system user."""
    world.pve.add_user("other@pam", groups=["rotated"])
    change = {"password": "another password", "confirmation-password": PASSWORD}
    statuses = {
        user: world.ask("PUT", "/access/password", world.admin, {**change, "userid": user}).status_code
        for user in ("root@pam", "other@pam", "svc@pve")
    }
    assert statuses == {"root@pam": 403, "other@pam": 403, "svc@pve": 200}


def test_nobody_else_changes_a_password(world: World) -> None:
    """It takes Realm.AllocateUser and User.Modify."""
    change = {"userid": "svc@pve", "password": "another password", "confirmation-password": PASSWORD}
    assert world.ask("PUT", "/access/password", world.ticket("plain@pve"), change).status_code == 403


def test_a_user_is_read_by_whoever_manages_it(world: World) -> None:
    """Not by its own token (measured)."""
    token = world.token("svc@pve", privsep=False)
    assert world.ask("GET", "/access/users/svc@pve", token).reason == "Permission check failed"
    assert world.ask("GET", "/access/users/nosuch@pve", world.admin).reason == "no such user ('nosuch@pve')"


def test_users_are_filtered_by_whether_they_are_enabled(world: World) -> None:
    """enabled=0 lists those that are not."""
    assert world.ask("PUT", "/access/users/svc@pve", world.admin, {"enable": "0"}).status_code == 200
    rows = {flag: world.ask("GET", f"/access/users?enabled={flag}", world.admin).json()["data"] for flag in "01"}
    assert [row["userid"] for row in rows["0"]] == ["svc@pve"]
    assert "svc@pve" not in [row["userid"] for row in rows["1"]]


def test_a_disabled_user_is_locked_out_and_let_in_again(world: World) -> None:
    """With all its tokens (measured)."""
    token = world.token("svc@pve")
    for enable, status in (("0", 401), ("1", 200)):
        world.ask("PUT", "/access/users/svc@pve", world.admin, {"enable": enable})
        assert world.ask("GET", "/version", token).status_code == status


def test_groups_are_listed_to_who_may_see_them(world: World) -> None:
    """With their members; reading one needs Sys.Audit or Group.Allocate on all (measured)."""
    rows = world.ask("GET", "/access/groups", world.admin).json()["data"]
    assert rows == [{"groupid": "rotated", "users": "svc@pve"}]
    token = world.token("svc@pve")
    assert world.ask("GET", "/access/groups", token).json()["data"] == []
    answer = world.ask("GET", "/access/groups/rotated", token)
    assert answer.reason == "Permission check failed (/access/groups, Sys.Audit|Group.Allocate)"


def test_taking_a_group_away_takes_its_entries(world: World) -> None:
    """And its memberships."""
    world.pve.grant("/vms", "PVEVMUser", group="rotated")
    assert world.ask("DELETE", "/access/groups/rotated", world.admin).status_code == 200
    assert world.pve.permissions("svc@pve") == {}
    assert world.ask("GET", "/access/users/svc@pve", world.admin).json()["data"]["groups"] == []


def test_taking_a_role_away_takes_its_entries(world: World) -> None:
    """Built-in ones cannot be taken away."""
    world.pve.add_role("Power", ["VM.PowerMgmt"])
    world.pve.grant("/vms", "Power", user="svc@pve")
    assert world.ask("DELETE", "/access/roles/Power", world.admin).status_code == 200
    assert world.pve.permissions("svc@pve") == {}
    answer = world.ask("DELETE", "/access/roles/PVEAdmin", world.admin)
    assert answer.reason == "auto-generated role 'PVEAdmin' cannot be deleted"
    assert world.ask("GET", "/access/roles/Power", world.admin).reason == "role 'Power' does not exist"


def test_all_roles_are_listed_to_everybody(world: World) -> None:
    """With their privileges, the built-in ones marked."""
    rows = {row["roleid"]: row for row in world.ask("GET", "/access/roles", world.token("svc@pve")).json()["data"]}
    assert rows["PVETemplateUser"] == {"roleid": "PVETemplateUser", "privs": "VM.Audit,VM.Clone", "special": 1}


@pytest.mark.parametrize(
    ("path", "form", "said"),
    [
        ("/access/groups", {"groupid": "rotated"}, "create group failed: group 'rotated' already exists"),
        ("/access/roles", {"roleid": "NoAccess"}, "create role failed: role 'NoAccess' already exists"),
        ("/pools", {"poolid": "p1"}, "create pool failed: pool 'p1' already exists"),
    ],
)
def test_what_exists_cannot_be_made_again(world: World, path: str, form: dict[str, str], said: str) -> None:
    """500 that names it."""
    world.pve.add_pool("p1")
    answer = world.ask("POST", path, world.admin, form)
    assert (answer.status_code, answer.reason) == (500, said)


def test_a_pool_is_emptied_before_it_is_deleted(world: World) -> None:
    """Its members are listed; its ACL entries go with it."""
    world.pve.add_pool("p1", vms=[100], storages=["local"])
    members = world.ask("GET", "/pools/p1", world.admin).json()["data"]["members"]
    assert [member["id"] for member in members] == ["qemu/100", "storage/local"]
    assert world.ask("DELETE", "/pools/p1", world.admin).reason == "delete pool failed: pool 'p1' is not empty"
    assert world.ask("POST", "/pools", world.ticket("plain@pve"), {}).status_code == 403


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"userid": "x" * 61 + "@pve"}, "is too long (65 > 64)"),
        ({"password": "short"}, "value must be at least 8 characters long"),
        ({"comment": "x" * 2049}, "value may only be 2048 characters long"),
        ({"groups": "a/b"}, "group name 'a/b' contains invalid characters"),
    ],
)
def test_parameters_of_a_user(world: World, form: dict[str, str], said: str) -> None:
    """The words for each refusal."""
    answer = world.ask("POST", "/access/users", root(world), {"userid": "new@pve", "password": PASSWORD} | form)
    assert answer.status_code in {400, 500}
    assert said in answer.text


def test_a_parameter_may_need_another(world: World) -> None:
    """Logging in with path needs privs."""
    answer = world.ask("POST", "/access/ticket", form={"username": "svc@pve", "password": "x", "path": "/vms"})
    assert answer.json()["errors"] == {"privs": "missing property - 'path' requires this property"}


def test_a_json_list_is_no_text(world: World) -> None:
    """It is refused as a parameter that came twice is."""
    answer = world.ask("POST", "/access/users/svc@pve/token/t1", world.admin, json={"comment": ["a"]})
    assert answer.json()["errors"] == {"comment": "type check ('string') failed - got ARRAY"}


def test_privileges_can_be_asked_for_while_logging_in(world: World) -> None:
    """Then the answer holds no ticket, and is a refusal when they are not held (measured)."""
    world.pve.grant("/vms", "PVEVMAdmin", user="svc@pve")
    form = {"username": "svc@pve", "password": PASSWORD, "path": "/vms"}
    held = world.ask("POST", "/access/ticket", form=form | {"privs": "VM.Audit"})
    assert held.json()["data"].keys() == {"username", "cap"}
    assert world.ask("POST", "/access/ticket", form=form | {"privs": "VM.Audit,Sys.Audit"}).status_code == 401
    assert world.ask("POST", "/access/ticket", form=form | {"privs": "Nonsense"}).status_code == 400


def test_second_factors_that_need_a_device_are_not_simulated(world: World) -> None:
    """It says so."""
    form = {"type": "webauthn", "password": PASSWORD}
    answer = world.ask("POST", "/access/tfa/plain@pve", world.ticket("plain@pve"), form)
    assert answer.reason == "second factors of type 'webauthn' are not simulated"
    unknown = world.ask("POST", "/access/tfa/plain@pve", world.ticket("plain@pve"), {**form, "type": "x"})
    assert "does not have a value in the enumeration 'totp, " in unknown.json()["errors"]["type"]


def test_realms_are_listed_to_everybody(world: World) -> None:
    """Also to who has not logged in (measured); one of them to who may see it."""
    rows = world.ask("GET", "/access/domains").json()["data"]
    assert {row["realm"]: row["comment"] for row in rows} == {
        "pam": "Linux PAM standard authentication",
        "pve": "Proxmox VE authentication server",
    }
    assert world.ask("GET", "/access/domains/pve", world.admin).json()["data"]["type"] == "pve"
    assert world.ask("GET", "/access/domains/ldap", world.admin).reason == "domain 'ldap' does not exist"
    assert world.ask("GET", "/access/domains/pve", world.ticket("plain@pve")).status_code == 403


def test_nodes_tell_of_themselves(world: World) -> None:
    """Status and time to who has Sys.Audit there (measured for the status)."""
    node = "/nodes/pve1"
    assert world.ask("GET", node, world.admin).json()["data"] == [{"name": "status"}, {"name": "time"}]
    assert (
        world.ask("GET", f"{node}/status", world.admin).json()["data"]["pveversion"].startswith("pve-manager/9.2.11/")
    )
    answer = world.ask("GET", f"{node}/status", world.token("svc@pve"))
    assert answer.reason == "Permission check failed (/nodes/pve1, Sys.Audit)"
    world.pve.clock_offset = 7.0
    assert world.ask("GET", f"{node}/time", world.admin).json()["data"]["time"] == int(NOW) + 7


def test_resources_are_those_one_may_see(world: World) -> None:
    """Nodes and pools."""
    world.pve.add_pool("p1")
    rows = world.ask("GET", "/cluster/resources", world.admin).json()["data"]
    assert [row["id"] for row in rows] == ["node/pve1", "/pool/p1"]
    assert world.ask("GET", "/cluster/resources", world.token("svc@pve")).json()["data"] == []


def test_resources_can_be_asked_for_by_type(world: World) -> None:
    """There are no guests and no storages, only nodes."""
    world.pve.add_pool("some")
    asked = {
        kind: world.ask("GET", f"/cluster/resources?type={kind}", world.admin) for kind in ("node", "vm", "storage")
    }
    assert {kind: len(reply.json()["data"]) for kind, reply in asked.items()} == {"node": 1, "vm": 0, "storage": 0}


def test_a_cluster_without_guests_says_so_to_monitoring(world: World) -> None:
    """What exporters ask is there; the cluster's own affairs need Sys.Audit."""
    guests = [f"/nodes/pve1/{what}" for what in ("qemu", "lxc", "replication")]
    plain = world.token("svc@pve")
    affairs = ["/cluster/backup-info/not-backed-up", "/cluster/config/qdevice"]
    assert [world.ask("GET", path, world.admin).json()["data"] for path in guests + affairs] == [[], [], [], [], {}]
    assert [world.ask("GET", path, plain).status_code for path in affairs] == [403, 403]
    assert world.ask("GET", "/nodes/pve1/subscription", world.admin).json()["data"]["status"] == "notfound"
    assert world.ask("GET", "/nodes/pve9/qemu", world.admin).status_code == 500


def test_a_client_that_goes_away_harms_nobody(world: World) -> None:
    """Half a request is none."""
    host, _, port = world.pve.nodes[0].endpoint.rpartition(":")
    context = ssl.create_default_context(cafile=str(world.ca))
    for half in (
        b"GET /api2/json/ver",
        b"POST /api2/json/access/ticket HTTP/1.1\r\nContent-Length: 9\r\n\r\nuser",
        b"",
    ):
        plain = socket.create_connection((host, int(port)), timeout=10)
        with context.wrap_socket(plain, server_hostname=host) as link:
            link.sendall(half)
    assert world.ask("GET", "/version", world.token("svc@pve")).status_code == 200
    assert [call.path for call in world.pve.calls] == ["/version"]
