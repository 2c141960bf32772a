"""``rotate sim``: the simulated PVE as a server of its own, to try things out against. Loopback only."""

from __future__ import annotations

import ipaddress
import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import click

from rotator.cli.scratch import require_temporary_folder
from rotator.testing.latency import ONE_NODE, THREE_NODES
from rotator.testing.pve import SimulatedPve

_ADMINISTRATOR = "admin@pve"
_PORTS = 65536
_LATENCIES = {"one-node": ONE_NODE, "three-nodes": THREE_NODES}
_SECONDS = click.FloatRange(min=0)


def loopback_address(_context: click.Context, _parameter: click.Parameter, text: str) -> tuple[str, int]:
    """Read HOST:PORT of this machine's loopback; anything else is a usage error."""
    host, _, port = text.rpartition(":")
    host = {"localhost": "127.0.0.1"}.get(host, host.strip("[]"))
    try:
        is_loopback = ipaddress.ip_address(host).is_loopback
        number = int(port)
    except ValueError:
        raise click.BadParameter("an address looks like 127.0.0.1:8006") from None
    if number not in range(_PORTS):
        raise click.BadParameter(f"there is no port {number}")
    if not is_loopback:
        raise click.BadParameter(f"{host} is not a loopback address; a simulator is not for other machines to reach")
    return host, number


@click.command()
@click.option("--listen", callback=loopback_address, default="127.0.0.1:8006", show_default=True, metavar="HOST:PORT")
@click.option(
    "--password-file",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Its first line is the password of admin@pve.",
)
@click.option(
    "--ca-out",
    required=True,
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Where to write the certificate authority that clients need to trust.",
)
@click.option(
    "--refusal-delay", default=3.0, type=_SECONDS, show_default=True, help="Seconds that a refused login takes."
)
@click.option("--nodes", default=1, show_default=True, type=click.IntRange(min=1), help="Nodes of the cluster.")
@click.option(
    "--lag", default=0.0, type=_SECONDS, show_default=True, help="Seconds until a node knows what another one did."
)
@click.option(
    "--latency",
    type=click.Choice(["none", *_LATENCIES]),
    default="none",
    show_default=True,
    help="Take as long as a real PVE, of one node or of three.",
)
def sim(
    *,
    listen: tuple[str, int],
    password_file: Path,
    ca_out: Path,
    refusal_delay: float,
    nodes: int,
    lag: float,
    latency: str,
) -> None:
    """Run a simulated Proxmox VE until it is interrupted.

    It says on one line of JSON where it listens. admin@pve is an Administrator.
    """
    try:
        password = password_file.read_text(encoding="utf-8").partition("\n")[0]
    except UnicodeDecodeError:
        raise click.BadParameter("it is not text", param_hint="--password-file") from None
    if not password:
        raise click.BadParameter("its first line is empty", param_hint="--password-file")
    require_temporary_folder()  # for the certificates of its nodes
    pve = SimulatedPve(nodes=nodes, refusal_delay=refusal_delay, lag=lag, latency=_LATENCIES.get(latency))
    pve.add_user(_ADMINISTRATOR, password=password)
    pve.grant("/", "Administrator", user=_ADMINISTRATOR)
    _write(ca_out, pve.ca_pem)
    with _interruption() as over:
        _start(pve, listen)
        with pve:
            click.echo(json.dumps(_ready(pve, ca_out)))
            over.wait()


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise click.BadParameter(f"cannot write {path}: {error.strerror}", param_hint="--ca-out") from None


def _start(pve: SimulatedPve, listen: tuple[str, int]) -> None:
    try:
        pve.start(listen)
    except (OSError, OverflowError) as error:
        said = f"cannot listen on {listen[0]}:{listen[1]} and the ports that follow: {error}"
        raise click.BadParameter(said, param_hint="--listen") from None


@contextmanager
def _interruption() -> Iterator[Event]:
    """Give an event that SIGINT and SIGTERM set; afterwards the signals mean what they meant before."""
    over = Event()
    signals = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: over.set()) for number in signals]
    try:
        yield over
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)


def _ready(pve: SimulatedPve, ca_out: Path) -> dict[str, object]:
    nodes = [{"name": node.name, "url": node.url} for node in pve.nodes]
    about = {"user": _ADMINISTRATOR, "fingerprint": pve.fingerprint, "ca": str(ca_out)}
    return {"ready": True, "nodes": nodes, **about}
