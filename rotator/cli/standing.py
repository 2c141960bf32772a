"""How one credential stands, for people: what ``plan``, ``status`` and ``--wait`` read off a survey."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from rotator.errors import RotatorError
from rotator.fleet import Fleet, Lane, Survey, in_lanes, unreached_for
from rotator.marker import Marker
from rotator.model import Credential, Request, TokenState
from rotator.view import View, at_a_glance, due_at


@dataclass(frozen=True)
class Standing:
    """A survey with PVE's time; ``now`` is None where the cluster was not reached."""

    survey: Survey
    request: Request
    now: datetime | None = None

    @property
    def credential(self) -> Credential:
        """The credential that was looked at."""
        return self.survey.credential

    @property
    def reason(self) -> str:
        """Why it is as it is: the finding's reason, or that nothing was found out."""
        if self.survey.plan:
            return self.survey.plan.finding.reason
        return unreached_for(self.survey.error) if self.survey.error and self.now is None else "failed"

    @property
    def message(self) -> str:
        """The same as a sentence."""
        it = self.survey.plan.finding if self.survey.plan else self.survey.error
        return it.message if it else ""

    @property
    def hint(self) -> str:
        """What to do about it."""
        it = self.survey.plan.finding if self.survey.plan else self.survey.error
        return it.hint if it else ""

    @cached_property
    def view(self) -> View | None:
        """What was seen, in the protocol's terms; where no record was read, as PVE's list tells it."""
        if self.survey.seen:
            return View(self.survey.seen, self.request)
        if self.survey.user is None or self.now is None:
            return None
        return View(at_a_glance(self.credential, self.survey.user, self.now), self.request)

    @property
    def current(self) -> TokenState | None:
        """The published token, as PVE knows it."""
        return self.view.current if self.view else None

    @property
    def token(self) -> str:
        """The published token's id, also when PVE does not know it any more."""
        return str(self.view.record.id) if self.view and self.view.record else ""

    @property
    def marker(self) -> Marker | None:
        """What the published token says of itself, if it is ours."""
        return self.view.marker if self.view else None

    @property
    def due(self) -> datetime | None:
        """When it is to be replaced."""
        return due_at(self.credential, self.marker.issued) if self.marker else None

    @property
    def retiring(self) -> tuple[TokenState, ...]:
        """The old tokens that are still there."""
        return self.view.others if self.view else ()

    @property
    def orphans(self) -> list[str]:
        """The tokens that were issued and never published, and are too old to be in flight."""
        view = self.view
        return [str(it.id) for it in view.above_old if not view.was_published(it)] if view else []


def look(fleet: Fleet, credentials: Sequence[Credential], request: Request | None = None) -> list[Standing]:
    """Survey credentials, changing nothing, with each cluster's own time."""
    wish = request or Request()

    def stand(lane: Lane, credential: Credential) -> Standing:
        return Standing(lane.survey(credential, wish), wish, lane.pve.now())

    def unreached(credential: Credential, error: RotatorError) -> Standing:
        return Standing(Survey(credential, error=error), wish)

    return in_lanes(fleet, credentials, stand, unreached)
