"""Nothing is sent to a server that is not trusted, and whoever set it up is told what was seen."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import pytest
import trustme

from rotator.errors import ConfigError, UnavailableError
from rotator.proxmox import TlsTrust
from tests.wire.lab import Lab, Rogue, answer, mute, saying


def other_ca(folder: Path) -> Path:
    """Write the certificate of an authority that issued nothing here."""
    path = folder / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(path))
    return path


@pytest.fixture
def ca_file(lab: Lab, tmp_path: Path) -> Path:
    """Write the certificate of the authority of the simulated cluster."""
    path = tmp_path / "ca.pem"
    path.write_bytes(lab.pve.ca_pem)
    return path


def test_the_clusters_own_ca_is_enough(lab: Lab, ca_file: Path) -> None:
    """With PVE's root certificate no fingerprint is needed."""
    assert "svc@pve" in lab.cluster(trust=TlsTrust(ca_file=ca_file)).users()


@pytest.mark.parametrize("spell", [str.upper, str.lower, lambda text: text.replace(":", ""), lambda text: f" {text}\n"])
def test_a_fingerprint_may_be_spelled_as_tools_spell_it(lab: Lab, spell: object) -> None:
    """Upper or lower case, with or without colons, with white space around from a copy."""
    assert callable(spell)
    assert "svc@pve" in lab.cluster(trust=TlsTrust(fingerprint=spell(lab.pve.fingerprint))).users()


def test_the_host_name_does_not_matter_to_a_pinned_certificate(lab: Lab, ca_file: Path) -> None:
    """The certificate knows 127.0.0.1 and not 127.0.0.2; a pin is for one certificate wherever it is."""
    lab.pve.close()
    lab.pve.start(("127.0.0.2", 0))
    assert "svc@pve" in lab.cluster().users()
    with pytest.raises(UnavailableError, match="IP address mismatch"):
        lab.cluster(trust=TlsTrust(ca_file=ca_file)).users()


def test_verification_can_be_skipped_by_its_name_only(lab: Lab) -> None:
    """The unsafe choice works, without a warning from any library, and has to be asked for."""
    assert "svc@pve" in lab.cluster(trust=TlsTrust(unsafe_skip_verification=True)).users()
    with pytest.raises(UnavailableError, match="not trusted"):
        lab.cluster(trust=TlsTrust()).users()


def test_an_untrusted_certificate_is_shown_and_told_nothing(tmp_path: Path) -> None:
    """The hint has the fingerprint that was seen, so that it can be compared on the node; no request was sent."""
    with Rogue(saying(answer(b'{"data":{}}'))) as rogue:
        for trust in (TlsTrust(), TlsTrust(ca_file=other_ca(tmp_path))):
            with pytest.raises(UnavailableError, match="not trusted") as caught:
                rogue.cluster(trust=trust).users()
            assert rogue.fingerprint in caught.value.hint
        assert rogue.requests == []


def test_a_changed_certificate_is_shown_and_told_nothing() -> None:
    """A pin that does not fit any more ends before the credential is sent, for changes as well."""
    with Rogue(saying(answer(b'{"data":{}}'))) as rogue:
        cluster = rogue.cluster(trust=TlsTrust(fingerprint="AB" * 32))
        with pytest.raises(UnavailableError, match="not the pinned one") as caught:
            cluster.users()
        assert rogue.fingerprint in caught.value.hint
        assert "somebody else is answering" in caught.value.hint
        assert (rogue.requests, rogue.connections) == ([], 1)


def test_what_speaks_no_tls_is_named() -> None:
    """A plain HTTP port, or SSH, gives a hint at the right port."""

    def plain(rogue: Rogue, link: socket.socket) -> None:
        del rogue
        link.recv(1000)
        link.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    with Rogue(plain, plain=True) as rogue:
        with pytest.raises(UnavailableError, match="does not speak TLS") as caught:
            rogue.cluster().users()
        assert "HTTPS on port 8006" in caught.value.hint


def test_a_connection_that_ends_in_the_handshake_is_named() -> None:
    """A port forwarding to nowhere closes what it has just accepted."""
    with Rogue(lambda rogue, link: None, plain=True) as rogue:  # noqa: ARG005 - it does nothing
        with pytest.raises(UnavailableError, match="cannot connect") as caught:
            rogue.cluster().users()
        assert "port 8006" in caught.value.hint


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1:DeprecationWarning")
def test_old_tls_is_refused() -> None:
    """Nothing below TLS 1.2 is spoken, not even with verification off."""
    with Rogue(mute, highest=ssl.TLSVersion.TLSv1_1) as rogue:
        with pytest.raises(UnavailableError) as caught:
            rogue.cluster(trust=TlsTrust(unsafe_skip_verification=True)).users()
        assert "at least TLS 1.2" in caught.value.hint
        assert rogue.requests == []


@pytest.mark.parametrize("trust", [TlsTrust(), TlsTrust(fingerprint="0" * 64), TlsTrust(unsafe_skip_verification=True)])
def test_every_trust_wants_tls_1_2(trust: TlsTrust) -> None:
    """The lower end is set by us, whatever the system's own is."""
    assert trust.context().minimum_version == ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize("text", ["AB:CD", "0" * 63, "0" * 40, "x" * 64, "sha256:" + "0" * 64])
def test_what_is_no_sha256_is_no_fingerprint(text: str) -> None:
    """A SHA-1 is refused with the command that shows the right one."""
    with pytest.raises(ConfigError, match="not a SHA-256") as caught:
        TlsTrust(fingerprint=text)
    assert "openssl x509" in caught.value.hint


def test_there_is_one_way_to_trust(ca_file: Path) -> None:
    """Two at once would leave open which one counts."""
    for settings in (
        TlsTrust(ca_file=ca_file),
        TlsTrust(fingerprint="0" * 64),
    ):
        with pytest.raises(ConfigError, match="more than one way"):
            TlsTrust(settings.ca_file, settings.fingerprint, unsafe_skip_verification=True)
    with pytest.raises(ConfigError, match="more than one way"):
        TlsTrust(ca_file, "0" * 64)


def test_a_ca_file_that_cannot_be_used_is_a_mistake_of_the_configuration(lab: Lab, tmp_path: Path) -> None:
    """Missing, or no certificate in it: said at once, with the file's name, and nothing is contacted."""
    empty = tmp_path / "empty.pem"
    empty.write_text("no certificate\n")
    for path, why in ((empty, "no certificate in it"), (tmp_path / "missing.pem", "No such file")):
        with pytest.raises(ConfigError, match=why) as caught:
            lab.cluster(trust=TlsTrust(ca_file=path))
        assert str(path) in caught.value.message
    assert lab.pve.calls == []


def test_a_certificate_that_changes_on_the_way_is_noticed(lab: Lab) -> None:
    """A kept connection is not trusted for its successor: each handshake is checked."""
    cluster = lab.cluster(lab.addresses[:1])
    cluster.users()
    host, _, port = lab.addresses[0].partition(":")
    lab.pve.close()
    with Rogue(saying(answer(b'{"data":[]}')), address=(host, int(port))) as rogue:
        with pytest.raises(UnavailableError, match="not the pinned one"):
            cluster.users()
        assert rogue.requests == []
