"""Many credentials: a lane for each cluster, one list call to find what needs work, one summary.

Writes to one cluster are serialised (by the adapter: PVE has one lock whose waiters poll once a second, measured);
reads, and different clusters, go on side by side. A cluster that does not answer costs one timeout, not one for each
credential. The operator's own token is handled last in its lane, when nobody else needs the operator any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TypeVar

from rotator.act import Ports, always
from rotator.backend import Backend
from rotator.bugs import AGAIN, LIVE, named
from rotator.clock import Clock
from rotator.errors import BugError, ExitCode, RotatorError, UnauditedError, UnavailableError, UnreachableError
from rotator.events import Event, Listener
from rotator.model import Credential, Observation, Request, UserState
from rotator.observe import observe
from rotator.plan import Plan, decide
from rotator.policy import judge_at_a_glance
from rotator.pve import Pve
from rotator.rotate import CLUSTER_UNREACHABLE, INTERRUPTED, Result, Run, exit_code_of
from rotator.trigger import TriggeredBy

S = TypeVar("S")
T = TypeVar("T")
OPERATOR_UNUSABLE = "operator-unusable"
"""The reason of a result when the operator's record cannot be read, or PVE refuses it."""
UNAUDITED = "unaudited"
"""The reason of a result when what is to be done cannot be written to the audit trail, and must be."""
BUG = "bug"
"""The reason of a result when something came up that nobody thought of."""
GRAVITY = (ExitCode.BUG, ExitCode.LOCKED_OUT, ExitCode.FAILED, ExitCode.CONFIG, ExitCode.IN_FLIGHT, ExitCode.DONE)
"""Which exit code counts when there are several: the gravest."""


def unheeded(_pve: Pve, _users: Mapping[str, UserState]) -> None:
    """Look at no list."""


def unended(_result: Result) -> None:
    """Heed no end."""


def freely(_credential: Credential, _trigger: TriggeredBy | None) -> None:
    """Permit everything."""


@dataclass(frozen=True)
class Fleet:
    """What all the work is done with. ``open_cluster`` is asked for each cluster that is needed; it may be slow."""

    open_cluster: Callable[[str], Pve]
    backends: Mapping[str, Backend]
    clock: Clock
    listen: Listener
    draw: Callable[[], str]
    parallel: int = 8
    """The most credentials that are worked on at one time."""
    goes_on: Callable[[], bool] = always
    """Whether anything more may begin; what was begun is finished all the same."""
    caught: Callable[[Exception], None] | None = None
    """Told of each bug that ``rotate`` survives: it ends one credential's run. Without it a bug ends everything."""
    ended: Callable[[Result], None] = unended
    """Told by ``rotate`` how each credential's run ended, as soon as it did, from several threads."""
    listed: Callable[[Pve, Mapping[str, UserState]], None] = unheeded
    """Shown what a cluster's one list call said."""
    trigger: TriggeredBy | None = None
    """Who or what began the work; every event bears it."""
    permit: Callable[[Credential, TriggeredBy | None], None] = freely
    """Asked before a credential is worked on; raises ``UnauditedError`` where that must not be."""


@dataclass(frozen=True, slots=True)
class Survey:
    """How one credential stands: what was seen and what would be done, or why that is not known.

    ``seen`` is None when PVE's list alone said that nothing is to do.
    """

    credential: Credential
    plan: Plan | None = None
    seen: Observation | None = None
    user: UserState | None = None
    error: RotatorError | None = None

    @property
    def exit_code(self) -> ExitCode:
        """What it means for a script."""
        if self.error:
            return self.error.exit_code
        return exit_code_of(self.plan.finding, self.seen) if self.plan else ExitCode.DONE


@dataclass(frozen=True)
class Lane:
    """One cluster's credentials, and what its one list call said."""

    pve: Pve
    users: Mapping[str, UserState]
    fleet: Fleet
    lost: list[RotatorError] = field(default_factory=list)
    """Why the cluster stopped answering in the middle of the run, once it did: nobody else is made to wait for it."""

    def glance(self, credential: Credential, request: Request) -> Plan | None:
        """Say from the list alone that nothing is to do; None when a closer look is needed."""
        user = self.users.get(credential.userid)
        if user is None or request != Request():
            return None
        try:
            now = self.pve.now()
        except RotatorError:  # the closer look fails in the same way, and says so
            return None
        finding = judge_at_a_glance(credential, user, now)
        return Plan(finding) if finding else None

    def survey(self, credential: Credential, request: Request) -> Survey:
        """Look at one credential and change nothing."""
        user = self.users.get(credential.userid)
        if plan := self.glance(credential, request):
            return Survey(credential, plan, user=user)
        if self.lost:
            return Survey(credential, user=user, error=self.lost[0])
        try:
            seen = observe(credential, self.pve, self.fleet.backends, user)
        except RotatorError as error:
            self.lost.extend([error] if isinstance(error, UnreachableError) else [])
            return Survey(credential, user=user, error=error)
        return Survey(credential, decide(seen, request), seen, user)

    def rotate(self, credential: Credential, request: Request) -> Result:
        """Do what is to do for one credential."""
        if plan := self.glance(credential, request):
            return resting(credential, plan)
        if self.lost:
            return failed(credential, self.lost[0])
        fleet = self.fleet
        try:
            fleet.permit(credential, fleet.trigger)
        except UnauditedError as error:
            return failed(credential, error)
        ports = Ports(self.pve, fleet.backends, fleet.clock, self.tell, fleet.draw, fleet.goes_on)
        result = Run(credential, ports, request, self.users.get(credential.userid)).until_rest()
        if result.reason == CLUSTER_UNREACHABLE:
            self.lost.append(UnreachableError(result.message, hint=result.hint))
        return result

    def tell(self, event: Event) -> None:
        """Hand an event on with what its narrator does not know: who began the run; PVE's time, where that is known."""
        now = None
        with suppress(RotatorError):
            now = self.pve.now()
        self.fleet.listen(replace(event, trigger=self.fleet.trigger, pve_at=now))


def survey(fleet: Fleet, credentials: Sequence[Credential], request: Request | None = None) -> list[Survey]:
    """Look at credentials and change nothing: one list call for each cluster, and a closer look only where needed."""
    wish = request or Request()
    return in_lanes(
        fleet, credentials, lambda lane, it: lane.survey(it, wish), lambda it, error: Survey(it, error=error)
    )


def rotate(fleet: Fleet, credentials: Sequence[Credential], request: Request | None = None) -> list[Result]:
    """Rotate what is due or asked for, finish what is unfinished. A failure is a result, never an exception.

    So is a bug, where ``fleet.caught`` is told of it: met at one credential, above all in somebody's backend, it does
    not take the others and their results with it.

    Repeat: finds nothing to do. Crash: each credential is left where it was; the next run goes on.
    """
    wish = request or Request()

    def told(result: Result) -> Result:
        fleet.ended(result)
        return result

    return in_lanes(
        fleet,
        credentials,
        lambda lane, it: told(rotated(lane, it, wish)),
        lambda it, error: told(failed(it, error)),
    )


def rotated(lane: Lane, credential: Credential, request: Request) -> Result:
    """Do what is to do for one credential, if anything more may begin, and survive a bug."""
    if not lane.fleet.goes_on():
        return not_begun(credential)
    try:
        return lane.rotate(credential, request)
    except Exception as error:  # noqa: BLE001 - it ends this credential's run; its type and place are reported
        return failed(credential, survived(lane.fleet, error))


def survived(fleet: Fleet, error: Exception) -> BugError:
    """Tell of a bug and make an error of ours of it, to go on with. Raises: the bug, where nobody is to be told."""
    if fleet.caught is None:
        raise error
    fleet.caught(error)
    return BugError(named(error), hint=AGAIN)


def in_lanes(
    fleet: Fleet,
    credentials: Sequence[Credential],
    work: Callable[[Lane, Credential], T],
    unreached: Callable[[Credential, RotatorError], T],
) -> list[T]:
    """Do work on credentials, cluster by cluster side by side; the results stand in the order of the credentials."""
    lanes: dict[str, list[Credential]] = {}
    for credential in credentials:
        lanes.setdefault(credential.cluster, []).append(credential)
    if not lanes:
        return []
    wide = max(1, fleet.parallel // len(lanes))

    def run(cluster: str) -> dict[str, T]:
        return one_lane(fleet, cluster, lanes[cluster], wide=wide, work=work, unreached=unreached)

    done = side_by_side(run, list(lanes), min(len(lanes), fleet.parallel), "cluster")
    found = {name: it for lane in done for name, it in lane.items()}
    return [found[credential.name] for credential in credentials]


def one_lane(
    fleet: Fleet,
    cluster: str,
    credentials: Sequence[Credential],
    *,
    wide: int,
    work: Callable[[Lane, Credential], T],
    unreached: Callable[[Credential, RotatorError], T],
) -> dict[str, T]:
    """List a cluster's users once, then work on its credentials, the operator's own last."""
    try:
        pve = fleet.open_cluster(cluster)
        lane = Lane(pve, pve.users(), fleet)
        fleet.listed(pve, lane.users)
    except RotatorError as error:
        return {credential.name: unreached(credential, error) for credential in credentials}
    except Exception as error:  # noqa: BLE001 - it ends this lane; its type and place are reported
        bug = survived(fleet, error)
        return {credential.name: unreached(credential, bug) for credential in credentials}
    others = [credential for credential in credentials if not credential.is_operator]
    done = side_by_side(lambda it: work(lane, it), others, wide, cluster)
    named_done = dict(zip((it.name for it in others), done, strict=True))
    return named_done | {it.name: work(lane, it) for it in credentials if it.is_operator}


def side_by_side(work: Callable[[S], T], items: Sequence[S], wide: int, name: str) -> list[T]:
    """Do work on items, so many at one time, in the order of the items; without threads where none is needed."""
    if min(wide, len(items)) <= 1:
        return [work(item) for item in items]
    with ThreadPoolExecutor(wide, name) as pool:
        return list(pool.map(work, items))


def resting(credential: Credential, plan: Plan) -> Result:
    """Make the result of a credential that needs nothing."""
    finding = plan.finding
    return Result(
        credential.name,
        credential.cluster,
        exit_code_of(finding),
        finding.reason,
        finding.message,
        token=str(finding.token.id) if finding.token else "",
        until=finding.until,
    )


def failed(credential: Credential, error: RotatorError) -> Result:
    """Make the result of a credential whose cluster was not reached, or does not let the operator in; or of a bug."""
    return Result(
        credential.name,
        credential.cluster,
        error.exit_code,
        unreached_for(error),
        error.message,
        hint=error.hint,
        live=LIVE if isinstance(error, BugError) else "nothing was touched",
    )


def not_begun(credential: Credential) -> Result:
    """Make the result of a credential whose turn did not come."""
    message = "not begun: the run was interrupted"
    return Result(
        credential.name, credential.cluster, ExitCode.FAILED, INTERRUPTED, message, live="nothing was touched"
    )


def unreached_for(error: RotatorError) -> str:
    """Say in a word why a cluster's users could not be listed."""
    if isinstance(error, BugError):
        return BUG
    if isinstance(error, UnauditedError):
        return UNAUDITED
    return CLUSTER_UNREACHABLE if isinstance(error, UnavailableError) else OPERATOR_UNUSABLE


def gravest(codes: Iterable[ExitCode]) -> ExitCode:
    """Return the exit code that a script should see."""
    seen = set(codes)
    return next((code for code in GRAVITY if code in seen), ExitCode.DONE)


def unpaused(credentials: Iterable[Credential]) -> list[Credential]:
    """Leave out what is paused, as every wish for *all* credentials does."""
    return [credential for credential in credentials if not credential.paused]
