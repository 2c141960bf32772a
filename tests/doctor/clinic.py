"""A configuration that is well, on a simulated PVE over TLS, and what doctor says of it once a test has harmed it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from rotator.marker import Marker
from rotator.testing.pve import SimulatedPve
from tests.cli.lab import USER, Lab, Time
from tests.cli.shape import check_shape

GROUP = "rotated"
OPERATOR = "rotator@pve"
PASSWORD = "the password of a person"


class Clinic(Lab):
    """The operator may manage the members of one group, see the ACL and its own quorum, and nothing else."""

    @classmethod
    @contextmanager
    def opened(cls, folder: Path, watch: Callable[[str], None], *, nodes: int = 1) -> Iterator[Clinic]:
        """Start the cluster, and take it down."""
        made = cls(folder, Time(), watch)
        watch(PASSWORD)
        made.add_cluster("one", nodes=nodes)
        try:
            yield made
        finally:
            made.pve.close()

    def add_cluster(self, name: str, *, nodes: int = 1) -> SimulatedPve:
        """Start a cluster, with an operator whose secret is in the environment."""
        pve = SimulatedPve(nodes=nodes, clock=self.time.stamp, refusal_delay=3.0, sleep=self.time.slept.append)
        pve.add_group(GROUP)
        pve.add_role("TokenRotator", ["User.Modify"])
        pve.add_role("Looker", ["Sys.Audit"])
        pve.add_user(OPERATOR)
        pve.add_user(USER, groups=[GROUP])
        pve.grant(f"/access/groups/{GROUP}", "TokenRotator", user=OPERATOR)
        pve.grant("/", "Looker", user=OPERATOR)
        pve.grant("/vms", "PVEVMUser", user=USER)
        secret = pve.add_token(OPERATOR, "op", privsep=False)
        self.watch(secret)
        self.environ["ROTATE_TEST_OPERATOR"] = secret
        self.operators[name] = {"token_id": f"{OPERATOR}!op", "token_secret": {"env": "ROTATE_TEST_OPERATOR"}}
        pve.start()
        self.clusters[name] = pve
        return pve

    def heal(self, **settings: Any) -> None:  # noqa: ANN401 - any key of a credential
        """Configure the credential, and leave behind what a rotation leaves."""
        self.add("ci", **settings)
        marker = Marker("lab", "ci", "planted", self.time.now(), published=True)
        secret = self.pve.add_token(USER, "ci-1-abcde", privsep=False, comment=marker.comment())
        self.plant("ci", f"{USER}!ci-1-abcde", secret)

    def look_at_secrets(self) -> None:
        """Watch for the secrets of all tokens that there are; a record may be harmed."""
        for user in self.pve.cluster.newest().users.values():
            for token in user.tokens.values():
                self.watch(token.secret)

    @property
    def current(self) -> str:
        """The full id of the published token."""
        return self.record("ci")["token_id"]

    def change_token(self, **settings: Any) -> None:  # noqa: ANN401 - any field of a token
        """Change the published token at PVE, as somebody would by hand."""
        name = self.current.rpartition("!")[2]
        self.pve.cluster.plant(
            lambda now: now.with_token(USER, name, replace(now.users[USER].tokens[name], **settings))
        )

    def change_user(self, userid: str = USER, **settings: Any) -> None:  # noqa: ANN401 - any field of a user
        """Change a user at PVE."""
        self.pve.cluster.plant(lambda now: now.with_user(userid, replace(now.users[userid], **settings)))

    def doctor(self, *arguments: str, stdin: str | None = None) -> list[dict[str, Any]]:
        """Run doctor with --json and return what it says; its shape is checked."""
        result = self.call("doctor", *arguments, "--json", stdin=stdin)
        assert result.stdout, result.output
        document = json.loads(result.stdout)
        assert document["exit_code"] == result.exit_code
        assert document["errors"] == [], document["errors"]
        check_shape("doctor", result.stdout, is_dry=False)
        return list(document["results"])

    def codes(self, *arguments: str, stdin: str | None = None) -> list[str]:
        """Return all causes that doctor names, as ``kind: code``."""
        return codes_of(self.doctor(*arguments, stdin=stdin))

    def request(self, shown: str, url: str = "", *, method: str = "GET") -> list[str]:
        """Return the causes that doctor names for what a consumer shows."""
        where = ["--url", url] if url else []
        return self.codes("--header", "-", *where, "--method", method, stdin=shown)

    def refused(self) -> int:
        """Count the refused logins that PVE has met."""
        return sum(call.status == 401 for call in self.pve.calls)


def codes_of(results: Sequence[dict[str, Any]]) -> list[str]:
    """Return all causes that were named."""
    return [f"{it['kind']}: {finding['code']}" for it in results for finding in it["findings"]]
