"""The executor: observe, decide, act, and observe again, until nothing is to do or something fails.

A run can die at any call: whatever it leaves behind is seen by the next run. Between issue and publish a failure
deletes the token that was just made; from publish on nothing is deleted that a consumer may hold. Each step stands in
the module named after its part of the protocol: ``issuing``, ``proving``, ``publishing``, ``ending``.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar, assert_never

from rotator import ending, issuing, proving, publishing, steps
from rotator.act import Act, LostError, Ports
from rotator.errors import ExitCode, LockedOutError, RefusedError, RotatorError, UnreachableError
from rotator.events import Outcome, Step
from rotator.marker import RANDOM_ALPHABET, RANDOM_LENGTH
from rotator.model import Credential, Held, Observation, Request, Unread, UserState
from rotator.narrate import Narrator
from rotator.observe import by_list, observe_tokens
from rotator.plan import STOPPED, Plan, decide, is_settled_by_list
from rotator.policy import Finding, Reason, judge_at_a_glance
from rotator.view import View

T = TypeVar("T")
MOST_ACTS = 20
"""More acts than any world needs in one run; beyond it something undoes what we do."""


CLUSTER_UNREACHABLE = "cluster-unreachable"
"""The reason of a result when no endpoint of the cluster answered."""
INTERRUPTED = "interrupted"
"""The reason of a result when no more was to be begun."""


@dataclass(frozen=True, slots=True)
class Result:
    """How a run of one credential ended."""

    credential: str
    cluster: str
    exit_code: ExitCode
    reason: str
    message: str
    hint: str = ""
    step: str = ""
    """The step that failed, if one did."""
    live: str = ""
    """What is live now; said where something failed."""
    token: str = ""
    """The token that is published, as far as known."""
    until: datetime | None = None
    """When something will be to do."""
    done: tuple[str, ...] = ()
    """The reasons of the acts that were finished, in order."""
    notes: tuple[str, ...] = ()


@dataclass
class Run:
    """One credential, from the first look until it rests."""

    credential: Credential
    ports: Ports
    request: Request
    user: UserState | None = None
    """What the cluster's list said of the user, and of its tokens."""
    done: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Keep the cluster's list for the first look."""
        self.listed = self.user

    def until_rest(self) -> Result:
        """Act until nothing is to do.

        Repeat: finds nothing to do, or finishes what was left. Raises nothing of ours: a failure is a result.
        """
        act: Act | None = None
        try:
            for _ in range(MOST_ACTS):
                seen, plan = self.looked(self.look)
                self.tell(plan)
                if not plan.steps:
                    return self.rest(plan.finding, seen if plan.is_stopped else None)
                if act and not self.ports.goes_on():
                    return self.interrupted(plan)
                act = Act(self.ports, seen, plan, self.request, draw_rotation())
                is_clear = self.succeeds(act) and (act.is_published or act.view.record is not None)
                if is_clear and (finding := self.foreseen(act)):  # it takes the record for what PVE says
                    return self.rest(finding)
        except RotatorError as error:
            return self.failure(error, act)
        if act:
            act.is_overtaken = False  # each look has shown the same: that is what is known
        return self.failure(self.restless(), act)

    def restless(self) -> RotatorError:
        """Make the error of a run in which each look shows that something is to do."""
        error = RotatorError(
            f"it does not come to rest, somebody undoes what is done here: {self.credential.primary.label} and "
            f"{self.credential.userid} were looked at {MOST_ACTS} times",
            hint="look for another installation of the same owner, or a store that gives back what it held long ago; "
            "the events of this run tell what was done",
        )
        error.step = Step.OBSERVE
        return error

    def look(self) -> tuple[Observation, Plan]:
        """Observe the world and decide. The first time the cluster's list may be enough, which saves a call."""
        listed, self.listed = self.listed, None
        known = self.user or UserState(self.credential.userid)
        seen = by_list(self.credential, self.ports.pve, self.ports.backends, known)
        if listed:
            plan = decide(seen, self.request)
            if is_settled_by_list(plan, seen, self.request):
                return seen, plan
        seen = observe_tokens(seen, self.ports.pve)
        return seen, decide(seen, self.request)

    def looked(self, look: Callable[[], T]) -> T:
        """Look at the world; that it cannot be looked at is told like the failure of any step."""
        try:
            return look()
        except RotatorError as error:
            error.step = Step.OBSERVE
            narrator = Narrator(self.ports.clock, self.ports.listen, self.credential)
            narrator.tell(Step.OBSERVE, Outcome.FAILED, error.message, hint=error.hint)
            raise

    def succeeds(self, act: Act) -> bool:
        """Carry out an act; False when somebody else was first, so that the world must be observed again."""
        try:
            carry_out(act)
        except LostError as lost:
            act.is_overtaken = True
            act.narrator.tell(Step.OBSERVE, Outcome.NOTHING, f"{lost}; looking again")
            if act.is_half_regenerated:  # what the winner published died at our call, and nothing at PVE tells so
                self.request = replace(self.request, forced=True)
            elif act.is_published and act.plan.issues:  # and theirs after it: what was asked for is done
                self.request = self.request.fulfilled()
            return False
        finally:
            self.notes += act.notes
        self.done.append(act.plan.finding.reason)
        if act.plan.issues:
            self.request = self.request.fulfilled()
        return True

    def foreseen(self, act: Act) -> Finding | None:
        """Say that nothing is left to do after an act, from what PVE has listed and done for us, without asking again.

        None when it must be looked at: something special was asked for, or something is left.
        """
        if self.request != Request() or leaves_unfinished(act):
            return None
        user = UserState(self.credential.userid, tokens=tuple(act.tokens.values()))
        return judge_at_a_glance(self.credential, user, self.ports.pve.now())

    def tell(self, plan: Plan) -> None:
        """Emit what was decided."""
        narrator = Narrator(self.ports.clock, self.ports.listen, self.credential, reason=plan.finding.reason)
        outcome = Outcome.FAILED if plan.is_stopped else Outcome.DONE if plan.steps else Outcome.NOTHING
        narrator.tell(Step.DECIDE, outcome, plan.finding.message, hint=plan.finding.hint)

    def rest(self, finding: Finding, stopped: Observation | None = None) -> Result:
        """Say how things stand when nothing more is done; ``stopped`` is what was seen where a person is needed."""
        return Result(
            self.credential.name,
            self.credential.cluster,
            exit_code_of(finding, stopped),
            finding.reason,
            finding.message,
            hint=finding.hint,
            live=told_live(stopped) if stopped else "",
            token=str(finding.token.id) if finding.token else "",
            until=finding.until,
            done=tuple(self.done),
            notes=tuple(self.notes),
        )

    def interrupted(self, plan: Plan) -> Result:
        """Say what is left when no more is begun; the next run does it."""
        message = f"interrupted; left to do: {plan.finding.message}"
        return replace(self.rest(plan.finding), exit_code=ExitCode.FAILED, reason=INTERRUPTED, message=message)

    def failure(self, error: RotatorError, act: Act | None) -> Result:
        """Say what failed, what is live now, and what to do."""
        is_grave = act is not None and (act.leaves_dead or act.is_half_regenerated)
        return Result(
            self.credential.name,
            self.credential.cluster,
            ExitCode.LOCKED_OUT if is_grave else error.exit_code,
            reason_of(error, act),
            error.message,
            hint=error.hint,
            step=error.step,
            live=act.live() if act else "nothing was touched",
            done=tuple(self.done),
            notes=tuple(self.notes),
        )


def leaves_unfinished(act: Act) -> bool:
    """Whether an act that only tidied up has read a destination that does not show what is current."""
    if act.plan.issues or act.plan.finding.reason is Reason.UNFINISHED:
        return False
    return any(isinstance(it, Held) and not act.view.is_current(it) for it in act.seen.destinations)


def reason_of(error: RotatorError, act: Act | None) -> str:
    """Say in a word what a failed run was at."""
    if isinstance(error, UnreachableError):
        return CLUSTER_UNREACHABLE
    return act.plan.finding.reason if act else "failed"


def told_live(seen: Observation) -> str:
    """Say what is live where nothing was done, because a person is needed."""
    if isinstance(seen.primary, Unread):
        return f"nothing was touched; what {seen.credential.primary.label} holds is not known"
    if seen.primary.token is None:
        return "no token of this credential is published"
    return f"{seen.primary.token.id} is still published" + (" and does not log in" if locks_out(seen) else "")


def locks_out(seen: Observation) -> bool:
    """Whether who reads the record is known to be refused; of another user's token nothing is known."""
    view = View(seen)
    is_known = view.record is not None and view.record.id.userid == seen.credential.userid
    return is_known and (view.current_is_dead or not seen.user_usable)


def exit_code_of(finding: Finding, seen: Observation | None = None) -> ExitCode:
    """Return what a finding that leads to no act means for a script; a disabled user locks out who reads a record."""
    if finding.reason is Reason.USER_DISABLED and finding.token:
        return ExitCode.LOCKED_OUT
    if finding.reason in STOPPED and seen and locks_out(seen):
        return ExitCode.LOCKED_OUT
    if finding.reason in STOPPED:
        return ExitCode.FAILED
    return ExitCode.IN_FLIGHT if finding.reason is Reason.ROTATION_IN_FLIGHT else ExitCode.DONE


def carry_out(act: Act) -> None:
    """Do the steps of a plan in order; a failure before publishing deletes the new token.

    One mirror that fails keeps nobody from the others, only from what comes after all of them.
    Crash: an unpublished token, deleted later as an orphan, or a published one that the next run finishes.
    """
    try:
        do_all(act)
    except LostError:
        act.abandon()
        raise
    except Exception as error:
        looks_again = may_be_overtaken(act, error)
        act.abandon()
        if looks_again:
            publishing.require_unchanged(act, act.seen.primary)
        if act.is_half_regenerated and isinstance(error, RotatorError):
            message = f"{act.credential.userid}!{act.credential.base} has a new secret that is not stored: {error}"
            grave = LockedOutError(message, hint="run again at once: the next run makes another one")
            grave.step = error.step
            raise grave from error
        raise


def may_be_overtaken(act: Act, error: Exception) -> bool:
    """Whether it may have failed because somebody else was faster: has ended our new token, or replaced a dead one."""
    if act.new and not act.is_ours_alone:
        return False
    return isinstance(error, RotatorError) and (act.leaves_dead or bool(act.new and isinstance(error, RefusedError)))


def do_all(act: Act) -> None:
    """Do the steps in order, and raise in the end what failed at mirrors."""
    failures: dict[int, RotatorError] = {}
    for step in act.plan.steps:
        attempt(act, step, failures)
    if failures:
        raise together(list(failures.values()))


def attempt(act: Act, step: steps.Step, failures: dict[int, RotatorError]) -> None:
    """Do one step, and note the failure of a mirror or of an announcement by its destination.

    After a failure only mirrors and announcements go on, and after a compromise the revoking: the leak ends anyway.
    """
    if not isinstance(step, steps.Mirror | steps.Announce):
        if not failures or (act.request.compromised and isinstance(step, steps.Revoke)):
            do(act, step)
        return
    if step.destination in failures:
        return
    try:
        do(act, step)
    except LostError:
        raise
    except RotatorError as error:
        failures[step.destination] = error


def together(failures: list[RotatorError]) -> RotatorError:
    """Make one error of several: the gravest kind, all in words."""
    first = next((it for it in failures if isinstance(it, LockedOutError)), failures[0])
    others = [it.message for it in failures if it is not first]
    if not others:
        return first
    message = "; ".join([first.message, *others])
    made = Exception.__new__(type(first), message)  # a backend's own kind may be made of something else
    vars(made).update(vars(first), message=message)
    return made


def do(act: Act, step: steps.Step) -> None:  # noqa: C901, PLR0912 - one line for each kind of step
    """Execute one step."""
    match step:
        case steps.Preflight():
            issuing.preflight(act, step)
        case steps.Issue():
            issuing.issue(act, step)
        case steps.Regenerate():
            if act.seen.accepted is False:  # by now somebody else may have published another secret, which would die
                publishing.require_unchanged(act, act.seen.primary)
            issuing.regenerate(act, step)
        case steps.GrantRoles():
            issuing.grant(act)
        case steps.Verify():
            proving.verify(act, step)
        case steps.Publish():
            publishing.publish(act)
        case steps.Confirm():
            publishing.confirm(act)
        case steps.Mirror(destination):
            publishing.mirror(act, destination)
        case steps.Announce(destination):
            publishing.announce(act, destination)
        case steps.Fence():
            publishing.fence(act)
        case steps.Mark(token):
            ending.mark(act, token or act.current.id)
        case steps.Retire():
            ending.retire(act, step)
        case steps.Revoke(token):
            ending.revoke(act, token)
        case _:
            assert_never(step)


def draw_rotation() -> str:
    """Draw the id of a rotation: it joins log lines and tokens, and decides nothing."""
    return secrets.token_hex(6)


def draw_name() -> str:
    """Draw the random part of a token's name, so that no name is ever used twice."""
    return "".join(secrets.choice(RANDOM_ALPHABET) for _ in range(RANDOM_LENGTH))
