"""Simulated clusters, a configuration in a folder, and the command line: in this process, or as one of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from click.testing import CliRunner, Result

from rotator.cli.main import rotate
from rotator.testing.pve import SimulatedPve
from tests.cli.shape import check_shape

SECRET_VARIABLE = "ROTATE_TEST_OPERATOR"
START = datetime(2026, 5, 9, 7, 30, tzinfo=UTC)
OPERATOR = "op@pve!rot"
USER = "svc@pve"


class Time:
    """A clock for us and for PVE; sleeping makes it later, and does whatever a test wants to happen meanwhile."""

    def __init__(self) -> None:
        self.passed = 0.0
        self.slept: list[float] = []
        self.meanwhile: Callable[[], None] | None = None

    def now(self) -> datetime:
        """Tell the time."""
        return START + timedelta(seconds=self.passed)

    def monotonic(self) -> float:
        """Tell the seconds since the start."""
        return self.passed

    def stamp(self) -> float:
        """Tell the time in seconds since 1970."""
        return self.now().timestamp()

    def sleep(self, seconds: float) -> None:
        """Make it later."""
        self.slept.append(seconds)
        self.passed += seconds
        if self.meanwhile:
            self.meanwhile()

    def pass_by(self, **amount: float) -> None:
        """Make it later from outside."""
        self.passed += timedelta(**amount).total_seconds()


@dataclass
class Lab:
    """Clusters with an operator that may do everything and a user whose tokens are rotated."""

    folder: Path
    time: Time
    watch: Callable[[str], None]
    clusters: dict[str, SimulatedPve] = field(default_factory=dict)
    operators: dict[str, Any] = field(default_factory=dict)
    credentials: list[dict[str, Any]] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)
    environ: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def pve(self) -> SimulatedPve:
        """The cluster called one."""
        return self.clusters["one"]

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.folder / "rotate.yaml"

    def add_cluster(self, name: str, *, nodes: int = 1) -> SimulatedPve:
        """Start a cluster, with an operator whose secret is in the environment."""
        pve = SimulatedPve(nodes=nodes, clock=self.time.stamp)
        pve.add_user("op@pve")
        pve.grant("/", "Administrator", user="op@pve")
        pve.add_user(USER)
        pve.grant("/vms", "PVEVMUser", user=USER)
        secret = pve.add_token("op@pve", "rot", privsep=False)
        self.watch(secret)
        variable = f"{SECRET_VARIABLE}_{name.upper()}"
        self.environ[variable] = secret
        self.operators[name] = {"token_id": OPERATOR, "token_secret": {"env": variable}}
        pve.start()
        self.clusters[name] = pve
        return pve

    def add(self, name: str, **settings: Any) -> Path:  # noqa: ANN401 - any key of a credential
        """Configure a credential and return the file that its record goes to."""
        path = self.folder / f"{name}.json"
        usual = {"cluster": "one", "user": USER, "privsep": False, "destination": {"path": str(path)}}
        self.credentials.append({"name": name, **usual, **settings})
        self.write()
        return path

    def write(self) -> None:
        """Write the configuration."""
        clusters = {
            name: {
                "endpoints": [node.endpoint for node in pve.nodes],
                "tls": {"fingerprint": pve.fingerprint},
                "operator": self.operators[name],
            }
            for name, pve in self.clusters.items()
        }
        whole = {"version": 1, "owner": "lab", "clusters": clusters, "credentials": self.credentials, **self.extra}
        self.config.write_text(yaml.safe_dump(whole, sort_keys=False), encoding="utf-8")

    def call(self, *arguments: str, stdin: str | None = None, env: Mapping[str, str] | None = None) -> Result:
        """Run a command in this process, by this clock."""
        given = {"ROTATE_CONFIG": str(self.config), **self.environ, **(env or {})}
        result = CliRunner(env=given).invoke(rotate, list(arguments), obj=self.time, input=stdin)
        self.look_at_secrets()
        return result

    def json(self, *arguments: str) -> Any:  # noqa: ANN401 - JSON
        """Run a command with --json in this process and return what it printed, once its shape is found right."""
        result = self.call(*arguments, "--json")
        found = json.loads(result.stdout)
        assert found["exit_code"] == result.exit_code
        variant = " --verify" if "--verify" in arguments else ""
        check_shape(found["command"] + variant, result.stdout, is_dry="--dry-run" in arguments)
        return found

    def process(self, *arguments: str, **settings: Any) -> subprocess.Popen[str]:  # noqa: ANN401 - Popen's
        """Start a command as a process of its own."""
        given = {**os.environ, "ROTATE_CONFIG": str(self.config), **self.environ, "COLUMNS": "200"}
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
        command = [sys.executable, "-m", "rotator.cli.main", *arguments]
        return subprocess.Popen(command, env=given, text=True, **{**pipes, **settings})  # noqa: S603 - our own command

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Run a command as a process of its own: exit code, stdout, stderr."""
        with self.process(*arguments) as process:
            out, err = process.communicate(timeout=60)
        self.look_at_secrets()
        return process.returncode, out, err

    def record(self, name: str) -> dict[str, str]:
        """Read what consumers read."""
        found = json.loads((self.folder / f"{name}.json").read_text(encoding="utf-8"))
        self.watch(found["token_secret"])
        return dict(found)

    def plant(self, name: str, token: str, secret: str) -> None:
        """Put a token into a record, as somebody else would."""
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps({"token_id": token, "token_secret": secret}), encoding="utf-8")
        path.chmod(0o600)

    def look_at_secrets(self) -> None:
        """Watch for the secrets of all records."""
        for credential in self.credentials:
            if (self.folder / f"{credential['name']}.json").exists():
                self.record(credential["name"])

    def works(self, name: str) -> bool:
        """Say whether consumers of the record can log in."""
        record = self.record(name)
        return any(pve.accepts(record["token_id"], record["token_secret"]) for pve in self.clusters.values())

    def tokens(self, cluster: str = "one") -> list[str]:
        """List the names of the user's tokens without their random part."""
        return [name.rpartition("-")[0] or name for name in self.clusters[cluster].tokens(USER)]

    def ends_after(self, token: str, **amount: float) -> bool:
        """Say whether PVE ends a token so long after the start, give or take the whole seconds of its clock."""
        shown = self.pve.token(token) or {}
        return 0 <= int(str(shown["expire"])) - (START + timedelta(**amount)).timestamp() <= 1

    def lists(self) -> int:
        """Count the calls that list all users of a cluster."""
        return sum(call.path == "/access/users" for pve in self.clusters.values() for call in pve.calls)

    def forget_calls(self) -> None:
        """Count from here on."""
        for pve in self.clusters.values():
            pve.calls.clear()


def only(found: Sequence[Any]) -> Any:  # noqa: ANN401 - of any sequence
    """Return the one item."""
    (item,) = found
    return item
