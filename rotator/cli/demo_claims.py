"""What the demo claims in the end: pure, from facts to claims that hold or do not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rotator.cli.shapes import Shape
from rotator.errors import ExitCode

ROTATIONS = 2
PRIVATE = 0o600


@dataclass(frozen=True, slots=True)
class Count:
    """How often a consumer has logged in, how often it failed, and why it last did."""

    logins: int
    failed: int
    last_failure: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What was seen of the demo. A login's end is the refusal in PVE's words, empty when it was accepted."""

    busy: Count
    stale: Count
    published: tuple[str, ...]
    """The token ids that the record held, in order, the hand-made one first."""
    ended_by_pve: str
    """How a login with the hand-made token ended when its overlap had passed and nobody had deleted it."""
    old_logins: Mapping[str, str]
    """How a login with each of the old tokens ends now, by token id."""
    new_logins: Mapping[str, str]
    """How a login with the published token ends now, by node."""
    left: tuple[str, ...]
    """The ids of the user's tokens that PVE has now."""
    kept: tuple[str, ...]
    """The keys in the record that are not ours and are as they were."""
    foreign: tuple[str, ...]
    """The keys in the record that were not ours before."""
    mode: int
    """The file mode of the record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim(Shape):
    """One thing that must be true in the end, as ``--json`` prints it too.

    ``claim`` is its name in kebab-case, ``message`` says what was seen either way. ``exit_code`` is 0 if it is true.
    """

    claim: str
    held: bool
    message: str
    exit_code: int


def claims(facts: Facts) -> list[Claim]:
    """Judge the facts."""
    return [
        consumer("busy-consumer", "the busy consumer", facts.busy),
        consumer("stale-consumer", "the stale consumer", facts.stale),
        rotated(facts.published),
        ended_by_pve(facts.published[0], facts.ended_by_pve),
        new_accepted(facts.new_logins, facts.published[-1]),
        old_refused(facts.old_logins),
        nothing_left(facts.left, facts.published[-1]),
        record_kept(facts),
    ]


def consumer(name: str, who: str, count: Count) -> Claim:
    """Claim that a consumer has logged in, and never failed."""
    why = f" ({count.last_failure})" if count.failed else ""
    message = f"{who}: {count.logins} logins, {count.failed} failed{why}"
    return judged(name, count.logins > 0 and not count.failed, message, ExitCode.LOCKED_OUT)


def rotated(published: Sequence[str]) -> Claim:
    """Claim that the record has held as many different tokens as there were rotations, and the one before."""
    is_new_each_time = len(set(published)) == len(published) == ROTATIONS + 1
    return judged("rotated", is_new_each_time, f"published one after the other: {', then '.join(published)}")


def ended_by_pve(token: str, end: str) -> Claim:
    """Claim that an old token dies on time without us."""
    message = f"PVE ended {token} by itself, before rotate deleted it: {end or 'accepted'}"
    return judged("ended-by-pve", is_refusal(end), message)


def is_refusal(end: str) -> bool:
    """Say whether a login failed because of the token and nothing else."""
    return end.startswith("401 ")


def new_accepted(logins: Mapping[str, str], token: str) -> Claim:
    """Claim that what is published logs in everywhere."""
    refused = [f"{node}: {end}" for node, end in logins.items() if end]
    message = f"{token} logs in on every node" if not refused else f"{token} is refused: {', '.join(refused)}"
    return judged("new-accepted", bool(logins) and not refused, message, ExitCode.LOCKED_OUT)


def old_refused(logins: Mapping[str, str]) -> Claim:
    """Claim that no old token logs in any more."""
    ends = ", ".join(f"{token}: {end or 'accepted'}" for token, end in logins.items())
    is_refused = len(logins) == ROTATIONS and all(map(is_refusal, logins.values()))
    return judged("old-refused", is_refused, f"no old token logs in: {ends}")


def nothing_left(left: Sequence[str], current: str) -> Claim:
    """Claim that the user has the published token and no other."""
    others = [token for token in left if token != current]
    message = f"{len(others)} other tokens left at PVE" + (f": {', '.join(others)}" if others else ", no orphans")
    return judged("nothing-left", list(left) == [current], message)


def record_kept(facts: Facts) -> Claim:
    """Claim that the keys which others have put into the record are still there, and that nobody else may read it."""
    is_kept = bool(facts.foreign) and facts.kept == facts.foreign and facts.mode == PRIVATE
    lost = [key for key in facts.foreign if key not in facts.kept]
    others = f"lost or changed: {', '.join(lost)}" if lost else f"as they were: {', '.join(facts.kept)}"
    return judged("record-kept", is_kept, f"the file's other keys are {others}; its mode is {facts.mode:04o}")


def judged(name: str, held: bool, message: str, otherwise: ExitCode = ExitCode.FAILED) -> Claim:  # noqa: FBT001 - the claim itself
    """Make a claim; ``otherwise`` is how grave it is if it is not true."""
    return Claim(claim=name, held=held, message=message, exit_code=ExitCode.DONE if held else otherwise)


def exit_code(found: Sequence[Claim]) -> ExitCode:
    """Return the gravest of what is not true."""
    return ExitCode(max(claim.exit_code for claim in found))
