"""The workflows are well-formed, may do little, and run nothing that can become something else overnight."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / ".github"
WORKFLOWS = sorted((FOLDER / "workflows").iterdir())
WRITES = {
    ("release.yaml", "build"): {"id-token", "attestations"},
    ("release.yaml", "publish"): {"contents"},
    ("release.yaml", "image"): {"packages", "id-token", "attestations"},
}
"""What may be written, and by which job alone."""


def run(*command: str) -> str:
    """Run a program that has to find nothing; returns what it said."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 - constants
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def jobs(workflow: Path) -> dict[str, dict[str, Any]]:
    """Return the jobs of a workflow by name."""
    found: dict[str, dict[str, Any]] = yaml.safe_load(workflow.read_text(encoding="utf-8"))["jobs"]
    return found


def test_zizmor_finds_nothing() -> None:
    """Injection, credentials that stay, permissions, pins: asked of nobody but the files, and pedantically."""
    run("zizmor", "--offline", "--no-progress", "--persona=pedantic", str(FOLDER))


@pytest.mark.parametrize(
    ("schema", "files"), [("github-workflows", WORKFLOWS), ("dependabot", [FOLDER / "dependabot.yml"])]
)
def test_a_file_is_one_that_github_takes(schema: str, files: list[Path]) -> None:
    """Every key is in its schema."""
    run("check-jsonschema", f"--builtin-schema=vendor.{schema}", *map(str, files))


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_every_action_is_pinned_by_its_commit(workflow: Path) -> None:
    """A tag can be moved; the version stands behind for people."""
    used = re.findall(r"uses: (.*)", workflow.read_text(encoding="utf-8"))
    assert used
    assert [it for it in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", it)] == []


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_a_job_may_write_what_it_has_to(workflow: Path) -> None:
    """Permissions are given to jobs one by one, and none to the whole."""
    assert yaml.safe_load(workflow.read_text(encoding="utf-8"))["permissions"] == {}
    for name, job in jobs(workflow).items():
        writes = {key for key, value in job["permissions"].items() if value != "read"}
        assert writes == WRITES.get((workflow.name, name), set())


def test_what_they_make_exists() -> None:
    """Each target that a job makes is one of ours."""
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    steps = [step for workflow in WORKFLOWS for job in jobs(workflow).values() for step in job["steps"]]
    made = {name for step in steps for name in re.findall(r"\bmake ([a-z-]+)", step.get("run", ""))}
    assert {"check", "test", "test-system", "test-live", "release-check"} <= made <= targets


def test_the_tests_with_programs_have_all_of_debian_that_they_need() -> None:
    """The command that reads the list finds every package of it, and no word of what they are for."""
    (step,) = [it for it in jobs(FOLDER / "workflows" / "ci.yaml")["system"]["steps"] if "run" in it]
    found = re.search(r"sed -n \"(.*?)\" (\S+)", step["run"])
    assert found
    listed = run("sed", "-n", found[1], found[2]).splitlines()
    lines = (ROOT / "requirements" / "debian.txt").read_text(encoding="utf-8").splitlines()
    assert listed == [line.split()[0] for line in lines if not line.startswith("#")]


def test_all_supported_pythons_are_tested() -> None:
    """As ``requires-python`` has them."""
    matrix = jobs(FOLDER / "workflows" / "ci.yaml")["test"]["strategy"]["matrix"]["python"]
    assert matrix == re.findall(r"Python :: (3\.\d+)", (ROOT / "pyproject.toml").read_text(encoding="utf-8"))


DOCKER = """#!/bin/sh
case "$1" in
  pull) echo "$3" >"$PULLED" ;;
  image) echo "python@sha256:0123" ;;
esac
"""


def test_the_image_of_a_release_is_built_on_a_base_that_cannot_move(tmp_path: Path) -> None:
    """The step is typed as it stands, with a docker that tells a digest for the base that the Dockerfile names."""
    steps = jobs(FOLDER / "workflows" / "release.yaml")["image"]["steps"]
    named, built = (next(it for it in steps if it.get("id") == name) for name in ("base", "build"))
    docker, out, pulled = tmp_path / "docker", tmp_path / "output", tmp_path / "pulled"
    docker.write_text(DOCKER)
    docker.chmod(0o755)
    environment = {
        "PATH": f"{tmp_path}:/usr/bin:/bin",
        "PULLED": str(pulled),
        "GITHUB_OUTPUT": str(out),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
    }
    script = ["bash", "-e", "-o", "pipefail", "-c", named["run"]]
    subprocess.run(script, cwd=ROOT, env=environment, check=True, capture_output=True)  # noqa: S603 - the workflow's own
    assert out.read_text() == "digest=python@sha256:0123\n"
    assert f"ARG BASE={pulled.read_text()}" in (ROOT / "deploy/container/Dockerfile").read_text()
    assert "BASE=${{ steps.base.outputs.digest }}" in built["with"]["build-args"].splitlines()
