"""A backend of somebody else's package, installed the way a user installs it, is as good as ours."""

from __future__ import annotations

import ast
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from rotator.registry import GROUP, names
from tests.cli.lab import Lab, Time

EXAMPLE = Path(__file__).parent / "example_store"
DOCUMENT = (Path(__file__).parents[2] / "backends" / "README.md").read_text(encoding="utf-8")
MEANT = {
    "my_package": "rotate_sqlite",
    "MyBackend": "SqliteBackend",
    '{"odd-key"}': "set()",
    '"address": "http://127.0.0.1:8200"': '"database": DATABASE',
    '"path": f"test': '"record": f"test',
}
"""What stands for one's own in the guide's example of the suite, and what it is here."""
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-index")
TAKEN = ("rotator.backend", "rotator.errors", "rotator.model")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the package beside the product, without a network, and return where."""
    folder = tmp_path_factory.mktemp("site")
    command = (*PIP, "--no-deps", "--no-build-isolation", "--target", str(folder), str(EXAMPLE))
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - constant
    return folder


@pytest.fixture
def lab(tmp_path: Path, site: Path, watch: Callable[[str], None]) -> Iterator[Lab]:
    """Give a simulated PVE, and a configuration whose one credential goes into the database."""
    made = Lab(tmp_path, Time(), watch)
    made.add_cluster("one")
    made.environ["PYTHONPATH"] = str(site)
    made.extra["backends"] = {"records": {"type": "sqlite", "database": str(tmp_path / "records.db")}}
    made.add("ci", destination={"backend": "records", "record": "ci"})
    yield made
    made.pve.close()


def python(site: Path, *arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run Python where the package is installed."""
    environ = {**os.environ, "PYTHONPATH": str(site)}
    command = [sys.executable, *arguments]
    return subprocess.run(  # noqa: S603 - ours
        command, cwd=folder, env=environ, capture_output=True, text=True, check=False
    )


def stored(lab: Lab) -> dict[str, str]:
    """Read the record past the backend, as a consumer does."""
    with closing(sqlite3.connect(lab.folder / "records.db")) as database:
        fields = dict(database.execute("SELECT key, value FROM fields WHERE record = 'ci'").fetchall())
    lab.watch(fields["token_secret"])
    return fields


def test_what_is_installed_is_listed(site: Path) -> None:
    """The entry point is all it takes: beside ours, and without being imported."""
    code = "import sys, rotator.registry as r; print(*r.names()); assert 'rotate_sqlite' not in sys.modules"
    done = python(site, "-c", code)
    assert (done.stderr, done.stdout.split()) == ("", sorted([*names(), "sqlite"]))


def test_a_configuration_that_uses_it_is_right(lab: Lab) -> None:
    """Its settings are checked where ours are, and every fault is told with its line."""
    assert lab.run("config", "check")[0] == 0
    lab.add("other", destination={"backend": "records", "rekord": "other"})
    code, out, err = lab.run("config", "check")
    assert code == 3
    assert "rekord: not a setting" in out + err
    assert "record: required, a text" in out + err


def test_a_real_process_rotates_into_it(lab: Lab) -> None:
    """First issue and rotation: what is stored logs in, the old token still does, and a key by hand is kept."""
    assert lab.run("due")[0] == 0
    first = stored(lab)
    with closing(sqlite3.connect(lab.folder / "records.db")) as database, database:
        database.execute("INSERT INTO fields VALUES ('ci', 'note', 'by hand')")
    code, out, err = lab.run("now", "ci")
    assert code == 0, out + err
    second = stored(lab)
    assert second["note"] == "by hand"
    assert second["token_id"] != first["token_id"]
    for record in (first, second):
        assert lab.pve.accepts(record["token_id"], record["token_secret"])
    assert lab.run("verify")[0] == 0


def test_it_keeps_the_promises_of_a_backend(site: Path, tmp_path: Path) -> None:
    """The suite that is shipped passes where the package is installed, with nothing of this repository on the path."""
    arguments = (
        "-q",
        "-p",
        "no:cacheprovider",
        "-c",
        os.devnull,
        "--rootdir",
        str(tmp_path),
        str(EXAMPLE / "contract.py"),
    )
    done = python(site, "-m", "pytest", *arguments, "--basetemp", str(tmp_path / "base"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


def test_the_guide_s_own_test_runs(site: Path, tmp_path: Path) -> None:
    """As it stands there, with this backend's names in it; two of its tests, since all of them run above."""
    (text,) = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
    for theirs, ours in MEANT.items():
        assert theirs in text
        text = text.replace(theirs, ours)
    text = text.replace("DATABASE", repr(str(tmp_path / "records.db")))
    (tmp_path / "test_mine.py").write_text(text, encoding="utf-8")
    options = ("-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", ".", "-k", "preflight or odd-key")
    done = python(site, "-m", "pytest", *options, "test_mine.py", "--basetemp", "base", folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_it_takes_nothing_of_the_core_but_the_protocol_the_values_and_the_errors(site: Path) -> None:
    """What a backend may import is three modules, so that all others may change."""
    tree = ast.parse((site / "rotate_sqlite.py").read_text(encoding="utf-8"))
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name for name in modules if name and name.startswith("rotator")} == set(TAKEN)
    assert GROUP in (EXAMPLE / "pyproject.toml").read_text(encoding="utf-8")
