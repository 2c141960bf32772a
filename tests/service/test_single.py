"""The metrics that a single run leaves behind: in a file, or at a Pushgateway."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from rotator.service.metrics import METRICS, Kind
from tests.cli.lab import Lab
from tests.service.gateway import NO_HTTP, Gateway, listening


def values(text: str) -> dict[tuple[str, ...], float]:
    """Read metrics: each value by its name and the values of its labels, in the order of the labels' names."""
    samples = [it for family in text_string_to_metric_families(text) for it in family.samples]
    return {(it.name, *(it.labels[key] for key in sorted(it.labels))): it.value for it in samples}


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    """Return one that listens on loopback."""
    with listening() as made:
        yield made


def test_due_leaves_a_file_that_tells_how_everything_stands(lab: Lab, tmp_path: Path) -> None:
    """Readable for everybody, whatever was there before, and nothing else beside it."""
    folder = tmp_path / "textfiles"
    folder.mkdir()
    path = folder / "rotate.prom"
    path.write_text("old", encoding="utf-8")
    path.chmod(0o600)
    lab.add("ci")
    lab.add("idle", paused=True)
    assert lab.call("due", "--metrics-file", str(path)).exit_code == 0
    text = path.read_text(encoding="utf-8")
    found, now = values(text), lab.time.now().timestamp()
    assert found["rotate_credential_state", "one", "ci", "well"] == 1
    assert found["rotate_credential_state", "one", "idle", "paused"] == 1
    assert found["rotate_token_issued_timestamp_seconds", "one", "ci"] == pytest.approx(now, abs=30)
    assert found["rotate_credential_last_success_timestamp_seconds", "one", "ci"] == pytest.approx(now, abs=30)
    assert found["rotate_credential_next_change_timestamp_seconds", "one", "ci"] > now
    assert found["rotate_cluster_reachable", "one"] == 1
    assert found["rotate_cluster_clock_offset_seconds", "one"] == pytest.approx(0, abs=5)
    assert found["rotate_backend_reachable", "file"] == 1
    assert found["rotate_run_exit_code",] == 0
    assert found["rotate_run_timestamp_seconds",] == pytest.approx(now, abs=30)
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(folder.iterdir()) == [path]
    assert lab.record("ci")["token_secret"] not in text


def test_a_single_run_counts_nothing_and_tells_no_age(lab: Lab, tmp_path: Path) -> None:
    """What would begin anew each time, or stand still, is left out; all else is declared."""
    path = tmp_path / "rotate.prom"
    lab.add("ci")
    assert lab.call("now", "--all", "--metrics-file", str(path)).exit_code == 0
    found = {name for name, *_ in values(path.read_text(encoding="utf-8"))}
    assert found <= {it.name for it in METRICS if it.kind is Kind.GAUGE}
    assert "rotate_token_issued_timestamp_seconds" in found
    assert "rotate_token_age_seconds" not in found
    assert "rotate_credential_failures" not in found


def test_a_run_that_failed_says_so(lab: Lab, tmp_path: Path) -> None:
    """A cluster that does not answer is not asked once more."""
    path = tmp_path / "rotate.prom"
    lab.add("ci")
    lab.pve.nodes[0].down = True
    assert lab.call("due", "--metrics-file", str(path)).exit_code == 4
    found = values(path.read_text(encoding="utf-8"))
    assert found["rotate_cluster_reachable", "one"] == 0
    assert found["rotate_credential_state", "one", "ci", "failing"] == 1
    assert found["rotate_run_exit_code",] == 4
    assert not any(name == "rotate_credential_last_success_timestamp_seconds" for name, *_ in found)


def test_a_run_pushes_to_a_gateway(lab: Lab, gateway: Gateway) -> None:
    """In the place of what the same installation, and the same shard, pushed before."""
    lab.add("ci")
    assert lab.call("due", "--push-gateway", gateway.url).exit_code == 0
    assert lab.call("due", "--shard", "0/1", "--push-gateway", gateway.url).exit_code == 0
    ((method, path, body), _) = gateway.pushed
    assert (method, path) == ("PUT", "/metrics/job/rotate/owner/lab")
    assert values(body)["rotate_credential_state", "one", "ci", "well"] == 1
    lab.call("due", "--shard", "0/2", "--push-gateway", gateway.url)
    assert gateway.pushed[-1][1].startswith("/metrics/job/rotate/owner/lab/shard/0-of-2")


def test_what_becomes_of_the_metrics_does_not_change_how_a_run_ends(lab: Lab, gateway: Gateway, tmp_path: Path) -> None:
    """It is told."""
    lab.add("ci")
    gateway.status = 500
    found = lab.call("due", "--push-gateway", gateway.url, "--metrics-file", str(tmp_path / "none" / "rotate.prom"))
    assert found.exit_code == 0
    assert "the metrics were not written to" in found.stderr
    assert "No such file or directory" in found.stderr
    assert f"the metrics were not pushed to {gateway.url}" in found.stderr
    gateway.status = NO_HTTP
    found = lab.call("due", "--push-gateway", gateway.url)
    assert found.exit_code == 0
    assert f"the metrics were not pushed to {gateway.url}: it does not speak HTTP" in found.stderr
    lab.pve.nodes[0].down = True
    found = lab.call("now", "--all", "--push-gateway", "http://127.0.0.1:1")
    assert found.exit_code == 4
    assert "the metrics were not pushed" in found.stderr


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["due", "ci", "--metrics-file", "x"], "give no names"),
        (["now", "ci", "--push-gateway", "http://x"], "give no names"),
        (["due", "--dry-run", "--metrics-file", "x"], "nothing to measure"),
        (["due", "--push-gateway", "localhost:9091"], "not a URL"),
        (["due", "--push-gateway", "http://localhost:x"], "not a URL"),
        (["due", "--push-gateway", "http://me:5ecret@localhost"], "does not stand in an argument"),
    ],
)
def test_a_wish_that_makes_no_sense_is_refused(lab: Lab, arguments: list[str], why: str) -> None:
    """Before anything is contacted, and no password is repeated."""
    lab.add("ci")
    found = lab.call(*arguments)
    assert found.exit_code == 2
    assert why in found.stderr
    assert "5ecret" not in found.stderr
    assert lab.pve.calls == []


def test_without_these_options_nothing_of_prometheus_is_needed(lab: Lab, tmp_path: Path) -> None:
    """With them it says what to install, before anything is done."""
    lab.add("ci")
    program = "import sys; sys.modules['prometheus_client'] = None; from rotator.cli.main import main; main()"
    command = [sys.executable, "-c", program, "due", "--config", str(lab.config)]

    def ran(*arguments: str) -> tuple[int, str]:
        found = subprocess.run(  # noqa: S603 - our own command
            [*command, *arguments], check=False, capture_output=True, text=True, timeout=60, env=lab.environ
        )
        return found.returncode, found.stderr

    message = "rotate: metrics need prometheus_client, which is not installed"
    advice = "    do: pip install 'proxmox-token-rotator[serve]'"
    assert ran("--metrics-file", str(tmp_path / "x")) == (3, f"{message}\n{advice}\n")
    assert lab.tokens() == []
    assert ran()[0] == 0
    assert lab.works("ci")
