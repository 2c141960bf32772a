"""How each kind of fault is brought about at one call of a rotation."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass

from rotator.testing import exchange
from rotator.testing.faulty_backend import After, Before, Call, Operation, Stale, When
from rotator.testing.faulty_backend import Fault as StoreFault
from rotator.testing.vault_exchange import VaultFault, VaultRequest
from tests.explore.fault_bench import Bench, Case, Disturbance, Point
from tests.explore.fault_kinds import (
    ALIKE_FOR_READS,
    ANSWERS,
    CHANGED,
    CLOCKS,
    DISK,
    DOORS,
    NODES,
    SLOW,
    STALE,
    STORES,
    STUBBORN,
    VAULT,
)
from tests.explore.fault_plays import Play
from tests.world import Planned

ALWAYS = 10**9

Way = Callable[[Bench, Case], Disturbance]


@dataclass
class Whichever(Planned):
    """A fault for so many requests, whatever is asked."""

    def meets(self, request: exchange.Request) -> bool:
        """Count."""
        return super().meets(exchange.Request(request.node, self.method, self.text, request.who, request.params))


def disturb(bench: Bench, case: Case) -> Disturbance:
    """Prepare that it goes wrong; return whether it has come about."""
    ways: tuple[tuple[Container[str], Way], ...] = (
        (CLOCKS, set_clock),
        (ANSWERS, spoil_answer),
        (DOORS, close_door),
        (NODES, break_node),
        (VAULT, disturb_vault),
        (DISK, fill_disk),
        ({*STORES, STALE, CHANGED}, fail_store),
    )
    return next(way(bench, case) for kinds, way in ways if case.kind in kinds)


def set_clock(bench: Bench, case: Case) -> Disturbance:
    """Let PVE's clock, or the store's, be an hour off ours from the start."""
    pve, store = CLOCKS[case.kind]
    bench.w.pve.clock_offset = float(pve)
    bench.disk.ahead = store * 10**9
    return lambda: True


def spoil_answer(bench: Bench, case: Case) -> Disturbance:
    """Spoil one answer of PVE, or all from one on."""
    times = ALWAYS if case.lasts else 1
    planned = Whichever("", "", ANSWERS[case.kind], times, case.point.number - 1)
    bench.w.traffic.planned.append(planned)
    return lambda: planned.times < times


def before(bench: Bench, point: Point, action: Callable[[], None]) -> Disturbance:
    """Do something when the request before is being answered, so that the next one meets it."""
    count = 0
    if point.number == 1:
        action()

    def look(_request: exchange.Request) -> None:
        nonlocal count
        count += 1
        if count == point.number - 1:
            action()

    bench.w.traffic.watchers.append(look)
    return lambda: count >= point.number - 1


def close_door(bench: Bench, case: Case) -> Disturbance:
    """Let nobody, or somebody else, answer at the nodes; once means: until something has come of it."""
    front = DOORS[case.kind]

    def close() -> None:
        for node in bench.w.pve.nodes:
            if front is None:
                node.down = True
            else:
                node.front = front

    def open_again() -> None:
        if not case.lasts and len(bench.events) > case.point.heard:
            bench.on_event = lambda: None
            bench.open_doors()

    bench.on_event = open_again
    return before(bench, case.point, close)


def break_node(bench: Bench, case: Case) -> Disturbance:
    """Take the node down that would be asked, or take its quorum; or let all nodes learn late of the others' writes."""
    node = bench.w.pve.nodes[case.point.node]

    def break_it() -> None:
        if case.kind == "node lags":
            bench.w.pve.lag = 3.0
        elif case.kind == "node cut off":
            node.quorate = False
        else:
            node.down = True

    return before(bench, case.point, break_it)


def fail_store(bench: Bench, case: Case) -> Disturbance:
    """Let the store fail at one call, or from one on; or show or hold something else."""
    store, met, label = bench.w.store, list[Call](), case.point.call.partition(" ")[2]
    failure = STORES.get(case.kind)

    def is_met(call: Call) -> bool:
        number = len(store.calls)
        is_first, is_later = number == case.point.number, case.lasts and number > case.point.number
        is_due = is_first or (is_later and not (failure and failure.then))
        met.extend([call] if is_due else [])
        return is_due and (failure is None or call.operation in failure.operations)

    if failure is None:
        store.plan.append(other_than_failing(bench, case, is_met))
    else:
        kind = After if failure.after else Before
        store.plan.append(kind(is_met, failure.error(label)))
    if failure and failure.then:
        store.plan.append(Before(lambda _: len(store.calls) > case.point.number, failure.then(label)))
    return lambda: bool(met)


def other_than_failing(bench: Bench, case: Case, is_met: When) -> StoreFault:
    """Let a replica lag behind, or somebody edit the record."""
    if case.kind == STALE:
        return Stale(lambda call: call.operation is Operation.READ and is_met(call))
    return Before(
        lambda call: call.operation is Operation.WRITE and is_met(call) and edit(bench, call), AssertionError()
    )


def disturb_vault(bench: Bench, case: Case) -> Disturbance:
    """Disturb a request to Vault, or all from one on."""
    assert bench.vault
    count, fault = itertools.count(1), VAULT[case.kind]
    met: list[VaultRequest] = []

    def intercept(asked: VaultRequest) -> VaultFault | None:
        number = next(count)
        is_due = number == case.point.number or (case.lasts and number > case.point.number)
        met.extend([asked] if is_due else [])
        return fault if is_due else None

    bench.vault.intercept = intercept
    return lambda: bool(met)


def edit(bench: Bench, call: Call) -> bool:
    """Edit the record as a person does, beside what is ours."""
    name = call.label.rpartition("/")[2]
    bench.w.write({**bench.w.read(name), "edited": "meanwhile"}, name)
    return False


def fill_disk(bench: Bench, case: Case) -> Disturbance:
    """Let the disk below the files refuse what is written at one call of the store, or from one on."""
    number, disk, store = DISK[case.kind], bench.disk, bench.w.store
    met: list[Call] = []

    def at_call(call: Call) -> bool:
        now = len(store.calls)
        is_due = now == case.point.number or (case.lasts and now > case.point.number)
        disk.error = OSError(number, os.strerror(number)) if is_due else None
        met.extend([call] if is_due else [])
        return False

    store.plan.append(Before(at_call, AssertionError()))
    return lambda: bool(met)


def cases(point: Point, play: Play) -> Iterator[Case]:
    """List what can go wrong at a call."""
    operation = point.call.partition(" ")[0]
    if play.in_vault:
        kinds = list(VAULT) if point.place == "vault" else []
    elif point.place == "store":
        kinds = [name for name, failure in STORES.items() if operation in failure.operations]
        kinds += [STALE] if operation == Operation.READ else []
        kinds += [CHANGED] if operation == Operation.WRITE else []
        kinds += list(DISK) if operation in {Operation.WRITE, Operation.PREFLIGHT} else []
    else:
        answers = [kind for kind in ANSWERS if operation != "GET" or kind not in ALIKE_FOR_READS]
        kinds = list(NODES) if play.nodes > 1 else [*answers, *DOORS]
    for kind in kinds:
        yield from (Case(point, kind, lasts) for lasts in durations(kind, point))


def durations(kind: str, point: Point) -> tuple[bool, ...]:
    """Return whether something goes wrong once, for good, or is tried both ways."""
    if kind in NODES or (kind in STORES and STORES[kind].then):
        return (True,)
    if kind == CHANGED:
        return (False,)
    return (False, True) if point.place in {"store", "vault"} or kind in STUBBORN else (False,)


def is_slow(case: Case) -> bool:
    """Say whether it takes waiting."""
    return case.kind in SLOW


def all_cases(points: Sequence[Point], play: Play) -> list[Case]:
    """List all that can go wrong in a play: at each call, and with the clocks."""
    start = Point("clocks", 1, "all", "from the start", 0)
    skewed = [Case(start, kind, lasts=False) for kind in CLOCKS] if play.nodes == 1 and not play.in_vault else []
    return [*skewed, *(case for point in points for case in cases(point, play))]
