"""A cluster, and a user whose token the command line publishes for a consumer that is then run for real."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from click.testing import CliRunner

from rotator.cli.main import rotate
from rotator.marker import Name
from rotator.testing.pve import SimulatedPve

USER = "consumer@pve"
OPERATOR = "rotator@pve"
NAME = "consumer"
SHELL = "/bin/sh"


@dataclass
class Lab:
    """A cluster over TLS, an operator, and a folder for the configuration and the records."""

    folder: Path
    pve: SimulatedPve
    watch: Callable[[str], None]
    ca: Path = field(init=False)

    def __post_init__(self) -> None:
        """Give everybody the rights that the documentation tells to give."""
        self.ca = self.folder / "ca.pem"
        self.ca.write_bytes(self.pve.ca_pem)
        pve = self.pve
        pve.add_group("rotated")
        pve.add_user(USER, groups=("rotated",))
        pve.grant("/", "PVEAuditor", user=USER)
        pve.add_role("TokenRotator", ["User.Modify"])
        pve.add_user(OPERATOR)
        pve.grant("/access/groups/rotated", "TokenRotator", user=OPERATOR)
        secret = self.folder / "operator.secret"
        secret.write_text(pve.add_token(OPERATOR, "operator", privsep=False))
        secret.chmod(0o600)

    @property
    def host(self) -> str:
        """Where the cluster is reached: ``host:port``."""
        return self.pve.nodes[0].endpoint

    def publish(self, file: str, *, tls: Mapping[str, Any] | None = None, **settings: Any) -> Path:  # noqa: ANN401 - of a destination
        """Configure the file as the only destination of the token and issue one; returns where it is."""
        path = self.folder / file
        path.parent.mkdir(mode=0o700, exist_ok=True)
        reference = {"token_id": f"{OPERATOR}!operator", "token_secret": {"file": str(self.folder / "operator.secret")}}
        cluster = {"endpoints": [self.host], "tls": tls or {"ca": str(self.ca)}, "operator": reference}
        credential = {"name": NAME, "cluster": "home", "user": USER, "privsep": False, "overlap": "1h"}
        credential["destination"] = {"path": str(path), **settings}
        whole = {"version": 1, "owner": "lab", "clusters": {"home": cluster}, "credentials": [credential]}
        (self.folder / "rotate.yaml").write_text(yaml.safe_dump(whole, sort_keys=False))
        self.rotate()
        return path

    def rotate(self) -> None:
        """Issue the next token."""
        arguments = ["now", NAME, "--config", str(self.folder / "rotate.yaml")]
        result = CliRunner().invoke(rotate, arguments)
        for user in self.pve.cluster.newest().users.values():
            for token in user.tokens.values():
                self.watch(token.secret)
        assert result.exit_code == 0, result.output
        self.pve.calls.clear()

    def token(self) -> str:
        """Tell the id of the token that is published: the newest."""
        names = [name for name in map(Name.parse, self.pve.tokens(USER)) if name]
        return f"{USER}!{max(names, key=lambda name: name.serial)}"

    def callers(self) -> dict[str, set[int]]:
        """Tell who has asked the cluster since the last time, and with what success."""
        found: dict[str, set[int]] = defaultdict(set)
        for call in self.pve.calls:
            found[call.who].add(call.status)
        self.pve.calls.clear()
        return dict(found)


def sourcing(path: Path, *command: str) -> list[str]:
    """Make a command that runs in the environment that a shell reads from a file."""
    return [SHELL, "-c", 'set -a; . "$0"; exec "$@"', str(path), *command]
