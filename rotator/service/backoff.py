"""How long to wait after a failure, and when a person is needed. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

_MOST_DOUBLINGS = 40
"""More than any configured limit needs; a duration cannot be doubled for ever."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Twice as long each time: ``first``, 2 ``first``, 4 ``first``, ... and ``most`` from then on."""

    first: timedelta
    most: timedelta

    def after(self, failures: int) -> timedelta:
        """Return how long to wait after so many failures in a row, one or more."""
        return min(self._unlimited(failures), self.most)

    def is_spent(self, failures: int) -> bool:
        """Say whether waiting longer is not going to help: somebody has to look."""
        return failures > 0 and self._unlimited(failures) >= self.most

    def _unlimited(self, failures: int) -> timedelta:
        return self.first * (1 << min(failures - 1, _MOST_DOUBLINGS))
