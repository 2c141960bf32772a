"""Which endpoint is asked: the one that answered last, then the others."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TypeVar

from rotator.errors import ConfigError, OutcomeUnknownError, RefusedError, UnavailableError, UnreachableError
from rotator.proxmox_tls import TlsTrust
from rotator.proxmox_wire import Endpoint, NotAnsweredError, NotConnectedError

T = TypeVar("T")


class Endpoints:
    """The endpoints of a cluster, in the order in which they are to be asked.

    Threads share it without a lock: the order is replaced as a whole, and a lost change of it costs one try.
    Raises: ``ConfigError`` for what is wrong with an address or the trust.
    """

    def __init__(
        self,
        cluster: str,
        addresses: Sequence[str],
        trust: TlsTrust,
        *,
        connect: timedelta,
        read: timedelta,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        if not addresses:
            raise ConfigError(f"cluster {cluster} has no endpoint")
        self._cluster = cluster
        self._order = tuple(
            Endpoint(each, trust, connect=connect, read=read, monotonic=monotonic) for each in addresses
        )
        self._named = {**dict(zip(addresses, self._order, strict=True)), **{str(each): each for each in self._order}}
        self.addresses = tuple(str(each) for each in self._order)
        self.answered: Endpoint | None = None
        """The one that gave the last answer; None when there is none, or when it has failed since."""

    def at(self, address: str) -> Endpoint:
        """Find one by its address. Raises: ``ConfigError``."""
        if address not in self._named:
            raise ConfigError(f"{address} is not an endpoint of cluster {self._cluster}")
        return self._named[address]

    def first(self, ask: Callable[[Endpoint], T], passable: type[UnavailableError]) -> T:
        """Ask one after the other until one answers; go on only after failures of that kind.

        Raises: what the last one asked has raised; ``UnreachableError``, which names them all, when none answered.
        """
        failures: list[UnavailableError] = []
        for endpoint in self._order:
            try:
                answer = ask(endpoint)
            except (UnavailableError, OutcomeUnknownError) as failure:
                self._put_last(endpoint)
                if not isinstance(failure, passable):
                    raise
                failures.append(failure)
            except RefusedError:
                self._put_first(endpoint)
                raise
            else:
                self._put_first(endpoint)
                return answer
        raise self._nobody(failures)

    def close(self) -> None:
        """Let go of connections. Repeat: nothing happens."""
        for endpoint in self._order:
            endpoint.close()

    def _put_first(self, endpoint: Endpoint) -> None:
        self.answered = endpoint
        if self._order[0] is not endpoint:
            self._order = (endpoint, *(each for each in self._order if each is not endpoint))

    def _put_last(self, endpoint: Endpoint) -> None:
        self._order = (*(each for each in self._order if each is not endpoint), endpoint)
        if self.answered is endpoint:
            self.answered = None

    def _nobody(self, failures: Sequence[UnavailableError]) -> UnavailableError:
        """Say it in one error; only where nobody answered at all is the rest of the cluster's work given up."""
        every = "; ".join(str(failure) for failure in failures)
        message = every if len(failures) == 1 else f"no endpoint of cluster {self._cluster} answers: {every}"
        silent = all(isinstance(failure, (NotConnectedError, NotAnsweredError)) for failure in failures)
        return (UnreachableError if silent else UnavailableError)(message, hint=failures[0].hint)
