"""A credential's tokens for people, read off PVE's list of users. Pure.

It takes the newest token marked published for the one that the record names, as the policy does at a glance.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from rotator.model import Credential, TokenState, UserState
from rotator.service.standing import Role, TokenSight
from rotator.view import View, at_a_glance


def sights(credential: Credential, user: UserState, now: datetime) -> tuple[TokenSight, ...]:
    """Return a credential's own tokens and what it adopted, the current one first. ``now`` is PVE's time."""
    view = View(at_a_glance(credential, user, now))
    return tuple(_sights(view))


def _sights(view: View) -> Iterator[TokenSight]:
    if view.current:
        yield _sight(view, view.current, Role.CURRENT)
    yield from (_sight(view, token, Role.UNPUBLISHED) for token in view.above)
    yield from (_sight(view, token, Role.RETIRING) for token in view.others)


def _sight(view: View, token: TokenState, role: Role) -> TokenSight:
    marker = view.markers.get(token.id)
    return TokenSight(str(token.id), role, marker.issued if marker else None, token.expire)
