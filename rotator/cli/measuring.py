"""Options by which a single run leaves metrics behind. That it cannot is told, and never changes how the run ends.

The libraries of the extra ``serve`` are imported for these options, and by nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import click

from rotator import bugs
from rotator.cli.voice import warn
from rotator.clock import Clock, SystemClock
from rotator.errors import ConfigError, ExitCode
from rotator.events import Listener
from rotator.fleet import Fleet
from rotator.model import Credential
from rotator.rotate import Result
from rotator.settings import Settings
from rotator.shards import ALL, Shard

if TYPE_CHECKING:
    from rotator.service.single import Single

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Targets:
    """Where the metrics of a run go."""

    file: Path | None = None
    gateway: str | None = None

    def __bool__(self) -> bool:
        """Say whether they go anywhere."""
        return bool(self.file or self.gateway)


def measured() -> Callable[[F], F]:
    """Take where the metrics of a run go."""
    file = click.option(
        "--metrics-file",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="PATH",
        help="Write metrics there at the end, for node_exporter's textfile collector.",
    )
    gateway = click.option(
        "--push-gateway",
        callback=address,
        metavar="URL",
        help="Push metrics there at the end, to a Pushgateway of Prometheus.",
    )
    return lambda function: file(gateway(function))


def address(_context: click.Context, _parameter: click.Parameter, text: str | None) -> str | None:
    """Read the address of a gateway; an argument is no place for a password. Raises: ``BadParameter``."""
    if text is None:
        return None
    try:
        parts = urlsplit(text)
        is_usable = parts.scheme in {"http", "https"} and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        raise click.BadParameter("not a URL; write http://host:9091") from None
    if parts.username is not None or parts.password is not None:
        raise click.BadParameter("a password does not stand in an argument, where everybody on this machine reads it")
    if not is_usable:
        raise click.BadParameter("not a URL; write http://host:9091")
    return text


class Measuring:
    """Measures a run, if that is wanted. Raises: ``ConfigError`` when what it takes is not installed."""

    def __init__(
        self,
        targets: Targets,
        settings: Callable[[], Settings],
        credentials: Sequence[Credential],
        *,
        shard: Shard = ALL,
        clock: Clock | None = None,
    ) -> None:
        self._targets = targets
        self._shard = f"{shard.index}-of-{shard.count}" if shard.count > 1 else ""
        self._clock = clock or SystemClock()
        self._single = single(settings(), credentials) if targets else None

    @property
    def listeners(self) -> list[Listener]:
        """Who wants to hear of the run."""
        return [self._single.hear] if self._single else []

    def look(self, fleet: Fleet, results: Sequence[Result]) -> None:
        """Look how everything stands, at the end of the run."""
        if self._single:
            found = self._single
            self._try("measured", lambda: found.look(fleet, results))

    def tell(self, exit_code: ExitCode) -> None:
        """Write and push what was found."""
        if self._single is None:
            return
        found, file, gateway = self._single, self._targets.file, self._targets.gateway
        found.end(self._clock.now(), exit_code)
        if file:
            self._try(f"written to {file}", lambda: found.write(file))
        if gateway:
            self._try(f"pushed to {gateway}", lambda: found.push(gateway, self._shard))

    def _try(self, what: str, work: Callable[[], None]) -> None:
        try:
            work()
        except OSError as error:
            reason = getattr(error, "reason", None) or error.strerror or type(error).__name__
            warn(f"rotate: the metrics were not {what}: {reason}")
        except Exception as error:  # noqa: BLE001 - the rotations are done, whatever becomes of the metrics
            warn(f"rotate: the metrics were not {what}: {bugs.named(error)}")


def single(settings: Settings, credentials: Sequence[Credential]) -> Single:
    """Make what measures a run. Raises: ``ConfigError``."""
    if find_spec("prometheus_client") is None:
        message = "metrics need prometheus_client, which is not installed"
        raise ConfigError(message, hint="pip install 'proxmox-token-rotator[serve]'")
    from rotator.service.single import Single  # noqa: PLC0415 - see above

    return Single(settings, credentials)
