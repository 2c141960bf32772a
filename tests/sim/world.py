"""A simulated PVE with the people that most tests need, and a way to speak to it over real TLS."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import requests

from rotator.testing.pve import SimulatedPve

NOW = 1_800_000_000.0
API = "/api2/json"
PASSWORD = "a password for tests"


@dataclass
class Clock:
    """A clock that stands still until somebody moves it."""

    now: float = NOW

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


@dataclass
class World:
    """A started cluster, its clock, the sleeps it was asked for, and requests to it."""

    pve: SimulatedPve
    clock: Clock
    ca: Path
    watch: Callable[[str], None]
    slept: list[float] = field(default_factory=list)

    def ask(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        form: Mapping[str, object] | None = None,
        *,
        json: object = None,
        body: str | bytes | None = None,
        node: int = 0,
    ) -> requests.Response:
        """Send one request on a fresh connection; ``path`` is relative to the API unless it begins with /api2."""
        url = self.pve.nodes[node].url + (path if path.startswith("/api2") else API + path)
        with requests.Session() as session:
            session.trust_env = False
            data = form if body is None else body
            return session.request(method, url, headers=headers, data=data, json=json, verify=str(self.ca), timeout=10)

    def token(self, userid: str, name: str = "t1", **options: bool | int | str) -> dict[str, str]:
        """Make a token and return the header that shows it."""
        secret = self.pve.add_token(userid, name, **options)  # type: ignore[arg-type]  # checked where it is defined
        self.watch(secret)
        return shown(f"{userid}!{name}", secret)

    def ticket(self, userid: str, *, node: int = 0) -> dict[str, str]:
        """Log in and return the headers that show the ticket."""
        data = self.ask("POST", "/access/ticket", form={"username": userid, "password": PASSWORD}, node=node).json()[
            "data"
        ]
        return with_ticket(data)

    @property
    def admin(self) -> dict[str, str]:
        """Log in as the Administrator."""
        return self.ticket("admin@pve")

    def create(self, headers: Mapping[str, str], name: str, **form: object) -> requests.Response:
        """Create a token of svc@pve."""
        return self.ask("POST", f"/access/users/svc@pve/token/{name}", headers, form)


def shown(full_id: str, secret: str) -> dict[str, str]:
    """Return the header that shows a token."""
    return {"Authorization": f"PVEAPIToken={full_id}={secret}"}


def with_ticket(data: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of a login."""
    return {
        "Cookie": f"PVEAuthCookie={quote(data['ticket'], safe='')}",
        "CSRFPreventionToken": data["CSRFPreventionToken"],
    }
