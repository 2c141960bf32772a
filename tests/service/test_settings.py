"""The section ``service`` of the configuration."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from rotator.settings import LeaseSettings, ServiceSettings
from tests.unit.config_world import config, problems, read


def test_without_the_section_the_usual_holds(tmp_path: Path) -> None:
    """A look in fifteen minutes, retries after a minute to six hours, no lease."""
    usual = ServiceSettings(timedelta(minutes=15), None, "UTC", timedelta(minutes=1), timedelta(hours=6), None)
    assert read(tmp_path, config()).service == usual


def test_what_is_written_is_taken(tmp_path: Path) -> None:
    """Every key of it."""
    more = (
        "service:\n  cron: '5 * * * *'\n  timezone: Europe/Vienna\n  retries: {first: 2m, most: 1h}\n"
        "  lease: {name: rotate, namespace: tools}\n"
    )
    assert read(tmp_path, config(more=more)).service == ServiceSettings(
        cron="5 * * * *",
        timezone="Europe/Vienna",
        retry_first=timedelta(minutes=2),
        retry_most=timedelta(hours=1),
        lease=LeaseSettings("rotate", "tools"),
    )
    assert read(tmp_path, config(more="service: {look: 1h}\n")).service == ServiceSettings(look=timedelta(hours=1))


@pytest.mark.parametrize(
    ("section", "where", "message"),
    [
        ("{look: 1h, cron: '5 * * * *'}", "service.look", "look and cron exclude each other"),
        ("{timezone: Europe/Vienna}", "service.timezone", "a time zone without cron"),
        ("{look: 5s}", "service.look", "too often"),
        ("{retries: {first: 7h}}", "service.retries.first", "longer than the longest wait"),
        ("{cron: '5 * * *'}", "service.cron", "not a cron expression of five fields"),
        ("{lease: {name: Not_It}}", "service.lease.name", "not the name of an object in Kubernetes"),
        ("{lease: {}}", "service.lease.name", "missing"),
        ("{interval: 1h}", "service", "unknown key 'interval'"),
    ],
)
def test_what_is_wrong_is_told_with_its_key(tmp_path: Path, section: str, where: str, message: str) -> None:
    """As everywhere in the configuration, on its line."""
    (found,) = problems(tmp_path, config(more=f"service: {section}\n"))
    assert (found.where, found.message) == (where, message)
    assert found.line == 12


def test_a_faulty_key_hides_no_other_fault(tmp_path: Path) -> None:
    """What is usable of the section is checked all the same."""
    found = problems(tmp_path, config(more="service: {lookk: 1h, timezone: Europe/Vienna}\n"))
    assert sorted(it.message for it in found) == ["a time zone without cron", "unknown key 'lookk'"]
