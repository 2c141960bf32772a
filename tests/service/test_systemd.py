"""What systemd hears of the service: that it is ready, then that it goes on."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from rotator.service.systemd import Systemd
from tests.cli.lab import Lab
from tests.service.process import serving


@pytest.fixture
def hears(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Return the socket that systemd listens at, named ``notify`` in the current folder."""
    monkeypatch.chdir(tmp_path)  # a socket's name may not be long
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind("notify")
        made.settimeout(10)
        yield made


def test_the_service_says_so(lab: Lab, hears: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only then does systemd start what comes after it."""
    lab.add("ci")
    monkeypatch.setenv("NOTIFY_SOCKET", str(Path("notify").absolute()))
    with serving(lab) as service:
        assert hears.recv(100) == b"READY=1"
        assert service.stopped() == 0


def test_it_is_ready_once_and_then_goes_on(hears: socket.socket) -> None:
    """The first round of the main loop starts what waits for it, each further one holds off the watchdog."""
    systemd = Systemd({"NOTIFY_SOCKET": "notify"})
    for _ in range(3):
        systemd.beat()
    assert [hears.recv(100) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"]


def test_readiness_that_did_not_get_through_is_said_again(hears: socket.socket) -> None:
    """While nobody listens nothing fails, and what waits is started as soon as somebody does."""
    systemd = Systemd({"NOTIFY_SOCKET": "other"})
    systemd.beat()
    hears.close()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as later:
        later.bind("other")
        systemd.beat()
        assert later.recv(100) == b"READY=1"


def test_a_name_without_a_file_is_understood() -> None:
    """Systemd writes ``@`` for the zero byte of an abstract one."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(f"\0rotate-test-{os.getpid()}")
        made.settimeout(10)
        Systemd({"NOTIFY_SOCKET": f"@rotate-test-{os.getpid()}"}).beat()
        assert made.recv(100) == b"READY=1"


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": ""}], ids=["unset", "empty"])
def test_without_systemd_nobody_hears_anything(environ: dict[str, str]) -> None:
    """In a container, or by hand."""
    Systemd(environ).beat()
