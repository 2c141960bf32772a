"""The section ``service``: what its keys must fulfil together."""

from __future__ import annotations

from datetime import timedelta

from rotator.config_places import Findings
from rotator.config_schema import ServicePart
from rotator.config_shape import Salvaged
from rotator.settings import LeaseSettings, ServiceSettings
from rotator.yaml_lines import Loc

BUSIEST = timedelta(seconds=10)
"""Whoever looks more often than that wants something else."""


def settle_service(findings: Findings, service: Salvaged[ServicePart]) -> ServiceSettings:
    """Make the settings of the service; what is wrong goes to the findings."""
    part, usual = service.part, ServiceSettings()
    _check_when(findings, part, service.loc)
    if part.retries.first > part.retries.most:
        findings.add((*service.loc, "retries", "first"), "longer than the longest wait", "write at most `most`")
    return ServiceSettings(
        look=part.look or usual.look,
        cron=part.cron,
        timezone=part.timezone or usual.timezone,
        retry_first=part.retries.first,
        retry_most=part.retries.most,
        lease=LeaseSettings(part.lease.name, part.lease.namespace) if part.lease else None,
    )


def _check_when(findings: Findings, part: ServicePart, loc: Loc) -> None:
    if part.look and part.cron:
        findings.add((*loc, "look"), "look and cron exclude each other", "keep one of them")
    if part.timezone and not part.cron:
        findings.add((*loc, "timezone"), "a time zone without cron", "an interval has none: take it away")
    if part.look and part.look < BUSIEST:
        findings.add((*loc, "look"), "too often", "write 10s or more; what is due is done in time whatever this says")
