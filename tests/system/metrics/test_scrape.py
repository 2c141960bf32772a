"""Debian's Prometheus scrapes a real ``rotate serve``: every metric of the page arrives, with its value."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

import rotator
from rotator.marker import Marker
from rotator.service.metrics import METRICS
from tests.cli.lab import START, USER, Lab, Time
from tests.service.process import Serving, serving
from tests.system.prometheus import Prometheus, prometheus

LATER = timedelta(days=20)
TOLD: dict[str, tuple[str, ...]] = {
    "rotate_token_issued_timestamp_seconds": ('abs({0}{{credential="ci"}} - time()) < 120',),
    "rotate_token_age_seconds": ('abs({0}{{credential="ci",cluster="one"}}) < 120',),
    "rotate_token_expire_timestamp_seconds": ('abs({0}{{credential="ci"}} - time() - 90 * 86400) < 120',),
    "rotate_retiring_tokens": ('{0}{{credential="ci"}} == 1', '{0}{{credential="new"}} == 0'),
    "rotate_retiring_token_expire_timestamp_seconds": ('abs({0}{{credential="ci"}} - time() - 86400) < 120',),
    "rotate_unpublished_tokens": ('{0}{{credential="busy"}} == 1', '{0}{{credential="orphaned"}} == 0'),
    "rotate_credential_interval_seconds": ('{0}{{credential="ci"}} == 30 * 86400',),
    "rotate_credential_state": (
        '{0}{{credential="ci",state="well"}} == 1',
        '{0}{{credential="busy",state="waiting"}} == 1',
        '{0}{{credential="bad",state="failing"}} == 1',
        '{0}{{credential="idle",state="paused"}} == 1',
        'count({0}{{credential="ci"}}) == 1',
    ),
    "rotate_credential_failures": ('{0}{{credential="bad"}} == 1', '{0}{{credential="ci"}} == 0'),
    "rotate_credential_last_success_timestamp_seconds": (
        'abs({0}{{credential="ci"}} - time()) < 120',
        'absent({0}{{credential="bad"}})',
    ),
    "rotate_credential_next_run_timestamp_seconds": (
        '0 < {0}{{credential="ci"}} - time() < 15 * 60',
        '50 * 60 < {0}{{credential="bad"}} - time() < 60 * 60',
    ),
    "rotate_credential_next_change_timestamp_seconds": ('abs({0}{{credential="ci"}} - time() - 86400) < 120',),
    "rotate_credentials": ('{0}{{cluster="one",state="well"}} == 3', "sum({0}) == 7"),
    "rotate_cluster_reachable": ('{0}{{cluster="one"}} == 1', '{0}{{cluster="two"}} == 0'),
    "rotate_cluster_last_answer_timestamp_seconds": (
        'abs({0}{{cluster="one"}} - time()) < 120',
        'absent({0}{{cluster="two"}})',
    ),
    "rotate_cluster_clock_offset_seconds": ('abs({0}{{cluster="one"}}) < 120',),
    "rotate_operator_expire_timestamp_seconds": ('abs({0}{{cluster="one"}} - time() - 20 * 86400) < 120',),
    "rotate_backend_reachable": ('{0}{{backend="file"}} == 1',),
    "rotate_start_timestamp_seconds": ("abs({0} - time()) < 120",),
    "rotate_leader": ("{0} == 1",),
    "rotate_config_valid": ("{0} == 1",),
    "rotate_config_loaded_timestamp_seconds": ("abs({0} - time()) < 120",),
    "rotate_build_info": (f'{{0}}{{{{version="{rotator.__version__}"}}}} == 1',),
    "rotate_run_timestamp_seconds": ('abs({0}{{job="textfile"}} - time()) < 120',),
    "rotate_run_exit_code": ('{0}{{job="textfile"}} == 4',),
    "rotate_rotations_total": ('{0}{{credential="new",cluster="one",reason="first-issue"}} == 1', "sum({0}) == 1"),
    "rotate_runs_total": (
        '{0}{{cluster="one",outcome="done",reason="up-to-date"}} == 2',
        '{0}{{cluster="one",outcome="failed"}} == 1',
        '{0}{{cluster="one",outcome="in-flight",reason="rotation-in-flight"}} == 1',
        '{0}{{cluster="two",outcome="failed",reason="cluster-unreachable"}} == 1',
    ),
    "rotate_decisions_total": ('{0}{{reason="first-issue"}} == 1', '{0}{{reason="orphan"}} == 1'),
    "rotate_steps_total": (
        '{0}{{cluster="one",step="publish",outcome="done"}} == 1',
        '{0}{{cluster="one",step="fence",outcome="done"}} == 1',
    ),
    "rotate_step_failures_total": ('{0}{{cluster="one",step="observe"}} == 1',),
    "rotate_orphans_total": ('{0}{{cluster="one"}} == 1',),
    "rotate_notifications_lost_total": ("{0} == 0",),
    "rotate_step_duration_seconds": (
        '{0}_count{{step="publish"}} == 1',
        '0 < histogram_quantile(0.5, {0}_bucket{{step="publish"}}) < 10',
        '{0}_sum{{step="verify"}} > 0',
    ),
}
"""What PromQL has to say of each metric once the service has looked at everything."""


@dataclass(frozen=True)
class Scene:
    """Everything that runs."""

    lab: Lab
    service: Serving
    url: str
    textfile: Path
    server: Prometheus


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, watch: Callable[[str], None]) -> Iterator[Scene]:
    """Run a cluster with every kind of credential, one that is down, a service, a single run, and Prometheus."""
    folder = tmp_path_factory.mktemp("scene")
    with ExitStack() as stack:
        lab = peopled(folder, watch, stack)
        textfile = folder / "textfile" / "rotate.prom"
        textfile.parent.mkdir()
        service = stack.enter_context(serving(lab))
        service.until("answering at ")
        url = service.until("\n")
        files = stack.enter_context(published(textfile.parent))
        jobs = [
            job("rotate", urlsplit(url).netloc, "/metrics"),
            job("textfile", files, "/rotate.prom", "rotate_run_.+"),
        ]
        service.until("new  mark       done")
        assert lab.call("due", "--metrics-file", str(textfile)).exit_code == 4
        server = stack.enter_context(prometheus(folder, {"scrape_configs": jobs}))
        assert server.until('count(up == 1) == 2 and sum(rotate_credentials{state="new",job="rotate"}) == 0')
        yield Scene(lab, service, url, textfile, server)
        assert service.stopped() == 0


def peopled(folder: Path, watch: Callable[[str], None], stack: ExitStack) -> Lab:
    """Make the clusters and the credentials, as they are when the service comes."""
    time = Time()
    time.passed = (datetime.now(UTC) - START).total_seconds()
    lab = Lab(folder, time, watch)
    for name in ("one", "two"):
        stack.callback(lab.add_cluster(name).close)
    lab.extra["service"] = {"listen": "127.0.0.1:0", "retries": {"first": "1h"}}  # nothing changes while it is counted
    lab.add("ci", lifetime="90d", every="30d", overlap="24h")
    lab.add("orphaned")
    lab.add("busy")
    assert lab.call("due").exit_code == 0
    assert lab.call("now", "ci").exit_code == 0
    for name, age in (("orphaned", timedelta(hours=1)), ("busy", timedelta())):
        marker = Marker("lab", name, "0badcafe", lab.time.now() - age)
        watch(lab.pve.add_token(USER, f"{name}-2-aaaaa", privsep=False, comment=marker.comment()))
    lab.add("new")
    lab.add("idle", paused=True)
    lab.add("bad", user="nobody@pve")
    lab.add("far", cluster="two")
    lab.clusters["two"].nodes[0].down = True
    renewed = lab.time.now() + LATER
    lab.pve.delete_token("op@pve!rot")
    lab.environ["ROTATE_TEST_OPERATOR_ONE"] = lab.pve.add_token(
        "op@pve", "rot", privsep=False, expire=int(renewed.timestamp())
    )
    watch(lab.environ["ROTATE_TEST_OPERATOR_ONE"])
    return lab


def job(name: str, target: str, path: str, keeps: str = ".+") -> dict[str, object]:
    """Configure a scrape once a second, of which some metrics are kept."""
    return {
        "job_name": name,
        "scrape_interval": "1s",
        "metrics_path": path,
        "static_configs": [{"targets": [target]}],
        "metric_relabel_configs": [{"action": "keep", "source_labels": ["__name__"], "regex": keeps}],
    }


class Files(SimpleHTTPRequestHandler):
    """Shows a folder, as node_exporter would show what it found there."""

    extensions_map = {".prom": "text/plain; version=0.0.4"}  # noqa: RUF012 - as in the class above it

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@contextmanager
def published(folder: Path) -> Iterator[str]:
    """Serve a folder; returns the address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Files, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_every_metric_of_the_page_is_asked_for() -> None:
    """None can be added without being seen in Prometheus."""
    assert list(TOLD) == [metric.name for metric in METRICS]


@pytest.mark.parametrize("name", TOLD)
def test_a_metric_arrives_with_its_value(scene: Scene, name: str) -> None:
    """As PromQL sees it."""
    for template in TOLD[name]:
        assert scene.server.until(template.format(name)), f"{template.format(name)}: {scene.server.query(name)}"


@pytest.mark.parametrize("kind", ["service", "single run"])
def test_promtool_finds_nothing_wrong(scene: Scene, kind: str) -> None:
    """Neither with what the service shows nor with what a single run wrote."""
    text = requests.get(f"{scene.url}/metrics", timeout=10).text if kind == "service" else scene.textfile.read_text()
    command = ["promtool", "check", "metrics"]
    checked = subprocess.run(command, input=text, capture_output=True, text=True, timeout=20, check=False)  # noqa: S603 - ours
    assert (checked.returncode, checked.stderr + checked.stdout) == (0, "")


def test_a_refused_configuration_arrives(scene: Scene) -> None:
    """The last one of this module: nothing else is changed by it."""
    text = scene.lab.config.read_text()
    scene.lab.config.write_text("version: 1\n")
    scene.service.signal(signal.SIGHUP)
    assert scene.server.until("rotate_config_valid == 0")
    scene.lab.config.write_text(text)
    scene.service.signal(signal.SIGHUP)
    assert scene.server.until("rotate_config_valid == 1")
