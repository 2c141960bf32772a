"""One thing that can be wrong, and one page that explains something. Pure values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

SHOWN: Mapping[str, str] = {
    "token": "USER@REALM!NAME",
    "userid": "USER@REALM",
    "name": "NAME",
    "realm": "REALM",
    "group": "GROUP",
    "others": "THE-OTHER-GROUPS",
    "path": "PATH",
    "role": "ROLE",
    "privilege": "PRIVILEGE",
    "operator": "OPERATOR",
    "endpoint": "HOST:PORT",
    "host": "HOST",
    "right": "HOST:PORT-OF-PVEPROXY",
    "credential": "CREDENTIAL",
    "cluster": "CLUSTER",
    "place": "PLACE",
    "fingerprint": "FINGERPRINT",
    "serial": "SECONDS-SINCE-1970",
}
"""What stands in a text where nothing is known of the case at hand."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Something that is wrong: what, how it is told apart, what follows, and what mends it.

    Texts may have the variables of ``SHOWN``, as ``{token}``. ``commands`` are typed on a node as root unless they
    begin with ``rotate``; ``web`` is the way through PVE's web interface, "" where that has none.
    """

    code: str
    what: str
    tell: str
    consequence: str
    commands: tuple[str, ...] = ()
    web: str = ""

    def about(self, **values: str) -> Cause:
        """Return it with its variables filled in."""
        known = {**SHOWN, **{name: value for name, value in values.items() if value}}
        return replace(
            self,
            what=self.what.format_map(known),
            tell=self.tell.format_map(known),
            consequence=self.consequence.format_map(known),
            commands=tuple(command.format_map(known) for command in self.commands),
            web=self.web.format_map(known),
        )


@dataclass(frozen=True, slots=True)
class Page:
    """One page of ``rotate explain``: of a status, of a reason, of an exit code. ``causes`` stand likeliest first."""

    name: str
    kind: str
    meaning: str
    do: str = ""
    causes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
