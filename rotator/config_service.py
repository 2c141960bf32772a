"""The section ``service``: what its keys must fulfil together."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path

from rotator.config_places import Findings
from rotator.config_schema import BackendPart, EnvPart, FilePart, ListenTlsPart, ServicePart
from rotator.config_shape import Salvaged
from rotator.config_values import NOWHERE, check_certificates
from rotator.errors import ConfigError
from rotator.faults import InvalidValueError
from rotator.references import FileReference, SecretReference, check
from rotator.settings import LeaseSettings, ListenSettings, ProbeSettings, ServiceSettings
from rotator.yaml_lines import Loc

BUSIEST = timedelta(seconds=10)
"""Whoever looks more often than that wants something else."""
USUAL = "127.0.0.1:9105"
"""Where it answers unless told otherwise; ``ListenSettings`` says so too."""


Refer = Callable[[EnvPart | FilePart | BackendPart, Loc], SecretReference | None]
"""Makes a reference to a secret of what stands at a place; None when that cannot be used."""


def settle_service(findings: Findings, service: Salvaged[ServicePart], refer: Refer) -> ServiceSettings:
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
        listen=_listen(findings, service, refer),
        probes=_probes(part),
    )


def _probes(part: ServicePart) -> ProbeSettings | None:
    if part.probes is None or part.probes == NOWHERE:
        return None
    host, _, port = part.probes.rpartition(":")
    return ProbeSettings(host, int(port))


def _listen(findings: Findings, service: Salvaged[ServicePart], refer: Refer) -> ListenSettings | None:
    """Make the settings of where it answers; None where it does not."""
    part, loc = service.part, service.loc
    token = refer(part.token, (*loc, "token")) if part.token else None
    if part.tls:
        _check_tls(findings, part.tls, (*loc, "tls"))
    if part.rotate_now and part.token is None and "token" not in service.faulty:
        findings.add((*loc, "rotate_now"), "there is no token, so everybody could", "add service.token")
    if part.listen == NOWHERE:
        return None
    host, _, port = (part.listen or USUAL).rpartition(":")
    if not ip_address(host).is_loopback:
        for key in ("tls", "token"):
            if getattr(part, key) is None and key not in service.faulty:
                message = f"{part.listen} can be reached by others, and there is no {key}"
                findings.add((*loc, "listen"), message, f"add service.{key}, or listen at {USUAL}")
    return ListenSettings(
        host=host,
        port=int(port),
        certificate=Path(part.tls.cert) if part.tls else None,
        key=Path(part.tls.key) if part.tls else None,
        token=token,
        is_configured=part.listen is not None,
        hosts=part.hosts,
        offers_rotation=part.rotate_now,
    )


def _check_tls(findings: Findings, tls: ListenTlsPart, loc: Loc) -> None:
    try:
        check_certificates(Path(tls.cert))
    except InvalidValueError as error:
        findings.add((*loc, "cert"), error.message, "name a PEM file with the certificate")
    try:
        check(FileReference(Path(tls.key)), environ={})
    except ConfigError as error:
        findings.add((*loc, "key"), error.message, error.hint)


def _check_when(findings: Findings, part: ServicePart, loc: Loc) -> None:
    if part.look and part.cron:
        findings.add((*loc, "look"), "look and cron exclude each other", "keep one of them")
    if part.timezone and not part.cron:
        findings.add((*loc, "timezone"), "a time zone without cron", "an interval has none: take it away")
    if part.look and part.look < BUSIEST:
        findings.add((*loc, "look"), "too often", "write 10s or more; what is due is done in time whatever this says")
