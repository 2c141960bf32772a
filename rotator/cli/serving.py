"""``rotate serve``: wiring and signals; the work is done by ``rotator.service``.

The libraries of the extra ``serve`` are imported when the service is started, and by nothing else.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import click

from rotator import config, registry
from rotator.cli import invocation, sharding
from rotator.cli.answering import Desk, answering
from rotator.cli.config import many
from rotator.cli.invocation import Invocation, common_options, invoked
from rotator.cli.logs import Wish, acquaint, logged, logging_to_stderr, surviving
from rotator.cli.notifying import telling
from rotator.cli.stopping import Stop, ended_after, handling, leave, stopping
from rotator.cli.voice import say
from rotator.clock import Clock, SystemClock
from rotator.errors import ConfigError, RotatorError
from rotator.events import Listener
from rotator.settings import Settings
from rotator.shards import Shard
from rotator.wiring import open_fleet

if TYPE_CHECKING:
    from rotator.logs.lines import Log
    from rotator.service.bell import Bell
    from rotator.service.leader import Leader
    from rotator.service.service import Service

PACKAGE = "proxmox-token-rotator"
NEEDED = ("apscheduler", "cheroot", "prometheus_client", "structlog")
SHORTEST_LEASE, LONGEST_LEASE = 3, 300
"""Seconds. Kubernetes keeps whole ones."""
GRACE = 20.0
"""Seconds that are left to what is under way, once we are told to stop. Kubernetes kills after 30, and giving a lease
back may take 8 of them."""
LAST = 29.0
"""Seconds from then until the process has ended, whoever does not answer at its end."""


class Serving(click.Command):
    """A command that goes on until it is stopped, and so has no document to print at its end."""

    def __init__(self, name: str | None, *, params: list[click.Parameter] | None = None, **settings: Any) -> None:  # noqa: ANN401 - click's
        common = [it for it in common_options() if it.name != "as_json"]
        super().__init__(name, params=[*(params or []), *common], **settings)

    def invoke(self, ctx: click.Context) -> None:
        """Do the work."""
        ctx.params["as_json"] = False
        ctx.obj = invoked(ctx)
        super().invoke(ctx)


@click.command(cls=Serving)
@click.option(
    "--leader",
    type=click.Choice(["auto", "kubernetes", "none"]),
    default="auto",
    show_default=True,
    help="Who works of several: the holder of service.lease, or everybody; auto: the holder, in a pod.",
)
@click.option(
    "--lease-duration",
    type=click.IntRange(SHORTEST_LEASE, LONGEST_LEASE),
    default=15,
    show_default=True,
    metavar="SECONDS",
    help="How long the holder of service.lease may be silent until another one works in its place.",
)
@sharding.shard()
@invocation.parallel()
@logged("text on a terminal, JSON elsewhere")
@click.pass_obj
def serve(
    asked: Invocation,
    *,
    leader: str,
    lease_duration: int,
    shard: Shard,
    parallel: int,
    log_format: str,
    log_level: str,
) -> None:
    """Rotate what is due, and go on doing so until stopped.

    A change of the configuration is taken up, and what failed is tried again; SIGHUP reads it at once, and looks at
    everything. SIGTERM finishes what is under way, a second one ends at once.

    Example: rotate serve
    """
    require_extra()
    clock, wish = asked.clock or SystemClock(), Wish(log_format, log_level).loud(verbose=asked.verbose)
    with logging_to_stderr(wish, clock) as log, surviving(log.caught):
        try:
            candidacy = Candidacy(leader, timedelta(seconds=lease_duration), shard)
            run(asked, clock, log, candidacy=candidacy, parallel=parallel)
        except RotatorError as error:
            if not log.style.as_json:
                raise
            log.tell("critical", error.message, hint=error.hint, exit_code=int(error.exit_code))
            raise click.exceptions.Exit(error.exit_code) from None


def run(asked: Invocation, clock: Clock, log: Log, *, candidacy: Candidacy, parallel: int) -> None:
    """Put the service together, and serve until stopped. Raises: ``ConfigError``."""
    from rotator.service.bell import Bell  # noqa: PLC0415 - see above
    from rotator.service.diary import Diary  # noqa: PLC0415 - see above
    from rotator.service.gauges import Metrics  # noqa: PLC0415 - see above
    from rotator.service.health import Pulse  # noqa: PLC0415 - see above
    from rotator.service.heap import give_back_large_blocks  # noqa: PLC0415 - see above
    from rotator.service.probes import routes  # noqa: PLC0415 - see above
    from rotator.service.reload import Source  # noqa: PLC0415 - see above
    from rotator.service.scheduler import in_threads  # noqa: PLC0415 - see above
    from rotator.service.service import House, Service  # noqa: PLC0415 - see above
    from rotator.service.systemd import Systemd  # noqa: PLC0415 - see above

    give_back_large_blocks()
    bell, metrics, diary = Bell(), Metrics(clock.now), Diary(log.put)
    source = Source(asked.path, lambda: config.load(asked.path, find_backend=registry.find, environ=os.environ))

    def opened(settings: Settings, listen: Listener) -> Any:  # noqa: ANN401 - a context with a fleet
        acquaint(log, settings)
        each = max(1, parallel // len(settings.clusters))
        return open_fleet(settings, listen, parallel=each, clock=clock)

    house = House(
        source=source,
        open_fleet=opened,
        clock=clock,
        leader=leader_of(source.settings, candidacy, clock, bell.ring),
        executor=in_threads(parallel),
        ring=bell.ring,
        caught=log.caught,
        listeners=[log.hear, diary.hear, metrics.hear],
        shard=candidacy.shard,
    )
    service, pulse = Service(house), Pulse(clock)
    service.board.watch(diary.see)
    metrics.watch(service.board)
    pages = routes(lambda: service.board.standing, pulse, metrics.registry, clock.now)
    desk = Desk(source, service, pages, clock, house.caught)
    with ended_after(LAST) as count, telling(service, source, clock, metrics.lose), answering(desk):
        until_stopped(service, bell, count, beat=together(pulse.beat, Systemd(os.environ).beat))


def together(*doing: Callable[[], None]) -> Callable[[], None]:
    """Make one thing to do of several."""

    def done() -> None:
        for do in doing:
            do()

    return done


def require_extra() -> None:
    """Look whether everything is installed. Raises: ``ConfigError``."""
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        message = f"`rotate serve` needs {', '.join(missing)}, which is not installed"
        raise ConfigError(message, hint=f"pip install '{PACKAGE}[serve]'")


@dataclass(frozen=True)
class Candidacy:
    """Who is to work of several: whether by a lease, how long that lasts, and which share of the fleet it is about."""

    wanted: str
    lease: timedelta
    shard: Shard


def leader_of(settings: Settings, candidacy: Candidacy, clock: Clock, ring: Callable[[], None]) -> Leader:
    """Make what says who works. Raises: ``ConfigError`` when a lease is wanted and there is none, or no library."""
    from rotator.service.leader import Everybody  # noqa: PLC0415 - see above
    from rotator.service.pod import Pod  # noqa: PLC0415 - see above

    pod, lease, wanted, shard = Pod(os.environ), settings.service.lease, candidacy.wanted, candidacy.shard
    if wanted == "none" or (wanted == "auto" and not (lease and pod.is_one)):
        return Everybody()
    if lease is None:
        raise ConfigError("--leader kubernetes needs a lease", hint="name it in the configuration: service.lease.name")
    if find_spec("kubernetes") is None:
        raise ConfigError(
            "a lease needs kubernetes, which is not installed", hint=f"pip install '{PACKAGE}[kubernetes]'"
        )
    from rotator.service.election import Campaign, Election, Terms  # noqa: PLC0415 - see above
    from rotator.service.lease import KubernetesLease, identity  # noqa: PLC0415 - kubernetes takes a second

    name = lease.name if shard.count == 1 else f"{lease.name}-{shard.index}"
    leases = KubernetesLease(name, lease.namespace or pod.namespace, pod)
    return Campaign(Election(leases, identity(), clock, Terms(candidacy.lease)), ring)


def until_stopped(
    service: Service,
    bell: Bell,
    count: Callable[[int], None],
    grace: float = GRACE,
    beat: Callable[[], None] = lambda: None,
) -> None:
    """Go on until a signal says to stop, and tell which; then finish what is under way, within so many seconds."""
    with stopping(then=bell.ring) as stop, reloading(service.reload, bell.ring):
        tell_start(service)
        while not stop.signal:
            bell.wait(service.tick())
            beat()
        count(stop.signal)
        service.stop()
        finish(service, bell, stop, grace, beat)
    say("rotate: stopped; nothing is under way")


def finish(service: Service, bell: Bell, stop: Stop, grace: float, beat: Callable[[], None]) -> None:
    """Wait for what is under way; leave it where it is when that takes too long, which is safe too."""
    from time import monotonic  # noqa: PLC0415 - of real time only, whatever clock the work goes by

    end = monotonic() + grace
    while not service.is_idle:
        if monotonic() >= end:
            leave(stop.signal, "left what is under way where it is; the next run finishes it or cleans it up")
        bell.wait(min(1.0, end - monotonic()))
        beat()
    service.close()


def tell_start(service: Service) -> None:
    """Say what is served."""
    standing = service.board.standing
    served = f"{many(len(standing.credentials), 'credential')} of {many(len(standing.clusters), 'cluster')}"
    say(f"rotate: serving {served}, as {standing.configuration.path} says")


@contextmanager
def reloading(reload: Callable[[], None], ring: Callable[[], None]) -> Iterator[None]:
    """Take SIGHUP for a wish to read the configuration again."""

    def heard(_number: int, _frame: object) -> None:
        reload()
        ring()

    with handling(heard, (signal.SIGHUP,)):
        yield
