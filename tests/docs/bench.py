"""Where a page is followed: a simulated PVE, a folder for ``/etc``, the stores that it uses, and its commands.

What the page calls by a name that exists only elsewhere (``pve1.lan``, ``/etc/rotate``) is put in place of before a
command runs, and back in what it prints. Times, ages, and what chance has drawn are blanked on both sides.
"""

from __future__ import annotations

import difflib
import json
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from click.testing import CliRunner

from rotator.cli.main import rotate
from rotator.testing.pve import SimulatedPve
from tests.cli.lab import Time
from tests.docs import pveum
from tests.docs.pages import Block, Command, blocks, commands

OPERATOR = "rotator@pve"
FOLDERS = ("/etc", "/srv", "/var/log")
SECRET = "…"
FINGERPRINT = "AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99"
BLANKS = (
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?Z"), "TIME"),
    (re.compile(r"(?<=\w-\d)-[a-z0-9]{5}\b"), "-RANDOM"),
    (re.compile(r"(?m)^\d\d:\d\d:\d\d "), ""),
    (re.compile(r"(?<= )\d+[smhd](?:\d+[smh])?(?= )"), "AGE"),
    (re.compile(r"(?<=\S) {2,}"), "  "),
)
Seed = Callable[[Mapping[str, Any], Mapping[str, str]], bool]
"""Puts an operator's token where a configuration says that it is, if that is in this store."""


def blanked(text: str) -> list[str]:
    """Return the lines of an output without what differs each time."""
    for pattern, blank in BLANKS:
        text = pattern.sub(blank, text)
    return [line.rstrip() for line in text.strip().splitlines()]


@dataclass
class Bench:
    """One reader of one page."""

    folder: Path
    pve: SimulatedPve
    time: Time
    watch: Callable[[str], None]
    names: dict[str, str] = field(default_factory=dict)
    """What the page calls things, and what they are called here."""
    seeds: list[Seed] = field(default_factory=list)
    operator: dict[str, str] = field(default_factory=dict, repr=False)
    environ: dict[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Put the nodes and the folders in the place of the page's."""
        for number, node in enumerate(self.pve.nodes, 1):
            self.names |= {f"pve{number}.lan:8006": node.endpoint, f"pve{number}.lan": node.endpoint}
        self.names |= {name: str(self.folder / name[1:]) for name in FOLDERS}
        self.path("/etc/rotate").mkdir(parents=True, mode=0o700)
        self.path("/etc/rotate/pve-root-ca.pem").write_bytes(self.pve.ca_pem)
        self.seeds.append(self.in_a_file)

    def path(self, name: str) -> Path:
        """Return where a file of the page is here."""
        return self.folder / name[1:]

    @property
    def config(self) -> Path:
        """The configuration."""
        return self.path("/etc/rotate/rotate.yaml")

    def here(self, text: str) -> str:
        """Put what there is here in the place of the page's names."""
        pattern = "|".join(rf"(?<![\w.-]){re.escape(name)}(?![\w.-])" for name in self.names)
        return re.sub(pattern, lambda found: self.names[found[0]], text)

    def there(self, text: str) -> str:
        """Put the page's names back, and nothing in the place of secrets."""
        for name, here in self.names.items():
            text = text.replace(here, name)  # the first name of a thing is its whole one
        host, _, port = self.pve.nodes[0].endpoint.rpartition(":")
        text = re.sub(rf"\b{re.escape(host)}\b", "pve1.lan", re.sub(rf"\b{port}\b", "8006", text))
        for secret in self.secrets():
            text = text.replace(secret, SECRET)
        return text

    def secrets(self) -> list[str]:
        """List the secrets that PVE knows, and let the canary watch for them."""
        found = [token.secret for user in self.pve.cluster.newest().users.values() for token in user.tokens.values()]
        for secret in found:
            self.watch(secret)
        return found

    def follow(self, page: str) -> list[str]:
        """Do what a page says, from the top; returns what does not come as it says."""
        wrong: list[str] = []
        for block in blocks(page):
            if block.language == "yaml" and re.search(r"^credentials:", block.text, re.MULTILINE):
                self.configure(block.text)
            elif block.language == "console":
                for command in commands(block):
                    wrong += self.type(command)
            elif block.language == "sh":
                wrong += self.shell(block)
        return wrong

    def shell(self, block: Block) -> list[str]:
        """Leave a shell of other programs to whoever has them, and find done what is done there."""
        del block
        return []

    def configure(self, text: str) -> None:
        """Write the configuration, and what it takes to be there."""
        text = self.here(text)
        self.config.write_text(text, encoding="utf-8")
        for path in re.findall(rf"{re.escape(str(self.folder))}/[^\s,}}]+", text):
            Path(path).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.place_operator()

    def place_operator(self) -> None:
        """Put the operator's token where the configuration has it."""
        whole = yaml.safe_load(self.config.read_text(encoding="utf-8"))
        for cluster in whole["clusters"].values():
            known = any(seed({**whole, **cluster["operator"]}, self.operator) for seed in self.seeds)
            assert known, "no operator is put where this configuration has it"

    def in_a_file(self, settings: Mapping[str, Any], operator: Mapping[str, str]) -> bool:
        """Put the operator's token into a file: the record, or its secret alone; or that into a variable."""
        if "env" in settings.get("token_secret", ()):
            self.environ[settings["token_secret"]["env"]] = operator["token_secret"]
            return True
        if "token_secret" in settings:
            path, text = Path(settings["token_secret"]["file"]), operator["token_secret"]
        elif "backend" not in settings:
            path, text = Path(settings["path"]), json.dumps(operator)
        else:
            return False
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8")
        return True

    def set_up(self) -> None:
        """Do what the README tells to do at PVE, up to the operator's token."""
        for block in blocks("README.md"):
            for command in commands(block) if block.language == "console" else ():
                if command.is_root:
                    self.as_root(command.line)
                    if "token add" in command.line:
                        return

    def type(self, command: Command) -> list[str]:
        """Type a command; returns what does not come as the page says: exit code and, where it shows one, output."""
        self.time.pass_by(seconds=command.later.total_seconds())
        if command.is_root:
            self.as_root(command.line)
            return []
        said, exit_code = self.run(shlex.split(self.here(command.line)))
        got, shown = blanked(self.there(said)), blanked("\n".join(command.shown))
        if (exit_code == command.exit_code) and (got == shown or not shown):
            return []
        differences = difflib.unified_diff(shown, got, "the page", "what is printed", lineterm="", n=99)
        return [f"{command.place}: {command.line}: exit code {exit_code}", *(differences if shown else got)]

    def run(self, words: list[str]) -> tuple[str, int]:
        """Run a command that is not root's; returns what it prints, and its exit code."""
        match words:
            case ["rotate", *arguments]:
                env = {"ROTATE_CONFIG": str(self.config), "COLUMNS": "160", **self.environ}
                result = CliRunner(env=env).invoke(rotate, arguments, obj=self.time)
                self.secrets()
                return result.stdout or result.stderr, result.exit_code
            case ["cat", path]:
                is_there = Path(path).is_file()
                return (Path(path).read_text(encoding="utf-8"), 0) if is_there else (f"no file {path}", 1)
        raise LookupError(f"this is no console but a shell of another program: {words}")

    def named(self, line: str) -> str:
        """Put the token of ours that is there in the place of one that differs in what chance has drawn."""
        there = {
            one.rpartition("-")[0]: one for user in self.pve.cluster.newest().users for one in self.pve.tokens(user)
        }
        return re.sub(r"\b([\w-]+-\d+)-[a-z0-9]{5}\b", lambda found: there.get(found[1], found[0]), line)

    def as_root(self, line: str) -> None:
        """Type something on a node; whoever makes a token of the operator puts its secret where it belongs."""
        secret = pveum.run(self.pve, self.named(self.here(line)))
        words = shlex.split(line)
        if secret and OPERATOR in words:
            self.watch(secret)
            self.operator |= {"token_id": f"{OPERATOR}!{words[words.index(OPERATOR) + 1]}", "token_secret": secret}
            if self.config.exists():
                self.place_operator()


def configuration() -> str:
    """Return the configuration of the README."""
    return next(block.text for block in blocks("README.md") if "\ncredentials:" in block.text)


def name_as_in_the_readme(bench: Bench) -> None:
    """Put the nodes and their certificate in the place of those that the README names."""
    for number, node in enumerate(bench.pve.nodes, 1):
        name = f"pve{number}.example.net"
        bench.names |= {f"{name}:8006": node.endpoint, name: node.endpoint}
    bench.names[FINGERPRINT] = bench.pve.fingerprint
