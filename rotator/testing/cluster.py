"""The memory that the nodes of a simulated cluster share: one state, what each node has seen of it, one lock.

A node can be behind in two ways. With ``lag`` it sees what another node wrote only after so many seconds (a real
cluster is immediate, measured). Without quorum it stays at what it had seen, and its writes fail; on rejoining it
catches up (measured: after about 3 s; here at once).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import RLock

from rotator.testing.refusal import died
from rotator.testing.state import USER_CFG_LIMIT, State

Edit = Callable[[State], State]


@dataclass(frozen=True, slots=True)
class _Commit:
    number: int
    at: float
    node: int | None
    """Who wrote it; None for a change from outside, which every node sees at once."""
    state: State


class Cluster:
    """States of a cluster in the order of their writing. Every method is atomic."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.lock = RLock()
        self.lag = 0.0
        self._clock = clock
        self._commits = [_Commit(0, clock(), None, State())]
        self._known: dict[int, _Commit] = {}
        self._cut_off: dict[int, State] = {}

    def view(self, node: int) -> State:
        """Return the newest state that a node knows; what it once knew it does not forget, however large the lag."""
        with self.lock:
            if node in self._cut_off:
                return self._cut_off[node]
            seen = self._clock() - self.lag
            visible = (commit for commit in reversed(self._commits) if self._is_seen(commit, node, seen))
            known = next(visible, self._commits[0])
            if known.number >= self._known.get(node, known).number:
                self._known[node] = known
            return self._known[node].state

    def newest(self) -> State:
        """Return the state as the majority has it."""
        with self.lock:
            return self._commits[-1].state

    def write(self, node: int, edit: Edit) -> None:
        """Make a change at one node, of the cluster's newest state; all of it or nothing.

        Raises: ``RefusalError`` without quorum, when user.cfg would get too large, or from the edit itself.
        """
        with self.lock:
            if node in self._cut_off:
                raise died("cfs-lock 'file-user_cfg' error: no quorum!")
            state = edit(self._commits[-1].state)
            if state.size() > USER_CFG_LIMIT:
                raise died("unable to write '/etc/pve/user.cfg.tmp' - File too large")
            self._commit(node, state)

    def plant(self, edit: Edit) -> None:
        """Make a change from outside, known to every node with quorum at once."""
        with self.lock:
            self._commit(None, edit(self._commits[-1].state))

    def cut_off(self, node: int) -> None:
        """Take quorum from a node. Repeat: nothing happens."""
        with self.lock:
            self._cut_off.setdefault(node, self.view(node))

    def rejoin(self, node: int) -> None:
        """Give quorum back to a node. Repeat: nothing happens."""
        with self.lock:
            self._cut_off.pop(node, None)

    def is_quorate(self, node: int) -> bool:
        """Say whether a node has quorum."""
        return node not in self._cut_off

    def _commit(self, node: int | None, state: State) -> None:
        seen = self._clock() - self.lag
        old = max((at for at, commit in enumerate(self._commits) if commit.at <= seen), default=0)
        self._commits = [*self._commits[old:], _Commit(self._commits[-1].number + 1, self._clock(), node, state)]

    @staticmethod
    def _is_seen(commit: _Commit, node: int, seen: float) -> bool:
        return commit.node in (None, node) or commit.at <= seen
