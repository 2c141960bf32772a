"""The section ``service`` of the configuration."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
import trustme

from rotator.references import FileReference
from rotator.settings import LeaseSettings, ListenSettings, ProbeSettings, ServiceSettings
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
        ("{listen: '9105'}", "service.listen", "not an address with a port"),
        ("{listen: 'rotate.example:9105'}", "service.listen", "not an address with a port"),
        ("{listen: '::1:9105'}", "service.listen", "not an address with a port"),
        ("{listen: '127.0.0.1:65536'}", "service.listen", "not an address with a port"),
        ("{rotate_now: true}", "service.rotate_now", "there is no token, so everybody could"),
        ("{hosts: ['https://rotate.example']}", "service.hosts[0]", "not the name of a host"),
        ("{hosts: ['rotate.example:9105']}", "service.hosts[0]", "not the name of a host"),
        ("{probes: '9106'}", "service.probes", "not an address with a port"),
        ("{token: secret}", "service.token", "a secret does not stand in the configuration itself"),
        ("{token: {env: NONE}}", "service.token", "the environment variable NONE is not set"),
        ("{tls: {cert: /none.pem}}", "service.tls.key", "missing"),
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


def papers(tmp_path: Path) -> tuple[Path, Path]:
    """Write a certificate and its key."""
    made, cert, key = trustme.CA().issue_cert("rotate.example"), tmp_path / "cert.pem", tmp_path / "key.pem"
    made.cert_chain_pems[0].write_to_path(cert)
    made.private_key_pem.write_to_path(key)
    key.chmod(0o600)
    return cert, key


def test_it_answers_on_loopback_or_nowhere(tmp_path: Path) -> None:
    """Without a word on loopback, at the usual port."""
    assert read(tmp_path, config()).service.listen == ListenSettings("127.0.0.1", 9105)
    assert read(tmp_path, config(more="service: {listen: none}\n")).service.listen is None
    for written, host in (("localhost:80", "127.0.0.1"), ("127.0.0.2:80", "127.0.0.2"), ("[0:0::1]:80", "::1")):
        listen = read(tmp_path, config(more=f"service: {{listen: '{written}'}}\n")).service.listen
        assert listen == ListenSettings(host, 80, is_configured=True)


@pytest.mark.parametrize("address", ["0.0.0.0:9105", "[::]:9105", "192.0.2.1:9105"])
def test_an_address_that_others_reach_needs_tls_and_a_token(tmp_path: Path, address: str) -> None:
    """Each that is missing is told, on the line of the address."""
    cert, key = papers(tmp_path)
    tls, token = f"  tls: {{cert: {cert}, key: {key}}}\n", f"  token: {{file: {key}}}\n"
    head = f"service:\n  listen: '{address}'\n"
    for more, missing in (("", ["tls", "token"]), (tls, ["token"]), (token, ["tls"])):
        found = problems(tmp_path, config(more=head + more))
        assert [(it.where, it.line) for it in found] == [("service.listen", 13)] * len(missing)
        assert [it.message.rpartition(" ")[2] for it in found] == missing
    listen = read(tmp_path, config(more=head + tls + token)).service.listen
    assert listen is not None
    assert (listen.certificate, listen.key, listen.token) == (cert, key, FileReference(key))


def test_what_the_page_is_called_and_may_do_is_taken(tmp_path: Path) -> None:
    """Names in lower case; probes at an address of their own, which needs nothing."""
    _cert, key = papers(tmp_path)
    more = (
        f"service:\n  hosts: [Rotate.Example.net, rotate]\n  rotate_now: true\n  token: {{file: {key}}}\n"
        "  probes: '[::]:9106'\n"
    )
    found = read(tmp_path, config(more=more)).service
    assert found.listen
    assert (found.listen.hosts, found.listen.offers_rotation) == (("rotate.example.net", "rotate"), True)
    assert found.probes == ProbeSettings("::", 9106)
    assert read(tmp_path, config(more="service: {probes: none}\n")).service.probes is None


def test_a_key_that_everybody_may_read_is_refused(tmp_path: Path) -> None:
    """And a certificate that is none."""
    cert, key = papers(tmp_path)
    key.chmod(0o644)
    cert.write_text("none", encoding="utf-8")
    found = problems(tmp_path, config(more=f"service: {{tls: {{cert: {cert}, key: {key}}}}}\n"))
    assert {it.where for it in found} == {"service.tls.cert", "service.tls.key"}


def test_a_faulty_token_is_not_told_to_be_missing(tmp_path: Path) -> None:
    """One error each."""
    cert, key = papers(tmp_path)
    more = f"service:\n  listen: '0.0.0.0:1'\n  tls: {{cert: {cert}, key: {key}}}\n  token: secret\n"
    assert [it.where for it in problems(tmp_path, config(more=more))] == ["service.token"]
