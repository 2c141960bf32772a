"""Creating, reading, changing and deleting tokens."""

from __future__ import annotations

import re

import pytest

from tests.sim.world import World, shown

TOKENS = "/access/users/svc@pve/token"


@pytest.mark.parametrize(
    "name",
    ["ab", "a.b", "a_b", "a-b", "ab.", "ab_", "Ab", "a" * 129, "a" * 1000],
)
def test_valid_ids(world: World, name: str) -> None:
    """A letter, then letters, digits, dots, dashes, underscores; no upper limit (measured)."""
    assert world.create(world.admin, name).json()["data"]["full-tokenid"] == f"svc@pve!{name}"


@pytest.mark.parametrize("name", ["a", "1a", "2026", "_ab", "%C3%BC", "a%21b", "a@b", "a%3Ab", "a%3Db", "a%2Cb", "a+b"])
def test_invalid_ids(world: World, name: str) -> None:
    """At least two characters, the first a letter (measured)."""
    answer = world.create(world.admin, name)
    assert (answer.status_code, answer.json()["errors"]) == (
        400,
        {"tokenid": "value does not match the regex pattern"},
    )


def test_case_matters(world: World) -> None:
    """d0 and D0 are two tokens (measured)."""
    world.create(world.admin, "d0")
    assert world.create(world.admin, "D0").status_code == 200
    assert world.pve.tokens("svc@pve") == ["D0", "d0"]


def test_create_echoes_strings_and_defaults_are_numbers(world: World) -> None:
    """What was sent comes back as strings, what was not as numbers (measured)."""
    assert world.create(world.admin, "d0").json()["data"]["info"] == {"privsep": 1}
    form = {"privsep": "0", "expire": "0", "comment": "c"}
    assert world.create(world.admin, "d1", **form).json()["data"]["info"] == form


def test_a_secret_is_a_uuid_and_shown_once(world: World) -> None:
    """Create returns the value; no reading does (measured)."""
    secret = world.create(world.admin, "t1").json()["data"]["value"]
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", secret)
    read = [world.ask("GET", path, world.admin).text for path in (TOKENS, f"{TOKENS}/t1", "/access/users?full=1")]
    assert not any(secret in text for text in read)


def test_reading_gives_numbers_and_always_expire(world: World) -> None:
    """The comment is there only if there is one (measured)."""
    world.pve.add_token("svc@pve", "t0")
    world.pve.add_token("svc@pve", "t1", privsep=False, expire=2_000_000_000, comment="c1")
    first = {"privsep": 1, "expire": 0}
    second = {"privsep": 0, "expire": 2_000_000_000, "comment": "c1"}
    assert world.ask("GET", f"{TOKENS}/t0", world.admin).json()["data"] == first
    rows = [{"tokenid": "t0", **first}, {"tokenid": "t1", **second}]
    assert world.ask("GET", TOKENS, world.admin).json()["data"] == rows
    user = world.ask("GET", "/access/users/svc@pve", world.admin).json()["data"]
    assert user == {"enable": 1, "expire": 0, "groups": ["rotated"], "tokens": {"t0": first, "t1": second}}


def test_one_call_lists_all_users_with_their_tokens(world: World) -> None:
    """GET /access/users?full=1: groups as a text, tokens as a list, null where there are none (measured)."""
    world.pve.add_token("svc@pve", "t0")
    rows = {row["userid"]: row for row in world.ask("GET", "/access/users?full=1", world.admin).json()["data"]}
    assert set(rows) == {"admin@pve", "plain@pve", "root@pam", "svc@pve"}
    assert rows["plain@pve"] == {
        "userid": "plain@pve",
        "realm-type": "pve",
        "enable": 1,
        "expire": 0,
        "groups": "",
        "tokens": None,
    }
    assert rows["svc@pve"]["groups"] == "rotated"
    assert rows["svc@pve"]["tokens"] == [{"tokenid": "t0", "privsep": 1, "expire": 0}]


def test_an_update_changes_what_it_names(world: World) -> None:
    """The answer is the whole token, what was sent as strings (measured)."""
    world.pve.add_token("svc@pve", "t1", comment="first")

    def put(**form: str) -> object:
        return world.ask("PUT", f"{TOKENS}/t1", world.admin, form).json()["data"]

    assert put(expire="2000000001") == {"comment": "first", "expire": "2000000001", "privsep": 1}
    assert put(comment="second") == {"comment": "second", "expire": 2_000_000_001, "privsep": 1}
    assert put(privsep="0") == {"comment": "second", "expire": 2_000_000_001, "privsep": "0"}
    assert put() == {"comment": "second", "expire": 2_000_000_001, "privsep": 0}


def test_comments_can_be_deleted_and_the_end_cannot(world: World) -> None:
    """delete=comment wins over a comment in the same call; expire is only ever set to 0 (measured)."""
    world.pve.add_token("svc@pve", "t1", comment="first", expire=2_000_000_000)
    answer = world.ask("PUT", f"{TOKENS}/t1", world.admin, {"delete": "comment", "comment": "third"})
    assert answer.json()["data"] == {"expire": 2_000_000_000, "privsep": 1}
    assert world.ask("PUT", f"{TOKENS}/t1", world.admin, {"delete": "expire"}).status_code == 500


def test_an_empty_comment_is_no_comment(world: World) -> None:
    """PUT comment= takes the comment away."""
    world.pve.add_token("svc@pve", "t1", comment="first")
    world.ask("PUT", f"{TOKENS}/t1", world.admin, {"comment": ""})
    assert world.pve.token("svc@pve!t1") == {"privsep": 1, "expire": 0}


def test_regenerate_keeps_everything_but_the_secret(world: World) -> None:
    """Id, ACL, end and comment stay, the old secret dies at that call (measured)."""
    old = world.token("svc@pve", comment="re", expire=2_000_000_000)
    world.pve.grant("/vms", "PVEVMUser", user="svc@pve")
    world.pve.grant("/vms", "PVEVMUser", token="svc@pve!t1")
    before = world.pve.permissions("svc@pve!t1")
    data = world.ask("PUT", f"{TOKENS}/t1", world.admin, {"regenerate": "1"}).json()["data"]
    new = shown("svc@pve!t1", data.pop("value"))
    assert data == {"full-tokenid": "svc@pve!t1", "comment": "re", "expire": 2_000_000_000, "privsep": 1}
    assert world.ask("GET", "/version", old).status_code == 401
    assert world.ask("GET", "/version", new).status_code == 200
    assert world.pve.permissions("svc@pve!t1") == before != {}


def test_a_new_token_works_at_once_and_a_deleted_one_never_again(world: World) -> None:
    """There is no moment in between (measured)."""
    secret = world.create(world.admin, "t1").json()["data"]["value"]
    assert world.ask("GET", "/version", shown("svc@pve!t1", secret)).status_code == 200
    world.ask("DELETE", f"{TOKENS}/t1", world.admin)
    assert world.ask("GET", "/version", shown("svc@pve!t1", secret)).status_code == 401


def test_creating_an_id_again_brings_nothing_back(world: World) -> None:
    """Neither the ACL entries nor the secret of the deleted token (measured)."""
    old = world.token("svc@pve")
    world.pve.grant("/vms", "PVEVMAdmin", user="svc@pve")
    world.pve.grant("/vms", "PVEVMAdmin", token="svc@pve!t1")
    world.ask("DELETE", f"{TOKENS}/t1", world.admin)
    world.create(world.admin, "t1")
    rows = world.ask("GET", "/access/acl", world.admin).json()["data"]
    assert [row["ugid"] for row in rows if row["type"] == "token"] == []
    assert world.pve.permissions("svc@pve!t1") == {}
    assert world.ask("GET", "/version", old).status_code == 401


def test_deleting_a_user_takes_its_tokens_and_entries(world: World) -> None:
    """Also when the user is made again (measured)."""
    token = world.token("svc@pve")
    world.pve.grant("/vms", "PVEVMAdmin", token="svc@pve!t1")
    assert world.ask("DELETE", "/access/users/svc@pve", world.admin).status_code == 200
    world.pve.add_user("svc@pve")
    assert world.ask("GET", "/version", token).status_code == 401
    assert [row["ugid"] for row in world.ask("GET", "/access/acl", world.admin).json()["data"]] == ["admin@pve"]


def test_user_cfg_holds_a_mebibyte(world: World) -> None:
    """One comment has no limit, all together have 1 MiB: beyond it a write fails, changing nothing (measured)."""
    admin = world.admin
    assert world.create(admin, "t0", comment="x" * 400_000).status_code == 200
    assert world.create(admin, "t1", comment="x" * 400_000).status_code == 200
    answer = world.create(admin, "t2", comment="x" * 400_000)
    assert answer.status_code == 500
    assert answer.reason.startswith("generating token failed: ")
    assert world.pve.tokens("svc@pve") == ["t0", "t1"]
    assert world.ask("DELETE", f"{TOKENS}/t0", admin).status_code == 200


def test_parameters_may_stand_in_the_query(world: World) -> None:
    """Also those of a POST (measured)."""
    answer = world.ask("POST", f"{TOKENS}/t1?comment=q&privsep=0", world.admin)
    assert answer.json()["data"]["info"] == {"comment": "q", "privsep": "0"}
