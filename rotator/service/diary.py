"""What a service writes down: each rotation, and what has changed about configuration, clusters and leadership."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from rotator.events import Event
from rotator.fleet import OPERATOR_UNUSABLE
from rotator.logs.rotations import Line, Rotations
from rotator.rotate import CLUSTER_UNREACHABLE
from rotator.service.board import Change
from rotator.service.standing import (
    ClusterStanding,
    ConfigurationStanding,
    CredentialStanding,
    LeadershipStanding,
    Standing,
    State,
)

OF_THE_CLUSTER = frozenset({CLUSTER_UNREACHABLE, OPERATOR_UNUSABLE})
"""Reasons that are told once for the cluster; for each of its credentials only among the details."""
UNWELL = frozenset({State.FAILING, State.NEEDS_ATTENTION, State.LOCKED_OUT})


class Diary:
    """Tells lines. ``hear`` is a listener, ``see`` a watcher of the board."""

    def __init__(self, tell: Callable[[Line], None]) -> None:
        self._tell = tell
        self._rotations = Rotations(tell)
        self.hear: Callable[[Event], None] = self._rotations.hear

    def see(self, change: Change) -> None:
        """Write a change down."""
        before, after = change.before, change.after
        for line in self._lines(change):
            self._tell(line)
        for name in change.credentials:
            self._credential(before.credentials.get(name), after.credentials[name])
        if before.configuration is not after.configuration or is_last_heard(before, after):
            self._rotations.keep({*after.credentials, *after.at_work})

    def _lines(self, change: Change) -> Iterator[Line]:
        before, after = change.before, change.after
        if before.configuration is not after.configuration:
            yield from of_configuration(before.configuration, after.configuration)
        if before.leadership is not after.leadership:
            yield from of_leadership(before.leadership, after.leadership)
        if before.clusters is not after.clusters:
            yield from of_clusters(before.clusters, after.clusters)

    def _credential(self, before: CredentialStanding | None, after: CredentialStanding) -> None:
        if after.last and (before is None or before.last is not after.last):
            result, more = after.last.result, {"state": str(after.state)}
            if after.backoff_until:
                more["retry"] = after.backoff_until.isoformat(timespec="seconds")
            level = "debug" if result.reason in OF_THE_CLUSTER else "error" if after.needs_attention else None
            self._rotations.end(result, level, trigger=str(after.last.trigger), **more)
        if before and before.state in UNWELL and after.state is State.WELL:
            about = {"credential": after.name, "cluster": after.cluster, "before": str(before.state)}
            self._tell(Line("info", "well again", about))


def is_last_heard(before: Standing, after: Standing) -> bool:
    """Say whether the run of somebody has ended who is not configured any more: nothing else tells of its end."""
    return any(name not in after.credentials for name in before.at_work.keys() - after.at_work.keys())


def of_configuration(before: ConfigurationStanding, after: ConfigurationStanding) -> Iterator[Line]:
    """Tell that a configuration was taken up, or refused."""
    if after.refused and after.refused != before.refused:
        problems = [str(problem) for problem in after.problems]
        yield Line("error", "configuration refused", {"path": after.path, "message": after.message, "all": problems})
    elif after.loaded != before.loaded or after.digest != before.digest:
        yield Line("info", "configuration taken up", {"path": after.path, "digest": after.digest})


def of_leadership(before: LeadershipStanding, after: LeadershipStanding) -> Iterator[Line]:
    """Tell who works, where that has changed."""
    if after.message and after.message != before.message:
        yield Line("warning", "who leads is not known", {"message": after.message})
    if (after.leads, after.holder) != (before.leads, before.holder):
        about = {"holder": after.holder, "identity": after.identity}
        yield Line("info", "leading" if after.leads else "standing by", about)


def of_clusters(before: Mapping[str, ClusterStanding], after: Mapping[str, ClusterStanding]) -> Iterator[Line]:
    """Tell which clusters are lost, and which are there again."""
    for name, cluster in after.items():
        was = before.get(name)
        if cluster.reason and (was is None or cluster.reason != was.reason):
            about: dict[str, Any] = {"cluster": name, "reason": cluster.reason, "message": cluster.message}
            yield Line("warning", "cluster lost", about | {"hint": cluster.hint})
        elif was and was.reason and not cluster.reason and cluster.is_reachable:
            yield Line("info", "cluster there again", {"cluster": name})
