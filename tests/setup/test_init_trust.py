"""Whom ``rotate init`` believes to be PVE."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from rotator.errors import RefusedError
from rotator.testing.pve import SimulatedPve
from tests.setup.lab import Lab, Scripted


def without_trust(lab: Lab, *more: str) -> list[str]:
    """List the options of a set-up but for whom to trust."""
    options = lab.options("--yes", *more)
    at = options.index("--fingerprint")
    return options[:at] + options[at + 2 :]


def test_the_fingerprint_is_shown_and_asked_for(new: Lab) -> None:
    """With the command that shows it on the node, to compare."""
    asker = Scripted(new.answers())
    new.dialog(asker)
    shown = "\n".join(asker.said)
    assert new.pve.fingerprint in shown
    assert "openssl x509 -noout -fingerprint -sha256 -in /etc/pve/local/pve-ssl.pem" in shown
    assert new.pve.fingerprint in new.config.read_text(encoding="utf-8")


def test_who_does_not_trust_it_sends_nothing(new: Lab) -> None:
    """Neither a login nor anything else."""
    asker = Scripted({"Trust it": "no", **new.answers()})
    with pytest.raises(RefusedError, match="was not trusted; nothing was sent"):
        new.dialog(asker)
    assert (new.pve.calls, new.files()) == ([], [])


def test_without_a_terminal_the_option_is_named(new: Lab) -> None:
    """With the fingerprint that was seen, so that only comparing is left."""
    result = new.call("init", *without_trust(new))
    assert result.exit_code == 2
    assert f"give --fingerprint {new.pve.fingerprint}" in " ".join(result.stderr.split())
    assert new.pve.calls == []


def test_another_certificate_than_the_given_one_is_refused(new: Lab) -> None:
    """The password does not go to whoever answers there."""
    result = new.call("init", *without_trust(new, "--fingerprint", "AB" * 32))
    assert (result.exit_code, "shows another certificate than the given one" in result.stderr) == (4, True)
    assert new.pve.calls == []


def test_an_authority_is_trusted_when_it_is_named(new: Lab, tmp_path: Path) -> None:
    """As PVE's own; the configuration says so."""
    authority = tmp_path / "pve-root-ca.pem"
    authority.write_bytes(new.pve.ca_pem)
    assert new.call("init", *without_trust(new, "--ca", str(authority))).exit_code == 0
    assert f"tls: {{ca: {authority}}}" in new.config.read_text(encoding="utf-8")
    assert new.rotate_now().exit_code == 0


def test_what_the_system_trusts_is_said_and_not_asked_for(
    new: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A certificate of a public authority needs no word in the configuration."""
    authority = tmp_path / "system.pem"
    authority.write_bytes(new.pve.ca_pem)
    monkeypatch.setenv(ssl.get_default_verify_paths().openssl_cafile_env, str(authority))
    asker = Scripted(new.answers())
    assert new.dialog(asker).exit_code == 0
    assert "Trust it from now on?" not in asker.asked
    assert any("that this system trusts" in it for it in asker.said)
    assert "tls:" not in new.config.read_text(encoding="utf-8")


def test_nodes_with_certificates_of_their_own_need_their_authority(new: Lab) -> None:
    """One fingerprint is that of one node."""
    with SimulatedPve() as other:
        result = new.call("init", *without_trust(new, "--endpoint", other.nodes[0].endpoint))
        assert (result.exit_code, "--ca pve-root-ca.pem" in result.stderr) == (3, True)
        assert other.calls == []


def test_where_nobody_answers_nothing_is_written(new: Lab) -> None:
    """The address is wrong, or the node is down."""
    new.pve.nodes[0].down = True
    result = new.init()
    assert (result.exit_code, "connection refused" in result.stderr, new.files()) == (4, True, [])
