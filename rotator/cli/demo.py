"""``rotate demo``: the whole job on a simulated PVE and a file, with nothing to configure and nothing left behind.

This module sets the scene and clears it away; ``demo_story`` plays on it, ``demo_claims`` judges what came of it,
``demo_page`` shows it. The rotator in it is the real one: configuration, wiring, PVE adapter and file backend.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

import click
import yaml

from rotator.cli import output
from rotator.cli.demo_claims import Claim, claims, exit_code
from rotator.cli.demo_page import Page
from rotator.cli.demo_story import Scene, Story, stored
from rotator.cli.invocation import complaint
from rotator.cli.output import Report
from rotator.cli.scratch import require_temporary_folder
from rotator.cli.stopping import Handler, handling
from rotator.clock import SystemClock
from rotator.durations import spell_duration
from rotator.errors import RotatorError
from rotator.model import TOKEN_ID_KEY, TOKEN_SECRET_KEY, Secret, Token, TokenId
from rotator.testing.consumer import Consumer
from rotator.testing.pve import SimulatedPve

NODES = 2
OVERLAP = timedelta(seconds=3)
BUSY = timedelta(milliseconds=20)
"""What the consumers wait between two logins."""
USER, GROUP, OPERATOR = "terraform@pve", "automation", "rotator@pve"

Visitor = Callable[[SimulatedPve], None]
"""Gets the simulated PVE before anything happens on it; for tests."""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document, and the story on stderr.")
@click.pass_context
def demo(context: click.Context, *, as_json: bool) -> None:
    """The whole job on a simulated Proxmox VE: nothing is needed.

    A token that is in use is rotated twice, and nobody notices. It happens on this machine alone, with a temporary
    file for a secrets store, takes some ten seconds and leaves nothing behind. It ends with 0 only if all that it
    claims in the end was found to be true.

    Example: rotate demo
    """  # noqa: D401 - the first line is what the list of commands says
    stream = sys.stderr if as_json else sys.stdout
    try:
        require_temporary_folder()
        with handling(interrupter()):
            judged = play(Page(stream, is_terminal=stream.isatty()))
        report = Report(judged, exit_code=exit_code(judged))
    except RotatorError as error:
        report = complaint(error)
    except OSError as error:
        raise click.ClickException(f"the demo needs a temporary folder and the loopback: {error.strerror}") from error
    context.exit(output.conclude(report, "demo", as_json=as_json))


def play(page: Page, *, overlap: timedelta = OVERLAP, visit: Visitor | None = None) -> list[Claim]:
    """Set the scene, tell the story, judge it.

    Repeat: another story. Crash: only a kill that cannot be caught leaves a temporary folder, with dead secrets.
    """
    page.title("rotate demo: replace an API token that is in use, without anybody noticing")
    with scene(overlap, visit) as set_up:
        facts = Story(set_up, page, SystemClock()).tell()
    judged = claims(facts)
    conclude(page, judged)
    return judged


def conclude(page: Page, judged: list[Claim]) -> None:
    """Show which claims are true, and what to do next."""
    page.chapter("What came of it")
    for claim in judged:
        page.claim(claim)
    if code := exit_code(judged):
        page.say(f"Not everything was true, which should never happen: please report it. Exit code {code}.")
        return
    page.say(
        "Nothing is left of all this: no process, no file. A real PVE would have made each refused login wait for 3 s; "
        "the simulated one does not."
    )
    page.chapter("Your turn")
    page.rows(
        [
            ("rotate init", "set up your PVE and a first configuration, step by step; README.md tells more"),
            ("rotate config check", "every mistake in it at once"),
            ("rotate plan", "see what would be done, changing nothing"),
            ("rotate due", "rotate what is due; for cron, a timer or a CronJob"),
        ]
    )


def interrupter() -> Handler:
    """Make what takes Ctrl-C and SIGTERM: the first one ends the story, later ones do not disturb the clearing."""
    taken: list[int] = []

    def interrupt(number: int, _frame: FrameType | None) -> None:
        taken.append(number)
        if len(taken) == 1:
            raise KeyboardInterrupt

    return interrupt


# the scene


@contextmanager
def scene(overlap: timedelta, visit: Visitor | None = None) -> Iterator[Scene]:
    """Make the PVE, the files and the consumers; at the end there is nothing of them."""
    with ExitStack() as cleanup:
        folder = Path(cleanup.enter_context(TemporaryDirectory(prefix="rotate-demo-")))
        pve = SimulatedPve(nodes=NODES)
        operator = populate(pve)
        record = folder / "token.json"
        write_record(record, Token(TokenId(USER, "by-hand"), make_by_hand(pve)))
        if visit:
            visit(pve)
        cleanup.enter_context(pve)
        config = write_config(folder, pve, operator, record, overlap)
        yield Scene(
            config=config,
            record=record,
            overlap=overlap,
            nodes=[node.endpoint for node in pve.nodes],
            busy=start(cleanup, pve, lambda: shown(stored(record))),
            stale=start(cleanup, pve, remembering(lambda: shown(stored(record)), overlap)),
            tokens=lambda: [f"{USER}!{name}" for name in pve.tokens(USER)],
            log_in=lambda token, node: log_in(pve, token, node),
        )


def populate(pve: SimulatedPve) -> Token:
    """Make the users; return the operator, who has what it needs and no more.

    ``User.Modify`` on the user's own group lets it manage that user's tokens and nobody else's; ``Sys.Audit`` on
    ``/access`` shows it the whole access control list; ``Permissions.Modify`` where the tokens have their roles lets
    it give these to their successors (measured on PVE 9.2).
    """
    pve.add_group(GROUP)
    pve.add_user(USER, groups=[GROUP])
    pve.add_role("Builder", ["VM.Allocate", "VM.Clone", "VM.Audit", "VM.PowerMgmt", "VM.Config.CPU"])
    pve.grant("/vms", "Builder", user=USER)
    pve.add_user(OPERATOR)
    for role, privilege, path in (
        ("TokenRotator", "User.Modify", f"/access/groups/{GROUP}"),
        ("AccessViewer", "Sys.Audit", "/access"),
        ("GrantKeeper", "Permissions.Modify", "/vms"),
    ):
        pve.add_role(role, [privilege])
        pve.grant(path, role, user=OPERATOR)
    return Token(TokenId(OPERATOR, "demo"), Secret(pve.add_token(OPERATOR, "demo", privsep=False)))


def make_by_hand(pve: SimulatedPve) -> Secret:
    """Make the token that is there before, as people make them: no end, no comment, a role of its own."""
    secret = Secret(pve.add_token(USER, "by-hand"))
    pve.grant("/vms", "Builder", token=f"{USER}!by-hand")
    return secret


def write_record(path: Path, token: Token) -> None:
    """Write the consumers' file, with keys in it that are none of ours."""
    fields = {
        "comment": "read by the build servers",
        TOKEN_ID_KEY: str(token.id),
        TOKEN_SECRET_KEY: token.secret.reveal(),
        "contacts": ["alice", "bob"],
    }
    write_private(path, json.dumps(fields, indent=2) + "\n")


def write_config(folder: Path, pve: SimulatedPve, operator: Token, record: Path, overlap: timedelta) -> Path:
    """Write the configuration, and what it refers to."""
    authority, secret, config = folder / "ca.pem", folder / "operator.secret", folder / "rotate.yaml"
    authority.write_bytes(pve.ca_pem)
    write_private(secret, operator.secret.reveal())
    cluster = {
        "endpoints": [node.endpoint for node in pve.nodes],
        "tls": {"ca": str(authority)},
        "operator": {"token_id": str(operator.id), "token_secret": {"file": str(secret)}},
    }
    credential = {
        "name": "terraform",
        "cluster": "lab",
        "user": USER,
        "every": "30d",
        "overlap": spell_duration(overlap),
        "destination": {"path": str(record)},
    }
    content = {"version": 1, "owner": "demo", "clusters": {"lab": cluster}, "credentials": [credential]}
    config.write_text(yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=200), encoding="utf-8")
    return config


def write_private(path: Path, text: str) -> None:
    """Write a file that nobody else could read at any moment."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


# the consumers


def start(cleanup: ExitStack, pve: SimulatedPve, read: Callable[[], tuple[str, str]]) -> Consumer:
    """Let a consumer log in all the time, at each node in turn, until the scene ends."""
    consumer = Consumer(read, [node.url for node in pve.nodes], pve.ca_pem)
    cleanup.callback(consumer.stop)
    consumer.start(BUSY)
    return consumer


def remembering(read: Callable[[], tuple[str, str]], keep: timedelta) -> Callable[[], tuple[str, str]]:
    """Read again only when what was read is as old as that; for one thread."""
    known, until = ("", ""), 0.0

    def recall() -> tuple[str, str]:
        nonlocal known, until
        now = time.monotonic()
        if now >= until:
            known, until = read(), now + keep.total_seconds()
        return known

    return recall


def log_in(pve: SimulatedPve, token: Token, node: str) -> str:
    """Log in once, at one node; return how PVE refused, or nothing."""
    attempt = Consumer(lambda: shown(token), [f"https://{node}"], pve.ca_pem)
    attempt.try_once()
    return attempt.last_failure


def shown(token: Token) -> tuple[str, str]:
    """Return a token as a consumer shows it to PVE."""
    return str(token.id), token.secret.reveal()
