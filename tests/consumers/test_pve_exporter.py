"""prometheus-pve-exporter itself, run as a process with what was written for it, against the simulated PVE."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.consumers.lab import Lab, sourcing

SCRAPE_TIME = 60


@contextmanager
def exporter(lab: Lab, record: Path, authority: Path | str = "") -> Iterator[str]:
    """Run the exporter with a record, trusting the authority by a variable of requests; yields its address."""
    serve = [sys.executable, "-m", "pve_exporter", "--web.listen-address", "127.0.0.1:0", "--config.file"]
    command = [*serve, str(record)] if record.suffix == ".yml" else sourcing(record, *serve, "/nowhere")
    environ = {"PATH": os.environ["PATH"], "HOME": str(lab.folder), "REQUESTS_CA_BUNDLE": str(authority or lab.ca)}
    with subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603 - constant
        try:
            yield listening(process)
        finally:
            process.terminate()
            process.communicate()


def listening(process: subprocess.Popen[str]) -> str:
    """Wait until it says where it listens."""
    assert process.stderr
    said = []
    for line in process.stderr:
        said.append(line)
        if found := re.search(r"Listening at: (http://\S+)", line):
            return found[1]
    raise AssertionError(f"the exporter ended: {''.join(said)}")


def asked(lab: Lab, address: str) -> requests.Response:
    """Let it ask the cluster."""
    with requests.Session() as session:
        session.trust_env = False
        return session.get(f"{address}/pve", params={"target": lab.host}, timeout=SCRAPE_TIME)


def scrape(lab: Lab, address: str) -> dict[str, float]:
    """Let it ask the cluster; returns what it tells of it, by name and labels."""
    answer = asked(lab, address)
    assert answer.status_code == 200, answer.text
    lines = (line.rpartition(" ") for line in answer.text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


def test_the_exporter_scrapes_with_the_environment_that_was_written(lab: Lab) -> None:
    """All its collectors, logged in as the token that is published, with the certificate checked."""
    with exporter(lab, lab.publish("exporter.env", preset="pve-exporter")) as address:
        metrics = scrape(lab, address)
    assert metrics['pve_up{id="node/pve1"}'] == 1
    assert metrics[f'pve_version_info{{release="9.2",repoid="5117e5ed51b0",version="{lab.pve.version}"}}'] == 1
    assert lab.callers() == {lab.token(): {200}}


def test_the_exporter_scrapes_with_the_file_that_was_written(lab: Lab) -> None:
    """The same from ``pve.yml``, also after a rotation: it was started anew, as it reads its file once."""
    record = lab.publish("pve.yml", preset="pve-exporter-yml", format="text")
    for _ in range(2):
        with exporter(lab, record) as address:
            assert scrape(lab, address)['pve_up{id="node/pve1"}'] == 1
        assert lab.callers() == {lab.token(): {200}}
        lab.rotate()
    assert lab.token().startswith("consumer@pve!consumer-3-")


@pytest.mark.parametrize(
    ("file", "settings"),
    [("e.env", {"preset": "pve-exporter"}), ("pve.yml", {"preset": "pve-exporter-yml", "format": "text"})],
)
def test_the_certificate_is_checked_as_the_configuration_says(lab: Lab, file: str, settings: dict[str, Any]) -> None:
    """Without the cluster's authority nothing is sent, unless the rotation itself was told to check nothing."""
    others = requests.utils.DEFAULT_CA_BUNDLE_PATH
    with exporter(lab, lab.publish(file, **settings), others) as address:
        assert asked(lab, address).status_code == 500
    assert lab.callers() == {}
    unchecked = lab.publish(file, tls={"unsafe_skip_verification": True}, **settings)
    with exporter(lab, unchecked, others) as address:
        assert scrape(lab, address)['pve_up{id="node/pve1"}'] == 1
    assert lab.callers() == {lab.token(): {200}}
