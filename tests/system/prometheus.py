"""Debian's Prometheus and promtool, run for a test: on loopback, with a folder of its own, and nothing left behind.

::

    with prometheus(tmp_path, {"scrape_configs": [...]}) as server:
        assert server.until("up == 1")

prometheus-api-client and testcontainers were not taken: one brings pandas along, the other needs images; two paths of
the HTTP API are all that is asked here.
"""

from __future__ import annotations

import os
import re
import select
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import requests
import yaml

PATIENCE = 20
"""Seconds that anything may take."""
STEP = 0.05
_ADDRESS = re.compile(r'msg="Listening on" address=(\S+)')
_READY = "Server is ready to receive web requests"


@dataclass(frozen=True)
class Sample:
    """One series of an answer, with its value."""

    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True)
class Prometheus:
    """A server that runs."""

    url: str

    def get(self, path: str, **parameters: str) -> Any:  # noqa: ANN401 - JSON
        """Ask its API, and return what is under ``data``. Raises: ``AssertionError`` with what it says is wrong."""
        answer = requests.get(f"{self.url}/api/v1/{path}", params=parameters, timeout=PATIENCE)
        assert answer.ok, answer.text
        return answer.json()["data"]

    def query(self, expression: str, at: datetime | None = None) -> list[Sample]:
        """Evaluate an expression, now or at some time."""
        when = {"time": str(at.timestamp())} if at else {}
        found = self.get("query", query=expression, **when)
        return [Sample(it["metric"], float(it["value"][1])) for it in found["result"]]

    def until(self, expression: str) -> list[Sample]:
        """Ask until there is an answer, and return it; nothing if there is none in time."""
        pause = threading.Event()
        for _ in range(int(PATIENCE / STEP)):
            if found := self.query(expression):
                return found
            pause.wait(STEP)
        return []


@contextmanager
def prometheus(folder: Path, config: Mapping[str, Any], *, data: Path | None = None) -> Iterator[Prometheus]:
    """Run it with a configuration, on ``data`` where there is some already (``backfill``)."""
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(dict(config)), encoding="utf-8")
    command = [
        "prometheus",
        f"--config.file={path}",
        f"--storage.tsdb.path={data or folder / 'data'}",
        "--storage.tsdb.retention.time=100y",
        "--web.listen-address=127.0.0.1:0",
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:  # noqa: S603 - ours
        drain = threading.Thread(target=_drained, args=(process,), daemon=True)
        try:
            said = _said(process)
            drain.start()
            yield Prometheus(f"http://{_ADDRESS.findall(said)[0]}")
        finally:
            process.kill()


def _said(process: subprocess.Popen[bytes]) -> str:
    """Read on until it is ready."""
    assert process.stderr
    said = ""
    while _READY not in said or not _ADDRESS.search(said):
        assert select.select([process.stderr], [], [], PATIENCE)[0], said
        more = os.read(process.stderr.fileno(), 65536).decode()
        assert more, f"it ended, and said {said}"
        said += more
    return said


def _drained(process: subprocess.Popen[bytes]) -> None:
    """Read what it says from then on, so that it never waits for a reader."""
    assert process.stderr
    while os.read(process.stderr.fileno(), 65536):
        pass


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run promtool; what it says is in ``stdout`` and ``stderr``."""
    command = ["promtool", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603 - ours


def backfill(folder: Path, openmetrics: str) -> Path:
    """Make a database of samples with their times, as OpenMetrics writes them; returns its folder."""
    source, data = folder / "samples.om", folder / "data"
    source.write_text(openmetrics, encoding="utf-8")
    made = promtool("tsdb", "create-blocks-from", "openmetrics", source, data)
    assert made.returncode == 0, made.stderr
    return data
