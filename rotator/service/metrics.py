"""The metrics that there are: each declared once, with what it tells. ``METRICS.md`` beside the package lists them.

Times are Unix times, in seconds, as everywhere in Prometheus; those that a token has are PVE's. Labels are bounded by
the configuration and by the words of the product; what people write freely, and what is secret, is in none.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """How a metric moves."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric."""

    name: str
    help: str
    labels: tuple[str, ...] = ()
    kind: Kind = Kind.GAUGE


ONE = ("credential", "cluster")
"""The labels of what is about one credential."""

ISSUED = Metric("rotate_token_issued_timestamp_seconds", "When the published token was issued, if we made it.", ONE)
AGE = Metric("rotate_token_age_seconds", "How old the published token is, if we made it.", ONE)
EXPIRE = Metric(
    "rotate_token_expire_timestamp_seconds", "When PVE ends the published token; absent if it does not.", ONE
)
RETIRING = Metric("rotate_retiring_tokens", "Tokens that were replaced and are not revoked yet.", ONE)
RETIRING_EXPIRE = Metric(
    "rotate_retiring_token_expire_timestamp_seconds", "When PVE ends the last of the retiring tokens, if it does.", ONE
)
UNPUBLISHED = Metric(
    "rotate_unpublished_tokens", "Tokens that were issued and not published: one in the making, or orphans.", ONE
)
INTERVAL = Metric("rotate_credential_interval_seconds", "How often it is to be rotated: `every`.", ONE)
STATE = Metric(
    "rotate_credential_state", "1 for the state that it is in; there is no sample for the others.", (*ONE, "state")
)
FAILURES = Metric("rotate_credential_failures", "Failed runs since the last that went well.", ONE)
WELL = Metric(
    "rotate_credential_last_success_timestamp_seconds", "When it was found in order, or brought there, last.", ONE
)
NEXT_RUN = Metric(
    "rotate_credential_next_run_timestamp_seconds", "When it is looked at again at the latest: a look or a retry.", ONE
)
NEXT_CHANGE = Metric(
    "rotate_credential_next_change_timestamp_seconds", "When something will be to do: it is due, an overlap ends.", ONE
)
CREDENTIALS = Metric("rotate_credentials", "Credentials by their state.", ("cluster", "state"))

REACHABLE = Metric(
    "rotate_cluster_reachable", "1 if the cluster answered when it was asked last, else 0.", ("cluster",)
)
ANSWERED = Metric(
    "rotate_cluster_last_answer_timestamp_seconds", "When the cluster answered last, and let us in.", ("cluster",)
)
CLOCK = Metric(
    "rotate_cluster_clock_offset_seconds",
    "How far the cluster's clock was ahead of ours when it answered last; below 0: behind.",
    ("cluster",),
)
OPERATOR_EXPIRE = Metric(
    "rotate_operator_expire_timestamp_seconds",
    "When PVE ends the operator's own token, if it does and the configuration names that token.",
    ("cluster",),
)
BACKEND = Metric(
    "rotate_backend_reachable", "1 if the last read or write in this store did what it should, else 0.", ("backend",)
)

STARTED = Metric("rotate_start_timestamp_seconds", "When the service began.")
LEADER = Metric("rotate_leader", "1 if this instance works, 0 if it stands by.")
CONFIG_VALID = Metric("rotate_config_valid", "1 if the newest configuration is in force, 0 if it was refused.")
CONFIG_LOADED = Metric("rotate_config_loaded_timestamp_seconds", "When the configuration in force was read.")
BUILD = Metric("rotate_build_info", "1, with the version.", ("version",))
RAN = Metric("rotate_run_timestamp_seconds", "When the run ended; of a single run only.")
EXIT_CODE = Metric("rotate_run_exit_code", "How the run ended, as in the shell; of a single run only.")

ROTATIONS = Metric(
    "rotate_rotations_total", "Tokens that were published, by why they were issued.", (*ONE, "reason"), Kind.COUNTER
)
RUNS = Metric(
    "rotate_runs_total",
    "Runs that did something or failed, by how they ended; one run is about one credential.",
    ("cluster", "outcome", "reason"),
    Kind.COUNTER,
)
DECISIONS = Metric(
    "rotate_decisions_total", "What was found at closer looks at credentials.", ("cluster", "reason"), Kind.COUNTER
)
STEPS = Metric("rotate_steps_total", "Steps by how they ended.", ("cluster", "step", "outcome"), Kind.COUNTER)
STEP_FAILURES = Metric(
    "rotate_step_failures_total",
    "Steps that failed, or whose outcome is not known, by why the rotation was begun.",
    ("cluster", "step", "reason"),
    Kind.COUNTER,
)
ORPHANS = Metric("rotate_orphans_total", "Orphans that were found and revoked.", ("cluster",), Kind.COUNTER)
LOST = Metric(
    "rotate_notifications_lost_total", "Notifications that a channel did not get; the log says which.", (), Kind.COUNTER
)
DURATION = Metric("rotate_step_duration_seconds", "How long steps took, failed ones too.", ("step",), Kind.HISTOGRAM)
BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Seconds: a call to PVE takes 12 ms, and PVE gives up after 30 s."""

OF_CREDENTIALS = (
    *(ISSUED, AGE, EXPIRE, RETIRING, RETIRING_EXPIRE, UNPUBLISHED, INTERVAL),
    *(STATE, FAILURES, WELL, NEXT_RUN, NEXT_CHANGE, CREDENTIALS),
)
OF_CLUSTERS = (REACHABLE, ANSWERED, CLOCK, OPERATOR_EXPIRE, BACKEND)
OF_THE_SERVICE = (STARTED, LEADER, CONFIG_VALID, CONFIG_LOADED, BUILD, RAN, EXIT_CODE)
COUNTED = (ROTATIONS, RUNS, DECISIONS, STEPS, STEP_FAILURES, ORPHANS, LOST, DURATION)
METRICS = (*OF_CREDENTIALS, *OF_CLUSTERS, *OF_THE_SERVICE, *COUNTED)
"""All, in the order of the page."""
