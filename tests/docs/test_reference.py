"""The consoles of the pages in ``rotator``: what they tell to type is typed as it stands there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.bench import Bench, configuration, name_as_in_the_readme
from tests.docs.pages import Command, blocks, commands, sections
from tests.service.gateway import listening

METRICS = "rotator/METRICS.md"
SIMULATED = "rotator/testing/README.md"
ROTATE = [sys.executable, "-m", "rotator.cli.main"]


def typed(page: str) -> list[Command]:
    """List what a page tells to type."""
    return [command for block in blocks(page) if block.language == "console" for command in commands(block)]


def test_the_page_about_metrics_can_be_followed(bench: Bench) -> None:
    """One run leaves the file of its name, the other pushes to the gateway of its name."""
    name_as_in_the_readme(bench)
    for command in sections("README.md")["1. At PVE, once"]:
        assert "ci@pve" not in command.line or bench.type(command) == []
    bench.configure(configuration())
    bench.names["/var/lib"] = str(bench.folder / "var/lib")
    file = bench.path("/var/lib/prometheus/node-exporter/rotate.prom")
    file.parent.mkdir(parents=True)
    with listening() as gateway:
        bench.names["pushgateway.example:9091"] = gateway.url.removeprefix("http://")
        wrong = [it for command in typed(METRICS) for it in bench.type(command)]
    assert wrong == [], "\n".join(wrong)
    assert "rotate_run_exit_code 0.0" in file.read_text(encoding="utf-8")
    assert [path.partition("/owner/")[0] for _, path, _ in gateway.pushed] == ["/metrics/job/rotate"]


def test_the_page_about_the_simulated_pve_can_be_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a shell, but for the port, which others may have; what it prints begins as it is shown."""
    monkeypatch.chdir(tmp_path)
    *before, simulate = typed(SIMULATED)
    for command in before:
        subprocess.run(["sh", "-c", command.line], check=True)  # noqa: S603, S607 - a page of ours
    words = simulate.line.replace("127.0.0.1:8006", "127.0.0.1:0").split()
    assert words[:2] == ["rotate", "sim"]
    with subprocess.Popen([*ROTATE, *words[1:]], stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - ours
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        process.terminate()
    (shown,) = simulate.shown
    node = ready["nodes"][0]["url"]
    assert json.dumps(ready).replace(node, "https://127.0.0.1:8006").startswith(shown.removesuffix(" ...}"))
    assert Path("ca.pem").read_bytes().startswith(b"-----BEGIN CERTIFICATE-----")
    assert process.returncode == 0
