"""``rotate init``: from a PVE that knows nothing of us to the first rotation; ``--undo`` is the way back."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import click

from rotator.cli import invocation
from rotator.cli.asking import Asker, Terminal
from rotator.cli.init_draft import Draft, existing_draft, new_draft, schema_text, write
from rotator.cli.init_questions import Contact, Given, Questions, require_options
from rotator.cli.init_undo import remaining, removals
from rotator.cli.init_work import AGAIN_UNDO, Action, Course, in_words, require_an_answer, told
from rotator.cli.invocation import Command, Invocation, usual_config
from rotator.cli.login import Login
from rotator.cli.output import Report
from rotator.cli.scratch import require_temporary_folder
from rotator.cli.shapes import SetUp
from rotator.clock import Clock, SystemClock
from rotator.errors import ConfigError, RefusedError, RotatorError, UnauthenticatedError
from rotator.proxmox_tls import TlsTrust
from rotator.rotate import draw_name
from rotator.setup import files
from rotator.setup.config_text import SCHEMA_FILE
from rotator.setup.journal import Journal
from rotator.setup.plan import Step, managed_besides, plan, shown
from rotator.setup.port import Access
from rotator.setup.present import Present
from rotator.setup.proxmox_access import ProxmoxAccess
from rotator.setup.things import OperatorToken, Thing
from rotator.setup.trust import trust_of
from rotator.setup.undo import ENDING
from rotator.setup.uses import USES
from rotator.setup.work import Worker

THERE, MADE, MISSING = "there", "made", "missing"
REMOVED, PRESENT = "removed", "to-remove"
NEW_CONFIG = Path("rotate.yaml")

Opener = Callable[[str, Sequence[str], TlsTrust, Login, Clock], Access]
"""Opens a cluster as a person: its name, its endpoints, whom to believe, who logs in, the clock of the ticket."""


def open_access(name: str, endpoints: Sequence[str], trust: TlsTrust, login: Login, clock: Clock) -> ProxmoxAccess:
    """Open a cluster; the password is asked for here, the code when PVE wants one."""
    return ProxmoxAccess(name, endpoints, login=login.ticket(name), trust=trust, monotonic=clock.monotonic)


@dataclass(frozen=True)
class Setup:
    """One call of ``rotate init``, with whoever answers and what opens a cluster."""

    asked: Invocation
    given: Given
    asker: Asker
    yes: bool = False
    dry_run: bool = False
    opener: Opener = open_access
    opened: list[Any] = field(default_factory=list)

    def make(self) -> Report:
        """Make what is missing. Raises: ``UsageError``, ``Abort``; ``RotatorError`` before anything was begun."""
        draft, access = self._draft()
        worker = Worker(access, draft.place)
        present = worker.look()
        journal = draft.journal.begun(present) if draft.is_new else draft.journal.continued(present)
        steps = plan(journal.wanted, present, owner=draft.settings.owner)
        actions = [*written(draft, journal), *(acted(worker, step) for step in steps)]
        if others := managed_besides(journal.wanted, present):
            self.asker.say(
                f"note: the operator will manage the tokens of {', '.join(others)} too, who are in its group"
            )
        there = found(journal, present)
        course = Course(self.asker, actions, MADE, MISSING, yes=self.yes)
        if not actions:
            return Report(there, [*told(there), "", f"all is there; nothing was changed. {next_steps(draft)}"])
        if self.dry_run:
            results = [*there, *course.foresee()]
            return Report(results, [*told(results), "", journal.put_into(draft.text)])
        require_an_answer(self.asker, yes=self.yes)
        return self._conclude(course, there, draft, worker)

    def undo(self) -> Report:
        """Take away what was made here. Raises: as ``make``."""
        path = self._path
        text = files.read(path)
        if text is None:
            return Report((), [f"nothing to undo: {path} is not there"])
        draft = existing_draft(path, text, self.given)
        present = self._open(draft).present()
        actions, kept = removals(draft, Worker(self.opened[-1], draft.place), present)
        course = Course(self.asker, actions, REMOVED, PRESENT, AGAIN_UNDO, yes=self.yes)
        if self.dry_run or not actions:
            stays = [*kept, *(remaining(draft, kept, foresees=True) if actions else [])]
            results = [*course.foresee(), *stays]
            nothing = [] if actions else ["nothing to undo"]
            return Report(results, [*told(results), *ending(actions), *staying(stays), *nothing])
        require_an_answer(self.asker, yes=self.yes)
        try:
            course.run()
        except RotatorError as error:
            return course.failed(error)
        stays = [*kept, *remaining(draft, kept, foresees=False)]
        results = [*course.results, *stays]
        return Report(results, [*told(results), *staying(stays)])

    def close(self) -> None:
        """Let go of all connections."""
        for each in self.opened:
            each.close()

    def _conclude(self, course: Course, there: list[SetUp], draft: Draft, worker: Worker) -> Report:
        try:
            if not course.run():
                results = [*there, *course.results]
                return Report(results, [*told(results), "", f"stopped; {course.again}"])
            worker.prove([draft.journal.managed])
        except RotatorError as error:
            return course.failed(error)
        results = [*there, *course.results]
        proven = f"{draft.journal.operator.userid} may manage the tokens of {draft.journal.managed}"
        return Report(results, [*told(results), "", f"done; {proven}. {next_steps(draft)}"])

    @property
    def _path(self) -> Path:
        if self.asked.config:
            return self.asked.config.absolute()
        try:
            return usual_config().absolute()
        except ConfigError:
            return NEW_CONFIG.absolute()

    def _draft(self) -> tuple[Draft, Access]:
        path = self._path
        text = files.read(path)
        if text is not None:
            draft = existing_draft(path, text, self.given)
            return draft, self._open(draft)
        if not self.asker.is_there:
            require_options(self.given, has_login=self.asked.login is not None)
        return self._begin(path)

    def _begin(self, path: Path) -> tuple[Draft, Access]:
        require_temporary_folder()  # which the answers are checked in: who has typed them is told too late
        questions = Questions(self.given, self.asker, path.parent)
        if self.asker.is_there:
            new_draft(path, questions.unasked()).close()  # what the options have wrong is told before anything is asked
        contact = questions.contact()
        access = self._entered(self.given.cluster or "home", contact.endpoints, trust_of(contact.tls), questions)
        draft = self._answered(path, contact, replace(questions, present=self._present(access), typed={}))
        self.opened.append(draft)
        return draft, access

    def _present(self, access: Access) -> Present:
        """Look what there is, where somebody types names of it."""
        return access.present() if self.asker.is_there else Present()

    def _answered(self, path: Path, contact: Contact, questions: Questions) -> Draft:
        """Ask until the answers make a configuration; what was typed is offered the next time."""
        token = f"operator-{draw_name()}"
        while True:
            answers = questions.answers(contact, token)
            try:
                return new_draft(path, answers)
            except ConfigError as error:
                if not questions.typed:
                    raise
                questions.complain(error)

    def _open(self, draft: Draft) -> Access:
        self.opened.append(draft)
        cluster = draft.cluster
        if self.asked.login is None and not self.asker.is_there:
            raise click.UsageError("nobody is there to be asked: give --login and --password-file")
        trust = TlsTrust(cluster.ca_file, cluster.fingerprint or "", cluster.unsafe_skip_verification)
        questions = Questions(self.given, self.asker, draft.path.parent)
        return self._entered(cluster.name, cluster.endpoints, trust, questions)

    def _entered(self, name: str, endpoints: Sequence[str], trust: TlsTrust, questions: Questions) -> Access:
        """Log in before more is asked; what was mistyped is asked for again, what was given ends it."""
        while True:
            login = self.asked.login or self._login(questions.user_of_login())
            access = self._opened(name, endpoints, trust, login)
            try:
                access.enter()
            except RefusedError as error:
                is_password = isinstance(error, UnauthenticatedError)
                is_given = login.password_file if is_password else self.asked.login
                if is_given or not self.asker.is_there:
                    raise
                questions.complain(error)
            else:
                return access

    def _opened(self, name: str, endpoints: Sequence[str], trust: TlsTrust, login: Login) -> Access:
        access = self.opener(name, endpoints, trust, login, self.asked.clock or SystemClock())
        self.opened.append(access)
        return access

    def _login(self, userid: str) -> Login:
        return Login(userid, ask=self.asker.hidden, is_there=lambda: self.asker.is_there)


def written(draft: Draft, journal: Journal) -> list[Action]:
    """List the files to write: before anything else, so that an interrupted run is known to the next one."""
    actions = []
    text = journal.put_into(draft.text)
    if draft.is_new or text != draft.text:
        about = "the configuration, with notes of what is made; no secret is in it"
        detail = text if draft.is_new else ""
        do = partial(write, draft, journal)
        actions.append(Action(f"file {draft.path}", f"write {draft.path}", about, do, detail))
    schema = draft.path.with_name(SCHEMA_FILE)
    if str(schema) in journal.files and not schema.exists():
        command = f"rotate config schema > {shlex.quote(str(schema))}"
        about = "what an editor completes and explains the configuration with"
        actions.append(Action(f"file {schema}", command, about, partial(files.create, schema, schema_text())))
    return actions


def acted(worker: Worker, step: Step) -> Action:
    """Make an action of a step."""
    place = f"; its secret goes to {worker.place.destination.label}" if "token" in step.thing.words()[0] else ""
    words = " ".join(step.thing.words())
    return Action(words, shown(step.words()), f"{step.message()}{place}", partial(worker.do, step))


def found(journal: Journal, present: Present) -> list[SetUp]:
    """List what is there already."""
    there = [as_it_is(it, present) for it in journal.wanted if present.has(it)]
    return [
        SetUp(thing=" ".join(it.words()), command="", message=it.purpose(), state=THERE, exit_code=0) for it in there
    ]


def as_it_is(thing: Thing, present: Present) -> Thing:
    """Call the operator's token by the name that it has: it may have been made elsewhere, or replaced."""
    token = present.stored.token
    return OperatorToken(token.id.userid, token.id.name) if isinstance(thing, OperatorToken) and token else thing


def ending(actions: Sequence[Action]) -> list[str]:
    """Say what goes with a thing that is taken away: who only looks is not shown what each step is about."""
    return [f"    {it.thing}: {it.message}" for it in actions if ENDING in it.message]


def staying(stays: Sequence[SetUp]) -> list[str]:
    """Say of each thing that stays why."""
    return [f"    {it.thing} stays: {it.message}" for it in stays]


def next_steps(draft: Draft) -> str:
    """Say what to do next."""
    where = in_words(draft.path)
    return f"`rotate now {draft.journal.credential}{where}` rotates at once, `rotate due{where}` whenever it is due"


def options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Take everything that is asked for, for automation."""
    taken = (
        click.option("--endpoint", "endpoints", multiple=True, metavar="HOST[:PORT]", help="A node; may be repeated."),
        click.option("--fingerprint", metavar="SHA256", help="Of the one certificate to accept."),
        click.option("--ca", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Or its authority."),
        click.option("--name", metavar="NAME", help="The credential: what its consumer is called."),
        click.option("--user", metavar="USER@REALM", help="Its user at PVE. Default: NAME@pve."),
        click.option("--use", type=click.Choice(list(USES)), help="What it may do, and in which words it reads."),
        click.option(
            "--grant", "grants", multiple=True, metavar="PATH=ROLE", help="Or that, or more; may be repeated."
        ),
        click.option("--every", metavar="DURATION", help="How often to rotate. Default: 30d."),
        click.option("--overlap", metavar="DURATION", help="How long old tokens work on. Default: 24h."),
        click.option("--store", default="file", show_default=True, metavar="TYPE", help="Where tokens are kept."),
        click.option("--store-setting", "store_settings", multiple=True, metavar="KEY=VALUE", help="Of the store."),
        click.option("--place", multiple=True, metavar="KEY=VALUE", help="Where in the store its consumer reads."),
        click.option("--operator-place", multiple=True, metavar="KEY=VALUE", help="And the operator's own token."),
        click.option("--owner", metavar="NAME", help="This installation. Default: the machine's name."),
        click.option("--cluster", metavar="NAME", help="The cluster in the configuration. Default: home."),
        click.option("--group", metavar="NAME", help="Whose members' tokens are managed. Default: rotated."),
        click.option("--role", metavar="NAME", help="The operator's. Default: TokenRotator."),
        click.option("--operator", metavar="USER@REALM", help="The operator. Default: rotator@pve."),
    )
    for take in reversed(taken):
        function = take(function)
    return function


@click.command(cls=Command)
@options
@invocation.login()
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Change nothing; show every step as the command that does the same.")
@click.option("--undo", is_flag=True, help="Take away what was made here, unless others use it.")
@click.pass_obj
def init(asked: Invocation, /, *, yes: bool, dry_run: bool, undo: bool, **given: Any) -> Report:  # noqa: ANN401 - click's
    """Set up a Proxmox VE and a configuration, step by step; what is there already is left as it is.

    It logs in once, as root@pam or another administrator, and makes an operator who can do nothing but manage the
    tokens of one group, a user in that group, and the configuration. Every step is shown and asked for.

    Example: rotate init --endpoint pve1.example.net
    """
    setup = Setup(asked, Given(**given), Terminal(as_json=asked.as_json), yes=yes, dry_run=dry_run)
    try:
        return setup.undo() if undo else setup.make()
    finally:
        setup.close()
