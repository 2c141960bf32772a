"""What the page on alerts tells to type works as it stands there."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import yaml

from tests.docs.pages import blocks
from tests.system.prometheus import promtool

PAGE = "deploy/observability/README.md"


def test_the_commands_of_the_page_work(tmp_path: Path) -> None:
    """In the folder, from the top; the rules get an address for their runbook, and become a resource."""
    folder = shutil.copytree(Path(__file__).parents[3] / "deploy" / "observability", tmp_path / "observability")
    for block in blocks(PAGE):
        if block.language == "sh":
            subprocess.run(["/bin/bash", "-euc", block.text], cwd=folder, check=True, timeout=60)  # noqa: S603 - the page
    rules = yaml.safe_load((folder / "rotate.rules.yaml").read_text(encoding="utf-8"))
    urls = [rule["annotations"]["runbook_url"] for group in rules["groups"] for rule in group["rules"]]
    assert all(
        url.startswith("https://git.example.com/infra/rotate/src/deploy/observability/runbook.md#") for url in urls
    )
    resource = yaml.safe_load((folder / "prometheusrule.yaml").read_text(encoding="utf-8"))
    assert (resource["kind"], resource["spec"]) == ("PrometheusRule", rules)


def test_the_configuration_of_the_page_is_one(tmp_path: Path) -> None:
    """Prometheus takes it."""
    (text,) = [block.text for block in blocks(PAGE) if block.language == "yaml"]
    (tmp_path / "prometheus.yml").write_text(text, encoding="utf-8")
    shutil.copy(Path(__file__).parents[3] / "deploy" / "observability" / "alerts.yaml", tmp_path / "rotate.rules.yaml")
    checked = promtool("check", "config", tmp_path / "prometheus.yml")
    assert (checked.returncode, checked.stderr) == (0, "")
