"""APScheduler, driven by its owner: what is due is begun when it is told to go on. The only module that knows it.

What it does for us: a job for each cluster, woken at its time on the axis (``axis``); what was missed is coalesced and
comes however late; no job runs twice at once; rounds run in its pool of threads. What we leave: its own thread, because
the owner's loop waits for signals too, and its triggers, because the next round is not known before this one ends.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_EXECUTED
from apscheduler.executors.base import BaseExecutor as Executor
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.base import BaseScheduler
from apscheduler.triggers.base import BaseTrigger

from rotator.service.axis import Axis

__all__ = ["FOREVER", "LATEST", "Executor", "Next", "Scheduler", "in_threads"]

LATEST = timedelta(hours=1)
"""After a round began, the next begins at the latest then, should the end of that one be lost."""
FOREVER = float("inf")

logging.getLogger("apscheduler").setLevel(logging.ERROR)  # at INFO it tells of each round; Board and events tell more


class Next(BaseTrigger):  # type: ignore[misc] # APScheduler has no types
    """Comes when the roster says; at the latest some time after it came last."""

    def __init__(self, ask: Callable[[], datetime | None]) -> None:
        self._ask = ask

    def get_next_fire_time(self, _previous: datetime | None, now: datetime) -> datetime:
        """Return a time after now."""
        wanted = self._ask()
        return now + LATEST if wanted is None or wanted <= now else wanted


class Scheduler(BaseScheduler):  # type: ignore[misc] # APScheduler has no types
    """Wakes jobs by their names. ``ring`` is called when it should be told to go on sooner than it said."""

    def __init__(self, axis: Axis, ring: Callable[[], None], executor: Executor) -> None:
        self._ring = ring
        self._axis = axis
        defaults = {"coalesce": True, "max_instances": 1}
        super().__init__(timezone=axis.zone, executors={"default": executor}, job_defaults=defaults)

    def go_on(self) -> float:
        """Begin what is due; return how many seconds until something else is."""
        wait = self._process_jobs()
        return FOREVER if wait is None else float(wait)

    def after_each(self, call: Callable[[str], None]) -> None:
        """Call somebody with the name of each job that has ended, when it may come again."""
        self.add_listener(lambda event: call(event.job_id), EVENT_JOB_EXECUTED | EVENT_JOB_ERROR)

    def put(self, name: str, work: Callable[[], None], ask: Callable[[], datetime | None]) -> None:
        """Add a job, to come at once. ``ask`` tells when it should come next. Repeat: replaces it."""
        at, trigger = self._axis.now(), Next(ask)
        self.add_job(
            work, trigger, id=name, name=name, next_run_time=at, misfire_grace_time=None, replace_existing=True
        )

    def move(self, name: str, when: datetime | None) -> None:
        """Let a job come at another time on the axis, if there is such a job."""
        with suppress(JobLookupError):
            self.modify_job(name, next_run_time=when or self._axis.now() + LATEST)

    def take_away(self, name: str) -> None:
        """Let a job never come again."""
        with suppress(JobLookupError):
            self.remove_job(name)

    def wakeup(self) -> None:
        """Say that something has changed; APScheduler calls it."""
        self._ring()

    def shutdown(self, wait: bool = True) -> None:  # noqa: FBT001, FBT002 - APScheduler's
        """Begin nothing more."""
        super().shutdown(wait)


def in_threads(most: int) -> Executor:
    """Make what runs so many rounds at one time."""
    return ThreadPoolExecutor(most)
