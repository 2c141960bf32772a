"""A fleet split among several instances by cluster, with nobody to ask: rendezvous hashing. Pure.

Every cluster belongs to the shard whose number, hashed with its name, is the highest. So each has exactly one, and when
a shard is added only those clusters move that go to the new one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from rotator.faults import InvalidValueError
from rotator.model import Credential

_ADVICE = "write I/N with I from 0 to N-1, for example 0/3"
_NUMBER = re.compile(r"[0-9]{1,6}")


@dataclass(frozen=True, slots=True)
class Shard:
    """One of ``count`` shares of a fleet, counted from 0; the only one unless said otherwise."""

    index: int = 0
    count: int = 1

    @classmethod
    def parse(cls, text: str, *, index: str = "") -> Shard:
        """Read ``I/N``, or ``N`` where the index is known otherwise. Raises: ``InvalidValueError``."""
        first, slash, last = text.partition("/")
        spelled = (first, last) if slash else (index, first)
        if not all(map(_NUMBER.fullmatch, spelled)):
            raise InvalidValueError("not a shard", _ADVICE)
        shard = cls(*map(int, spelled))
        if not 0 <= shard.index < shard.count:
            raise InvalidValueError(f"there is no shard {shard}", _ADVICE)
        return shard

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def holds(self, cluster: str) -> bool:
        """Say whether a cluster belongs to this shard."""
        return self.index == max(range(self.count), key=lambda index: (_weight(index, cluster), index))

    def of(self, credentials: Iterable[Credential]) -> list[Credential]:
        """Return the credentials whose clusters belong to this shard."""
        held: dict[str, bool] = {}
        kept = []
        for credential in credentials:
            if credential.cluster not in held:
                held[credential.cluster] = self.holds(credential.cluster)
            kept += [credential] if held[credential.cluster] else []
        return kept


ALL = Shard()


def _weight(index: int, cluster: str) -> bytes:
    return hashlib.sha256(f"{index}/{cluster}".encode()).digest()
