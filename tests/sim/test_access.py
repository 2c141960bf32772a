"""The rules of inheritance, in memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotator.testing import access
from rotator.testing.privileges import BUILT_IN_ROLES, PRIVILEGES
from rotator.testing.pve import SimulatedPve
from rotator.testing.refusal import RefusalError
from rotator.testing.state import Holder, Pool, State, Token, User


@pytest.fixture
def pve() -> SimulatedPve:
    """Return a cluster that nobody can reach, with one user in one group."""
    pve = SimulatedPve()
    pve.add_group("staff")
    pve.add_user("u@pve", groups=["staff"])
    pve.add_role("Power", ["VM.Audit", "VM.PowerMgmt"])
    return pve


POWER = {"VM.Audit": 1, "VM.PowerMgmt": 1}


def test_the_roles_that_pve_brings_along() -> None:
    """Their privileges as PVE 9.2 has them (measured for PVEAuditor and PVEVMAdmin)."""
    assert BUILT_IN_ROLES["PVEAuditor"] == {
        "Datastore.Audit",
        "Mapping.Audit",
        "Pool.Audit",
        "SDN.Audit",
        "Sys.Audit",
        "VM.Audit",
        "VM.GuestAgent.Audit",
    }
    assert len(BUILT_IN_ROLES["PVEVMAdmin"]) == 23
    assert BUILT_IN_ROLES["Administrator"] == PRIVILEGES > BUILT_IN_ROLES["PVEAdmin"] | {"Permissions.Modify"}
    assert "User.Modify" in BUILT_IN_ROLES["PVEUserAdmin"]
    assert "Mapping.Modify" not in BUILT_IN_ROLES["PVEAdmin"]


def test_a_role_of_a_group_is_its_members(pve: SimulatedPve) -> None:
    """And holds further down (measured)."""
    pve.grant("/vms", "Power", group="staff")
    assert pve.permissions("u@pve") == {"/vms": POWER}
    assert access.permissions(pve.cluster.newest(), "u@pve", "/vms/200") == POWER


def test_an_own_role_replaces_those_of_groups_and_from_above(pve: SimulatedPve) -> None:
    """It is not added to them (measured)."""
    pve.grant("/vms", "Power", group="staff")
    pve.grant("/vms/100", "PVETemplateUser", user="u@pve")
    assert pve.permissions("u@pve")["/vms/100"] == {"VM.Audit": 1, "VM.Clone": 1}


def test_an_own_role_that_does_not_propagate_hides_the_groups_only_there(pve: SimulatedPve) -> None:
    """The value of a privilege is its propagate bit: 0 is held all the same (measured)."""
    pve.grant("/vms", "Power", group="staff")
    pve.grant("/vms", "PVETemplateUser", user="u@pve", propagate=False)
    assert pve.permissions("u@pve") == {"/vms": {"VM.Audit": 0, "VM.Clone": 0}}
    assert access.permissions(pve.cluster.newest(), "u@pve", "/vms/200") == POWER
    assert access.is_held(pve.cluster.newest(), "u@pve", "/vms", ["VM.Clone"])


def test_no_access_wins_over_the_roles_beside_it(pve: SimulatedPve) -> None:
    """Nothing is held there (measured)."""
    pve.grant("/vms", "Power", user="u@pve")
    pve.grant("/vms/100", "Power", user="u@pve")
    pve.grant("/vms/100", "NoAccess", user="u@pve")
    assert pve.permissions("u@pve") == {"/vms": POWER}


def test_two_roles_add_up_and_any_that_propagates_makes_the_bit(pve: SimulatedPve) -> None:
    """Roles of the same holder at the same path are united."""
    pve.grant("/vms", "Power", user="u@pve", propagate=False)
    pve.grant("/vms", "PVETemplateUser", user="u@pve")
    assert pve.permissions("u@pve")["/vms"] == {"VM.Audit": 1, "VM.PowerMgmt": 0, "VM.Clone": 1}


def test_a_privsep_token_has_what_both_have(pve: SimulatedPve) -> None:
    """The intersection, with the propagate bits of both; nothing of what only one has (measured)."""
    pve.add_token("u@pve", "q1")
    pve.grant("/vms", "PVETemplateUser", user="u@pve", propagate=False)
    pve.grant("/vms", "Power", token="u@pve!q1")
    pve.grant("/storage", "Administrator", token="u@pve!q1")
    assert pve.permissions("u@pve!q1") == {"/vms": {"VM.Audit": 0}}


def test_a_full_token_has_what_its_user_has(pve: SimulatedPve) -> None:
    """Also what comes through groups (measured)."""
    pve.add_token("u@pve", "q0", privsep=False)
    pve.grant("/vms", "Power", group="staff")
    assert pve.permissions("u@pve!q0") == {"/vms": POWER}


def test_a_group_entry_is_not_a_tokens(pve: SimulatedPve) -> None:
    """A privsep token needs entries of its own."""
    pve.add_token("u@pve", "q1")
    pve.grant("/vms", "Power", group="staff")
    assert pve.permissions("u@pve!q1") == {}


def test_an_expired_token_has_its_permissions_still(pve: SimulatedPve) -> None:
    """PVE shows them as long as the token is there."""
    pve.add_token("u@pve", "old", privsep=False, expire=1)
    pve.grant("/vms", "Power", user="u@pve")
    assert pve.permissions("u@pve!old") == {"/vms": POWER}


def test_a_privsep_token_of_root_has_only_its_own(pve: SimulatedPve) -> None:
    """And root itself everything everywhere."""
    pve.add_token("root@pam", "q1")
    pve.grant("/vms", "Power", token="root@pam!q1")
    assert pve.permissions("root@pam!q1") == {"/vms": POWER}
    assert set(pve.permissions("root@pam")["/"]) == PRIVILEGES


def test_a_role_on_a_pool_reaches_its_members(pve: SimulatedPve) -> None:
    """Without propagating further; NoAccess on the guest itself is stronger."""
    pve.add_pool("p1", vms=[100], storages=["local"])
    pve.grant("/pool/p1", "Power", user="u@pve")
    assert pve.permissions("u@pve")["/vms/100"] == {"VM.Audit": 0, "VM.PowerMgmt": 0}
    assert "/vms/101" not in pve.permissions("u@pve")
    pve.grant("/vms/100", "NoAccess", user="u@pve")
    assert "/vms/100" not in pve.permissions("u@pve")


def test_no_access_on_a_pool_is_stronger_than_a_role_on_its_members(pve: SimulatedPve) -> None:
    """It hides the guest."""
    pve.add_pool("p1", vms=[100])
    pve.grant("/vms/100", "Power", user="u@pve")
    pve.grant("/pool/p1", "NoAccess", user="u@pve")
    assert "/vms/100" not in pve.permissions("u@pve")


def test_a_path_without_its_slash_is_not_the_root(pve: SimulatedPve) -> None:
    """Asking for 'foo' gives nothing (measured)."""
    pve.grant("/", "Power", user="u@pve")
    assert access.permissions(pve.cluster.newest(), "u@pve", "foo") == {}


def test_the_capabilities_of_a_login_are_sorted_by_area(pve: SimulatedPve) -> None:
    """A pool's go to guests and storages."""
    pve.add_pool("p1")
    pve.grant("/pool/p1", "Power", user="u@pve")
    caps = access.capabilities(pve.cluster.newest(), "u@pve")
    assert {area for area, held in caps.items() if held} == {"vms"}
    assert caps["vms"] == POWER


PATHS = ("/", "/vms", "/vms/100", "/storage", "/pool/p1")
HOLDERS = (Holder("user", "u@pve"), Holder("group", "staff"), Holder("token", "u@pve!t1"))
ENTRIES = st.lists(
    st.tuples(
        st.sampled_from(PATHS),
        st.sampled_from(HOLDERS),
        st.sampled_from(["Administrator", "NoAccess", "PVEVMUser", "PVEAuditor"]),
        st.booleans(),
    ),
    max_size=12,
)


@given(ENTRIES)
def test_a_privsep_token_never_has_more_than_its_user(entries: list[tuple[str, Holder, str, bool]]) -> None:
    """Whatever the access control list holds: not on any path, and no bit that its user lacks."""
    user = User(groups=frozenset({"staff"}), tokens={"t1": Token("x"), "t0": Token("y", privsep=False)})
    state = State(users={"u@pve": user}, groups={"staff": ""}, pools={"p1": Pool(vms=frozenset({100}))})
    for path, holder, role, propagate in entries:
        state = state.with_grant(path, holder, role, propagate=propagate)
    for path in (*PATHS, "/vms/200"):
        own, theirs = access.permissions(state, "u@pve!t1", path), access.permissions(state, "u@pve", path)
        assert own.keys() <= theirs.keys()
        assert all(bit <= theirs[privilege] for privilege, bit in own.items())
        assert access.permissions(state, "u@pve!t0", path) == theirs


@given(ENTRIES)
def test_what_was_granted_can_be_taken_back(entries: list[tuple[str, Holder, str, bool]]) -> None:
    """Nothing is left, in whatever order it came."""
    state = State()
    for path, holder, role, propagate in entries:
        state = state.with_grant(path, holder, role, propagate=propagate)
    for path, holder, role, _ in reversed(entries):
        state = state.without_grant(path, holder, role)
    assert state.acl == {}


@pytest.mark.parametrize(
    ("path", "role", "who"),
    [
        ("/foo", "Power", {"user": "u@pve"}),
        ("/vms", "Nope", {"user": "u@pve"}),
        ("/vms", "Power", {"user": "x@pve"}),
        ("/vms", "Power", {"group": "nope"}),
        ("/vms", "Power", {"token": "u@pve!nope"}),
    ],
)
def test_planting_nonsense_is_refused(pve: SimulatedPve, path: str, role: str, who: dict[str, str]) -> None:
    """A test that seeds what PVE would not hold has a mistake in it."""
    with pytest.raises(RefusalError):
        pve.grant(path, role, **who)  # type: ignore[arg-type]  # one of three keywords, all of the same type
    assert pve.permissions("u@pve") == {}


def test_a_grant_is_for_one_holder(pve: SimulatedPve) -> None:
    """Neither for nobody nor for two."""
    with pytest.raises(ValueError, match="one user, one group or one token"):
        pve.grant("/vms", "Power")


def test_what_is_there_can_be_looked_at(pve: SimulatedPve) -> None:
    """Tokens, their info and whether they would log in, without any HTTP."""
    secret = pve.add_token("u@pve", "t1", comment="c")
    assert pve.tokens("u@pve") == ["t1"]
    assert pve.tokens("nobody@pve") == []
    assert pve.token("u@pve!t1") == {"privsep": 1, "expire": 0, "comment": "c"}
    assert pve.token("u@pve!t2") is pve.token("nonsense") is None
    assert pve.accepts("u@pve!t1", secret)
    assert not pve.accepts("u@pve!t1", "wrong")
    pve.delete_token("u@pve!t1")
    assert not pve.accepts("u@pve!t1", secret)
    with pytest.raises(RefusalError, match="no such token"):
        pve.delete_token("u@pve!t1")
