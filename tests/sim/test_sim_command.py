"""The simulated PVE as a command."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner

from rotator.cli.sim import sim
from tests.sim.world import PASSWORD


@pytest.fixture
def options(tmp_path: Path) -> list[str]:
    """Return the options that are always needed."""
    password = tmp_path / "password"
    password.write_text(f"{PASSWORD}\nsecond line\n", encoding="utf-8")
    return ["--password-file", str(password), "--ca-out", str(tmp_path / "ca.pem")]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_it_is_serves_and_ends_cleanly(options: list[str], number: signal.Signals) -> None:
    """One line of JSON, an Administrator called admin@pve, exit code 0 on either signal."""
    command = [sys.executable, "-m", "rotator.cli.main", "sim", "--listen", "127.0.0.1:0", "--nodes", "2", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603 - ours
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        login = {"username": ready["user"], "password": PASSWORD}
        with requests.Session() as session:
            session.trust_env = False
            for node in ready["nodes"]:
                url = f"{node['url']}/api2/json/access/ticket"
                assert session.post(url, login, verify=ready["ca"], timeout=10).status_code == 200
        process.send_signal(number)
        rest, errors = process.communicate(timeout=10)
    assert (process.returncode, rest, errors) == (0, "", "")
    assert ready.keys() == {"ready", "nodes", "user", "fingerprint", "ca"}
    assert [node["name"] for node in ready["nodes"]] == ["pve1", "pve2"]


@pytest.mark.parametrize("listen", ["0.0.0.0:8006", "192.0.2.1:8006", "[::]:8006"])
def test_it_is_not_for_other_machines(options: list[str], listen: str) -> None:
    """An address that others could reach is a usage error."""
    result = CliRunner().invoke(sim, ["--listen", listen, *options])
    assert result.exit_code == 2
    assert "is not a loopback address" in result.output


def test_ports_end_somewhere(options: list[str]) -> None:
    """A usage error for the first node as for those that follow."""
    for listen, nodes in (("127.0.0.1:65536", "1"), ("127.0.0.1:65535", "2")):
        result = CliRunner().invoke(sim, ["--listen", listen, "--nodes", nodes, *options])
        assert result.exit_code == 2


def test_a_place_that_cannot_be_written_is_a_usage_error(options: list[str], tmp_path: Path) -> None:
    """Before anything listens."""
    result = CliRunner().invoke(sim, [*options, "--ca-out", str(tmp_path / "nowhere" / "ca.pem")])
    assert result.exit_code == 2
    assert "No such file or directory" in result.output


@pytest.mark.parametrize("listen", ["127.0.0.1", "pve.example:8006", "127.0.0.1:x"])
def test_an_address_that_is_none_is_a_usage_error(options: list[str], listen: str) -> None:
    """It says what one looks like."""
    result = CliRunner().invoke(sim, ["--listen", listen, *options])
    assert result.exit_code == 2
    assert "an address looks like 127.0.0.1:8006" in result.output


def test_a_port_that_is_taken_is_said(options: list[str]) -> None:
    """And the signals mean what they meant before."""
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        result = CliRunner().invoke(sim, ["--listen", address, *options])
    assert result.exit_code == 2
    assert f"cannot listen on {address}" in result.output
    assert "Address already in use" in result.output
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_a_password_that_is_no_text_is_a_usage_error(options: list[str]) -> None:
    """As everywhere else where a password is read from a file."""
    Path(options[1]).write_bytes(b"\xff\xfe")
    result = CliRunner().invoke(sim, options)
    assert (result.exit_code, "it is not text" in result.output) == (2, True)


def test_an_empty_password_is_a_usage_error(options: list[str]) -> None:
    """Nobody could log in."""
    Path(options[1]).write_text("\n", encoding="utf-8")
    result = CliRunner().invoke(sim, options)
    assert result.exit_code == 2
    assert "its first line is empty" in result.output
