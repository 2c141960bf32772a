"""Who works when several instances run. It saves work and nothing else: safety never depends on it."""

from __future__ import annotations

from typing import Protocol

from rotator.service.standing import LeadershipStanding


class Leader(Protocol):
    """Says whether this instance works. Used from several threads."""

    def leads(self) -> bool:
        """Say whether new work may begin here; quick, and contacts nobody."""
        ...

    def standing(self) -> LeadershipStanding:
        """Tell who works, for people."""
        ...

    def close(self) -> None:
        """Step down, so that another one need not wait. Repeat: nothing happens."""
        ...


class Everybody:
    """No leader: whoever runs, works."""

    def leads(self) -> bool:
        """Say yes."""
        return True

    def standing(self) -> LeadershipStanding:
        """Tell that nobody is asked."""
        return LeadershipStanding()

    def close(self) -> None:
        """Do nothing."""
