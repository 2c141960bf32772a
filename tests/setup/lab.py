"""A PVE as it is after its installation, a folder, and somebody who sets it up: by options, or by answering."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import click
from click.testing import CliRunner, Result

from rotator.cli.asking import YES
from rotator.cli.init_questions import Given
from rotator.cli.initializing import Opener, Setup, open_access
from rotator.cli.invocation import Invocation
from rotator.cli.main import rotate
from rotator.cli.output import Report
from rotator.testing.pve import SimulatedPve
from rotator.testing.state import State
from tests.cli.lab import Time
from tests.cli.shape import check_shape

ROOT = "root@pam"
CI = "ci@pve"
OPERATOR = "rotator@pve"
MADE = (
    "group rotated",
    "role TokenRotator User.Modify",
    f"user {OPERATOR}",
    f"entry /access/groups/rotated TokenRotator {OPERATOR}",
    f"user {CI}",
    f"member {CI} rotated",
    f"entry /vms PVEVMUser {CI}",
)


@dataclass
class Scripted:
    """Somebody who answers by the words of a question; Ctrl-C at the question of that number, counting from 0."""

    answers: Mapping[str, str] = field(default_factory=dict)
    interrupt_at: int = -1
    is_there: bool = True
    asked: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        """Hear something."""
        self.said.append(text)

    def ask(self, question: str, default: str = "") -> str:
        """Answer, or take the default."""
        answer = self._answer(question, default)
        assert answer, f"no answer to {question!r}"
        return answer

    def hidden(self, question: str) -> str:
        """Type something that is not shown."""
        return self.ask(question)

    def agree(self, question: str) -> bool:
        """Say yes, unless told otherwise."""
        return self._answer(question, "yes") == "yes"

    def choose(self, question: str) -> str:
        """Say yes, unless told otherwise."""
        return self._answer(question, YES)

    def _answer(self, question: str, otherwise: str) -> str:
        if len(self.asked) == self.interrupt_at:
            raise click.Abort
        self.asked.append(question)
        return next((answer for words, answer in self.answers.items() if words in question), otherwise)


@dataclass
class Lab:
    """One cluster with root@pam alone, and an empty folder."""

    pve: SimulatedPve
    folder: Path
    time: Time
    password: str = field(repr=False)
    watch: Callable[[str], None]

    @property
    def config(self) -> Path:
        """The configuration."""
        return self.folder / "rotate.yaml"

    @property
    def state(self) -> State:
        """What PVE knows."""
        return self.pve.cluster.newest()

    def password_file(self, *more: str) -> str:
        """Write the password, and what follows it."""
        path = self.folder.parent / "password"
        path.write_text("\n".join([self.password, *more]) + "\n", encoding="utf-8")
        path.chmod(0o600)
        return str(path)

    def options(self, *more: str) -> list[str]:
        """List all that a set-up needs to know, so that nobody is asked."""
        endpoint = ["--endpoint", self.pve.nodes[0].endpoint, "--fingerprint", self.pve.fingerprint]
        return [*endpoint, "--name", "ci", "--grant", "/vms=PVEVMUser", "--owner", "lab", *self.login(), *more]

    def login(self, *more: str) -> list[str]:
        """List what a login needs."""
        return ["--login", ROOT, "--password-file", self.password_file(*more)]

    def call(self, command: str, *arguments: str) -> Result:
        """Run a command in this process."""
        with_config = [command, *arguments, "--config", str(self.config)]
        result = CliRunner().invoke(rotate, with_config, obj=self.time)
        self.look_at_secrets()
        return result

    def json(self, command: str, *arguments: str) -> Any:  # noqa: ANN401 - JSON
        """Run a command with --json and return what it printed, once its shape is found right."""
        result = self.call(command, *arguments, "--json")
        assert result.stdout, result.stderr
        found = json.loads(result.stdout)
        assert found["exit_code"] == result.exit_code
        check_shape(found["command"], result.stdout, is_dry=False)
        return found

    def init(self, *more: str) -> Result:
        """Set up by options alone."""
        return self.call("init", *self.options("--yes", *more))

    def answers(self, **more: str) -> dict[str, str]:
        """Answer every question that has no usual answer."""
        return {
            "Address of a node": self.pve.nodes[0].endpoint,
            "Password of": self.password,
            "Name of the credential": "ci",
            "What may it do": "/vms=PVEVMUser",
            **more,
        }

    def dialog(
        self, asker: Scripted, *, opener: Opener = open_access, undo: bool = False, is_known: bool = False
    ) -> Report:
        """Set up with somebody who answers; ``is_known`` gives the address and the fingerprint, which is quicker."""
        known: Any = (
            {"endpoints": (self.pve.nodes[0].endpoint,), "fingerprint": self.pve.fingerprint} if is_known else {}
        )
        asked = Invocation("init", self.config, as_json=False, verbose=False, clock=self.time)
        with closing(Setup(asked, Given(owner="lab", **known), asker, opener=opener)) as setup:
            try:
                return setup.undo() if undo else setup.make()
            finally:
                self.look_at_secrets()

    def rotate_now(self) -> Result:
        """Rotate what was set up."""
        return self.call("now", "ci")

    def record(self, name: str = "ci") -> dict[str, str]:
        """Read a record."""
        return dict(json.loads((self.folder / f"{name}.json").read_text(encoding="utf-8")))

    def works(self, name: str = "ci") -> bool:
        """Say whether a record logs in."""
        record = self.record(name)
        return self.pve.accepts(record["token_id"], record["token_secret"])

    def look_at_secrets(self) -> None:
        """Watch for all secrets that PVE knows."""
        for user in self.state.users.values():
            for token in user.tokens.values():
                self.watch(token.secret)

    def is_set_up(self) -> bool:
        """Say whether everything is there, once each, and the operator works."""
        tokens = self.pve.tokens(OPERATOR)
        entries = {(path, who.name, *roles) for path, node in self.state.acl.items() for who, roles in node.items()}
        expected = {("/access/groups/rotated", OPERATOR, "TokenRotator"), ("/vms", CI, "PVEVMUser")}
        return len(tokens) == 1 and entries == expected and self.works("operator")

    def is_fresh(self) -> bool:
        """Say whether PVE is as it was after its installation."""
        state = self.state
        users = {name: replace(user, password=None, factors=type(user.factors)()) for name, user in state.users.items()}
        return replace(state, users=users) == State()

    def files(self) -> list[str]:
        """List the names of the files in the folder."""
        return sorted(path.name for path in self.folder.iterdir())


def changing(pve: SimulatedPve) -> list[str]:
    """List the changing calls so far, but for logins."""
    return [
        f"{call.method} {call.path}" for call in pve.calls if call.method != "GET" and call.path != "/access/ticket"
    ]


def fresh(folder: Path, password: str, watch: Callable[[str], None], time: Time, **root: Any) -> Iterator[Lab]:  # noqa: ANN401 - of a user
    """Start a cluster that holds root@pam and nothing else."""
    with SimulatedPve(clock=time.stamp) as pve:
        pve.cluster.plant(lambda s: s.with_user(ROOT, replace(s.users[ROOT], password=password, **root)))
        yield Lab(pve, folder, time, password, watch)


def names(results: Sequence[Any], state: str) -> list[str]:
    """List the things that are in a state, without the random part of a token's name."""
    return [it["thing"] for it in results if it["state"] == state]
