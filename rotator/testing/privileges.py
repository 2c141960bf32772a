"""The privileges of PVE and the roles that it brings along, as PVE 9.2 has them (access-control 9.1.1)."""

from __future__ import annotations

NO_ACCESS = "NoAccess"
ADMINISTRATOR = "Administrator"

# area: (only for Administrator, admin, user, audit)
_AREAS: dict[str, tuple[str, str, str, str]] = {
    "VM": (
        "",
        (
            "VM.Allocate VM.Clone VM.Config.CPU VM.Config.Disk VM.Config.HWType VM.Config.Memory VM.Config.Network"
            " VM.Config.Options VM.GuestAgent.Unrestricted VM.Migrate VM.Replicate VM.Snapshot VM.Snapshot.Rollback"
        ),
        (
            "VM.Backup VM.Config.CDROM VM.Config.Cloudinit VM.Console VM.GuestAgent.FileRead"
            " VM.GuestAgent.FileSystemMgmt VM.GuestAgent.FileWrite VM.PowerMgmt"
        ),
        "VM.Audit VM.GuestAgent.Audit",
    ),
    "Sys": (
        "Sys.AccessNetwork Sys.Incoming Sys.Modify Sys.PowerMgmt",
        "Sys.Console Sys.Syslog",
        "",
        "Sys.Audit",
    ),
    "Datastore": (
        "",
        "Datastore.Allocate Datastore.AllocateTemplate",
        "Datastore.AllocateSpace",
        "Datastore.Audit",
    ),
    "SDN": ("", "SDN.Allocate", "SDN.Use", "SDN.Audit"),
    "User": ("Realm.Allocate", "Group.Allocate Realm.AllocateUser User.Modify", "", ""),
    "Pool": ("", "Pool.Allocate", "Pool.Audit", "Pool.Audit"),
    "Mapping": ("", "Mapping.Modify", "Mapping.Use", "Mapping.Audit"),
}


def _every() -> frozenset[str]:
    return frozenset({"Permissions.Modify"}.union(*(words.split() for area in _AREAS.values() for words in area)))


PRIVILEGES = _every()
"""Every privilege there is."""


def _roles() -> dict[str, frozenset[str]]:
    admins: set[str] = set()
    auditors: set[str] = set()
    roles = {NO_ACCESS: frozenset[str](), ADMINISTRATOR: PRIVILEGES}
    for area, (_, admin, user, audit) in _AREAS.items():
        roles[f"PVE{area}Admin"] = frozenset(f"{admin} {user} {audit}".split())
        if user:
            roles[f"PVE{area}User"] = frozenset(f"{user} {audit}".split())
        admins |= roles[f"PVE{area}Admin"]
        auditors |= set(audit.split())
    roles["PVEAdmin"] = frozenset(admins - {"Mapping.Modify"})
    roles["PVEAuditor"] = frozenset(auditors)
    roles["PVETemplateUser"] = frozenset({"VM.Audit", "VM.Clone"})
    return roles


BUILT_IN_ROLES = _roles()
"""The roles that exist on every PVE and cannot be changed, with their privileges."""
