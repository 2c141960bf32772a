"""What consumers usually need: roles on paths, and the shape in which they read their token. Data.

The roles are those that PVE brings along. Whoever needs less makes a role and grants that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rotator.config_values import parse_acl_path, parse_role
from rotator.faults import InvalidValueError
from rotator.model import Grant


@dataclass(frozen=True, slots=True)
class Use:
    """One usual consumer. ``preset`` is the shape of its record ("" for ours), ``suffix`` that of a file for it."""

    about: str
    grants: tuple[Grant, ...]
    preset: str = ""
    suffix: str = ".json"


USES: Mapping[str, Use] = {
    "ansible": Use(
        "guests and storages, in the variables of community.proxmox",
        (Grant("/vms", "PVEVMAdmin"), Grant("/storage", "PVEDatastoreUser")),
        "ansible",
        ".env",
    ),
    "backup": Use(
        "back guests up and restore them",
        (Grant("/vms", "PVEVMUser"), Grant("/storage", "PVEDatastoreUser")),
    ),
    "monitoring": Use(
        "see everything, change nothing, in the variables of prometheus-pve-exporter",
        (Grant("/", "PVEAuditor"),),
        "pve-exporter",
        ".env",
    ),
    "terraform": Use(
        "guests, storages and networks, in the variables of bpg/proxmox",
        (Grant("/vms", "PVEVMAdmin"), Grant("/storage", "PVEDatastoreUser"), Grant("/sdn", "PVESDNUser")),
        "bpg",
        ".env",
    ),
}


def parse_grant(text: str) -> Grant:
    """Read ``/path=Role``. Raises: ``InvalidValueError``."""
    path, equals, role = text.partition("=")
    if not equals:
        raise InvalidValueError("not a role on a path", "write PATH=ROLE, for example /vms=PVEVMUser")
    return Grant(parse_acl_path(path), parse_role(role))
