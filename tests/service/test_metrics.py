"""The metrics agree with the events, with the board, and with the page that lists them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from rotator.errors import RefusedError, UnavailableError
from rotator.events import Event, Outcome, Step
from rotator.model import Request, Stored, Version
from rotator.service.board import Change
from rotator.service.gauges import Metrics, of_tokens
from rotator.service.metrics import METRICS, Kind, Metric
from rotator.service.service import Service
from rotator.service.standing import CredentialStanding, Ended, Role, TokenSight
from rotator.service.tally import Stores
from rotator.settings import ServiceSettings
from tests.repo.tree import read
from tests.service.world import EVERY, OVERLAP, Outage, Shop, Street

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
BOUNDED = {"credential", "cluster", "reason", "step", "backend", "state", "outcome", "version"}


@dataclass(frozen=True)
class Told:
    """What Prometheus would read: each sample's value by its name and labels."""

    values: dict[tuple[str, tuple[tuple[str, str], ...]], float]

    def one(self, name: str, **labels: str) -> float | None:
        """Return the value of one sample, None if there is none."""
        return self.values.get((name, tuple(sorted(labels.items()))))

    def by(self, name: str, *keys: str) -> Counter[tuple[str, ...]]:
        """Return all samples of a name, summed up by some labels."""
        found: Counter[tuple[str, ...]] = Counter()
        for (sample, labels), value in self.values.items():
            if sample == name:
                found[tuple(dict(labels)[key] for key in keys)] += int(value)
        return found


def scraped(metrics: Metrics) -> Told:
    """Read what is told, as Prometheus does."""
    families = text_string_to_metric_families(generate_latest(metrics.registry).decode())
    samples = [sample for family in families for sample in family.samples]
    values = {(it.name, tuple(sorted(it.labels.items()))): it.value for it in samples}
    assert len(values) == len(samples)
    return Told(values)


class Full(Shop):
    """A store that can be full."""

    is_full = False

    def write(self, location: Any, fields: Any, *, expected: Version | None) -> Version:  # noqa: ANN401 - as in the protocol
        """Write, unless it is full."""
        if self.is_full:
            raise RefusedError("memory is full")
        return super().write(location, fields, expected=expected)


class Closed(Shop):
    """A store that can be closed to readers."""

    is_closed = False

    def read(self, location: Any) -> Stored | None:  # noqa: ANN401 - as in the protocol
        """Look, unless it is closed."""
        if self.is_closed:
            raise UnavailableError("memory is closed")
        return super().read(location)


def measured(street: Street) -> tuple[Service, Metrics]:
    """Serve, and measure."""
    metrics = Metrics(street.clock.now)
    street.listeners.append(metrics.hear)
    service = street.serve()
    metrics.watch(service.board)
    return service, metrics


@dataclass(frozen=True)
class Lived:
    """What happened in a while with failures, and what was told of it at its end."""

    street: Street
    told: Told
    runs: list[Ended]
    text: str

    def events(self, *outcomes: Outcome) -> list[Event]:
        """Return the steps that ended so."""
        return [it for it in self.street.events if it.outcome in outcomes]


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Lived:
    """Live through five months of eight credentials; calls fail, one cluster is down for a night."""
    street = Street(tmp_path_factory.mktemp("street"), ("one", "two"), service_settings=ServiceSettings(look=DAY))
    street.guard = Outage(lambda _, number: number % 31 == 30)
    for number in range(8):
        street.add(f"c{number}", street.clusters[number % 2])
    service, metrics = measured(street)
    runs: dict[int, Ended] = {}

    def note(change: Change) -> None:
        runs.update({id(it.last): it.last for it in change.after.credentials.values() if it.last})

    service.board.watch(note)
    street.go_on(service, 3 * EVERY)
    street.down("two")
    street.go_on(service, 12 * HOUR)
    street.down("two", is_down=False)
    street.go_on(service, 2 * EVERY)
    return Lived(street, scraped(metrics), list(runs.values()), generate_latest(metrics.registry).decode())


def test_steps_are_counted_as_they_were_told(lived: Lived) -> None:
    """Each end of a step is in its counter, and each that took time in the histogram, with how long."""
    ended = lived.events(Outcome.DONE, Outcome.FAILED, Outcome.UNKNOWN, Outcome.NOTHING)
    expected = Counter((it.cluster, str(it.step), str(it.outcome)) for it in ended)
    assert lived.told.by("rotate_steps_total", "cluster", "step", "outcome") == expected
    timed = [it for it in ended if it.step not in {Step.DECIDE, Step.OBSERVE}]
    counts = lived.told.by("rotate_step_duration_seconds_count", "step")
    assert counts == Counter((str(it.step),) for it in timed)
    seconds = sum(it.duration.total_seconds() for it in timed)
    sums = [value for (name, _), value in lived.told.values.items() if name == "rotate_step_duration_seconds_sum"]
    assert sum(sums) == pytest.approx(seconds)


def test_failures_and_decisions_are_counted_by_their_reason(lived: Lived) -> None:
    """A decision that stops is no failed step."""
    failed = [it for it in lived.events(Outcome.FAILED, Outcome.UNKNOWN) if it.step is not Step.DECIDE]
    assert len(failed) > 10
    expected = Counter((it.cluster, str(it.step), it.reason) for it in failed)
    assert lived.told.by("rotate_step_failures_total", "cluster", "step", "reason") == expected
    decided = Counter((it.cluster, it.reason) for it in lived.street.events if it.step is Step.DECIDE)
    assert lived.told.by("rotate_decisions_total", "cluster", "reason") == decided


def test_a_rotation_is_a_token_that_was_stored(lived: Lived) -> None:
    """The counter agrees with the store, which knows nothing of events, and with no error more than a failed one."""
    published = Counter((it.credential, it.reason) for it in lived.events(Outcome.DONE) if it.step is Step.PUBLISH)
    assert lived.told.by("rotate_rotations_total", "credential", "reason") == published
    for name, written in lived.street.shop.written.items():
        tokens = {stored.fields["token_id"].reveal() for _, stored in written}
        counted = lived.told.by("rotate_rotations_total", "credential")[name,]
        assert 5 <= counted <= len(tokens)


def test_runs_are_counted_as_the_board_shows_them(lived: Lived) -> None:
    """Those of a cluster that is down too, of which no event tells."""
    expected = Counter((it.result.cluster, it.result.reason) for it in lived.runs)
    assert lived.told.by("rotate_runs_total", "cluster", "reason") == expected
    assert expected["two", "cluster-unreachable"] > 0
    outcomes = lived.told.by("rotate_runs_total", "outcome")
    assert outcomes == Counter((it.result.exit_code.name.lower(),) for it in lived.runs)


def test_every_sample_is_of_a_declared_metric_with_its_labels(lived: Lived) -> None:
    """Nothing is told that the page does not list; no secret and no message is in a label."""
    declared = {it.name: it for it in METRICS}
    for family in text_string_to_metric_families(lived.text):
        name = family.name + ("_total" if family.type == "counter" else "")
        if name.endswith("_created"):
            continue
        assert (family.type, family.documentation) == (str(declared[name].kind), declared[name].help)
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(declared[name].labels)
    for _, stored in (it for written in lived.street.shop.written.values() for it in written):
        assert stored.fields["token_secret"].reveal() not in lived.text


def test_names_and_labels_are_in_order() -> None:
    """Base units, counters that end as Prometheus wants it, and labels that are bounded."""
    names = [it.name for it in METRICS]
    assert len(set(names)) == len(names)
    for metric in METRICS:
        assert metric.name.startswith("rotate_")
        assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER)
        assert set(metric.labels) <= BOUNDED


def test_a_credential_is_told_as_it_stands(tmp_path: Path) -> None:
    """Age, interval, end, last success, next run; before it was looked at only that it is new."""
    street = Street(tmp_path)
    street.add("ci", lifetime=4 * EVERY)
    service, metrics = measured(street)
    one = {"credential": "ci", "cluster": "one"}
    assert scraped(metrics).one("rotate_credential_state", state="new", **one) == 1
    assert scraped(metrics).one("rotate_token_age_seconds", **one) is None
    street.go_on(service, DAY)
    told, stands, now = scraped(metrics), street.stands(service, "ci"), street.clock.now().timestamp()
    issued = told.one("rotate_token_issued_timestamp_seconds", **one)
    assert issued == pytest.approx(now - DAY.total_seconds(), abs=5)
    assert told.one("rotate_token_age_seconds", **one) == pytest.approx(DAY.total_seconds(), abs=5)
    assert told.one("rotate_token_expire_timestamp_seconds", **one) == pytest.approx(
        now + 4 * EVERY.total_seconds() - DAY.total_seconds(), abs=5
    )
    assert told.one("rotate_credential_interval_seconds", **one) == EVERY.total_seconds()
    assert stands.well is not None
    assert stands.next_wake is not None
    assert stands.next_change is not None
    assert told.one("rotate_credential_last_success_timestamp_seconds", **one) == stands.well.timestamp()
    assert told.one("rotate_credential_next_run_timestamp_seconds", **one) == stands.next_wake.timestamp()
    assert told.one("rotate_credential_next_change_timestamp_seconds", **one) == stands.next_change.timestamp()
    assert told.one("rotate_credential_state", state="well", **one) == 1
    assert told.one("rotate_credential_state", state="new", **one) is None
    assert told.by("rotate_credentials", "state")["well",] == 1


def test_a_retiring_token_is_told_with_its_end(tmp_path: Path) -> None:
    """Until it is revoked."""
    street = Street(tmp_path, service_settings=ServiceSettings(look=DAY))
    street.add("ci")
    service, metrics = measured(street)
    street.go_on(service, EVERY + HOUR)
    one = {"credential": "ci", "cluster": "one"}
    told, now = scraped(metrics), street.clock.now().timestamp()
    assert told.one("rotate_retiring_tokens", **one) == 1
    end = told.one("rotate_retiring_token_expire_timestamp_seconds", **one)
    assert end is not None
    assert now < end < now + OVERLAP.total_seconds()
    street.go_on(service, OVERLAP + HOUR)
    assert scraped(metrics).one("rotate_retiring_tokens", **one) == 0
    assert scraped(metrics).one("rotate_retiring_token_expire_timestamp_seconds", **one) is None


def test_of_several_retiring_tokens_one_without_an_end_has_the_last_word(tmp_path: Path) -> None:
    """An end that only some of them have would keep the alert about replaced tokens without one silent."""
    street = Street(tmp_path)
    now = street.clock.now()
    ends = (now + HOUR, None, now + DAY)
    tokens = tuple(TokenSight("svc@pve!ci", Role.RETIRING, now - DAY, end) for end in ends)
    told = {metric.name: value for metric, _, value in of_tokens(standing(tokens), now)}
    assert told["rotate_retiring_tokens"] == len(ends)
    assert "rotate_retiring_token_expire_timestamp_seconds" not in told
    told = {metric.name: value for metric, _, value in of_tokens(standing((tokens[2], tokens[0])), now)}
    assert told["rotate_retiring_token_expire_timestamp_seconds"] == (now + DAY).timestamp()


def standing(tokens: tuple[TokenSight, ...]) -> CredentialStanding:
    """Return how a credential with these tokens stands."""
    return CredentialStanding("ci", "one", EVERY, OVERLAP, tokens=tokens)


def test_an_orphan_is_told_and_counted_when_it_is_revoked(tmp_path: Path) -> None:
    """A token that a rotator left that died before it was published."""
    street = Street(tmp_path)
    shop = street.shop = Full(street.clock)
    street.guard = Outage(lambda label, _: shop.is_full and label.startswith("DELETE"))
    credential = street.add("ci")
    service, metrics = measured(street)
    street.go_on(service, HOUR)
    shop.is_full = True
    service.ask("ci", Request(forced=True), who="test")
    street.go_on(service, timedelta(seconds=30))
    one = {"credential": "ci", "cluster": "one"}
    assert scraped(metrics).one("rotate_credential_failures", **one) == 1
    assert scraped(metrics).one("rotate_backend_reachable", backend="memory") == 0
    assert street.tokens(credential) == ["ci-1", "ci-2"]
    shop.is_full = False
    street.go_on(service, HOUR)
    told = scraped(metrics)
    assert told.one("rotate_orphans_total", cluster="one") == 1
    assert told.one("rotate_credential_failures", **one) == 0
    assert told.one("rotate_backend_reachable", backend="memory") == 1
    assert told.one("rotate_unpublished_tokens", **one) == 0


def test_a_store_that_cannot_be_read_is_told_until_it_can(tmp_path: Path) -> None:
    """No step is tried there: that it is so comes from what was decided."""
    street = Street(tmp_path)
    shop = street.shop = Closed(street.clock)
    street.add("ci")
    service, metrics = measured(street)
    assert scraped(metrics).one("rotate_backend_reachable", backend="memory") is None
    for is_closed in (True, False):
        shop.is_closed = is_closed
        street.go_on(service, HOUR)
        assert scraped(metrics).one("rotate_backend_reachable", backend="memory") == (not is_closed)
    decisions = scraped(metrics).by("rotate_decisions_total", "reason")
    assert decisions["record-unreadable",] > 0


def test_a_lost_race_is_no_fault_of_the_store(tmp_path: Path) -> None:
    """It answered, and rightly: whoever wrote the mirror first has won. What failed by itself stays told."""
    places = (("main:ci", "main"), ("other:ci", "other"))
    street = Street(tmp_path)
    registry = CollectorRegistry()
    stores = Stores(registry, lambda _: places)

    def hear(step: Step, outcome: Outcome, destination: str = "") -> None:
        stores.hear(Event(street.clock.now(), "ci", "one", step, outcome, "due", destination=destination))

    def reachable() -> tuple[float | None, ...]:
        name = "rotate_backend_reachable"
        return tuple(registry.get_sample_value(name, {"backend": backend}) for _, backend in places)

    hear(Step.MIRROR, Outcome.FAILED, "other:ci")
    assert reachable() == (None, 0)
    hear(Step.OBSERVE, Outcome.NOTHING)
    assert reachable() == (None, 1)
    hear(Step.MIRROR, Outcome.FAILED, "other:ci")
    hear(Step.DECIDE, Outcome.DONE)
    hear(Step.OBSERVE, Outcome.NOTHING)
    assert reachable() == (1, 0)
    hear(Step.PUBLISH, Outcome.STARTED, "main:ci")
    hear(Step.PUBLISH, Outcome.FAILED, "main:ci")
    assert reachable() == (0, 0)
    hear(Step.REVOKE, Outcome.DONE)
    hear(Step.OBSERVE, Outcome.NOTHING)
    assert reachable() == (1, 0)


def test_what_is_not_configured_any_more_is_not_told_any_more(tmp_path: Path) -> None:
    """A fleet whose credentials come and go would let the metrics grow for ever."""
    street = Street(tmp_path, ("one", "two"))
    street.add("stays")
    street.add("goes")
    street.add("goes-too", "two")
    service, metrics = measured(street)
    street.go_on(service, HOUR)
    rotated = scraped(metrics).by("rotate_rotations_total", "credential")
    assert rotated == Counter({("stays",): 1, ("goes",): 1, ("goes-too",): 1})
    street.credentials = street.credentials[:1]
    street.touch()
    street.go_on(service, HOUR)
    text = generate_latest(metrics.registry).decode()
    assert 'credential="stays"' in text
    assert 'cluster="one"' in text
    assert "goes" not in text
    assert "two" not in text


def test_a_cluster_that_does_not_answer_is_told(tmp_path: Path) -> None:
    """And when it did last; before it was asked nothing is told of it."""
    street = Street(tmp_path)
    street.add("ci")
    service, metrics = measured(street)
    assert scraped(metrics).one("rotate_cluster_reachable", cluster="one") is None
    street.go_on(service, HOUR)
    assert scraped(metrics).one("rotate_cluster_reachable", cluster="one") == 1
    before = scraped(metrics).one("rotate_cluster_last_answer_timestamp_seconds", cluster="one")
    street.down()
    street.go_on(service, HOUR)
    assert scraped(metrics).one("rotate_cluster_reachable", cluster="one") == 0
    assert scraped(metrics).one("rotate_cluster_last_answer_timestamp_seconds", cluster="one") == before
    states = scraped(metrics).by("rotate_credentials", "cluster", "state")
    assert states == Counter({("one", "failing"): 1})


@pytest.mark.parametrize("ahead", [300, 0, -300])
def test_a_cluster_whose_clock_differs_from_ours_is_told(tmp_path: Path, ahead: int) -> None:
    """By how much, and in which direction; decisions are made on PVE's clock, what Prometheus reckons is not."""
    street = Street(tmp_path)
    street.add("ci")
    service, metrics = measured(street)
    assert scraped(metrics).one("rotate_cluster_clock_offset_seconds", cluster="one") is None
    street.pves["one"].clock_offset = ahead
    street.go_on(service, HOUR)
    found = scraped(metrics).one("rotate_cluster_clock_offset_seconds", cluster="one")
    assert found == pytest.approx(ahead, abs=1)


def test_a_refused_configuration_is_told_until_it_is_mended(tmp_path: Path) -> None:
    """With the time of the one that is in force."""
    street = Street(tmp_path)
    street.add("ci")
    service, metrics = measured(street)
    started = scraped(metrics).one("rotate_config_loaded_timestamp_seconds")
    for spoil, valid in ((street.spoil, 0), (street.mend, 1)):
        street.clock.sleep(60)
        spoil()
        service.reload()
        street.go_on(service, HOUR)
        assert scraped(metrics).one("rotate_config_valid") == valid
        assert (scraped(metrics).one("rotate_config_loaded_timestamp_seconds") == started) == (not valid)


def row(metric: Metric) -> str:
    """Write the row of a metric."""
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return f"| `{metric.name}` | {metric.kind} | {labels} | {metric.help} |"


@pytest.mark.parametrize("ahead", [-7200.0, 7200.0])
def test_an_age_is_by_the_clock_that_said_when_it_began(tmp_path: Path, ahead: float) -> None:
    """A token is issued by PVE's clock: by ours it would be hours old, or not born yet."""
    street = Street(tmp_path)
    street.add("ci")
    street.pves["one"].clock_offset = ahead
    service, metrics = measured(street)
    street.go_on(service, DAY)
    age = scraped(metrics).one("rotate_token_age_seconds", credential="ci", cluster="one")
    assert age == pytest.approx(DAY.total_seconds(), abs=5)


def test_every_metric_is_on_the_page() -> None:
    """The table is what the code says; copy it from what this test expects."""
    table = read("rotator/METRICS.md").partition("|---")[2].partition("\n\n")[0]
    assert table.splitlines()[1:] == [row(metric) for metric in METRICS]
