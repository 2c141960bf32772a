"""A process that dies before one call to the outside, which leaves the same behind as dying after the call before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from rotator.act import Ports
from rotator.backend import Backend
from rotator.pve import Pve
from tests.world import World

PVE_CALLS = {"users", "tokens", "token_on", "issue", "update", "regenerate", "revoke", "grants", "grant", "role"}
CONSUMER_CALLS = {"login", "permissions", "get"}
STORE_CALLS = {"read", "write", "preflight"}
CALLS = PVE_CALLS | CONSUMER_CALLS | STORE_CALLS | {"permissions_of", "own_permissions"}


class Killed(BaseException):
    """The process is gone: nothing of ours catches it, nothing is cleaned up."""


@dataclass
class Reaper:
    """Counts all calls to the outside and kills at one of them; at 0 it only counts."""

    at: int = 0
    calls: list[str] = field(default_factory=list)

    def guard(self, name: str, call: Callable[[], Any]) -> Any:  # noqa: ANN401 - what the call returns
        """Do a call, or die at it."""
        self.calls.append(name)
        if len(self.calls) == self.at:
            raise Killed
        return call()


class Mortal:
    """Something outside, whose every call may be the last."""

    def __init__(self, inner: Any, reaper: Reaper) -> None:  # noqa: ANN401 - a cluster, a consumer or a backend
        self._inner = inner
        self._reaper = reaper

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - what the inner one has
        found = getattr(self._inner, name)
        if name == "consumer":
            return lambda token: Mortal(found(token), self._reaper)
        if name not in CALLS:
            return found
        return lambda *args, **kwargs: self._reaper.guard(name, lambda: found(*args, **kwargs))


def mortal(world: World, reaper: Reaper) -> Ports:
    """Give an executor ports that may kill it."""
    backends = {name: cast("Backend", Mortal(it, reaper)) for name, it in world.backends.items()}
    return world.ports(cast("Pve", Mortal(world.cluster, reaper)), backends)
