"""All pages of advice, by name: statuses, reasons, exit codes and causes."""

from __future__ import annotations

from collections.abc import Mapping

from rotator.advice.cause import Cause, Page
from rotator.advice.connections import CONNECTIONS
from rotator.advice.exits import EXITS
from rotator.advice.logins import LOGINS
from rotator.advice.operators import OPERATORS
from rotator.advice.permissions import PERMISSIONS
from rotator.advice.reasons import REASONS
from rotator.advice.statuses import STATUSES
from rotator.advice.stores import STORES
from rotator.advice.trails import TRAILS

CAUSES: Mapping[str, Cause] = {
    cause.code: cause for cause in (*LOGINS, *PERMISSIONS, *CONNECTIONS, *OPERATORS, *STORES, *TRAILS)
}
"""What ``rotate doctor`` may find, by code."""

PAGES: Mapping[str, Page] = {page.name: page for page in (*STATUSES, *REASONS, *EXITS)}
"""What ``rotate explain`` knows beside the causes, by name."""

SECTIONS: Mapping[str, tuple[str, ...]] = {
    "status codes of PVE": tuple(page.name for page in STATUSES),
    "reasons": tuple(page.name for page in REASONS),
    "exit codes": tuple(page.name for page in EXITS),
    "causes that `rotate doctor` names": tuple(CAUSES),
}
"""The table of contents."""


def cause(code: str, **values: str) -> Cause:
    """Return a cause with its variables filled in."""
    return CAUSES[code].about(**values)
