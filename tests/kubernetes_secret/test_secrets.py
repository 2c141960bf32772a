"""No log level, no exception and no echo of a server's brings a secret to light; and what the library costs."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

from rotator_backends import kubernetes_secret
from rotator_backends.kubernetes_secret import EXTRA

ROOT = Path(__file__).parents[2]
ABSENT = """
import sys
sys.modules["kubernetes"] = None
from rotator.errors import ConfigError
from rotator_backends.kubernetes_secret import KubernetesBackend
try:
    KubernetesBackend.configure({})
except ConfigError as error:
    print(error.message, error.hint, sep="|")
"""


def run(*arguments: str, entered: str = "") -> str:
    """Run Python in a process of its own and return all that it let out."""
    command = [sys.executable, *arguments]
    done = subprocess.run(  # noqa: S603 - our own interpreter and arguments
        command, cwd=ROOT, input=entered, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout + done.stderr


def test_nothing_shows_a_secret_however_loud_the_libraries_are(canaries: tuple[str, ...]) -> None:
    """Old value, new value and bearer token stay out of everything, with all loggers and dumps at their loudest."""
    out = run("-m", "tests.kubernetes_secret.loud", entered="\n".join(canaries[:3]))
    assert "Starting new HTTPS connection" in out
    assert "Starting new HTTP connection" in out
    expected = ("may have been changed or not", "was made by somebody else", "words that hold a value", "it lacks what")
    assert [said for said in expected if said not in out] == []
    assert "send: " not in out
    assert "response body" not in out
    assert [number for number, secret in enumerate(canaries[:3]) if secret in out] == []


def test_a_backend_that_nobody_configures_costs_nothing() -> None:
    """Its module is imported to know its name and traits; the library of 0.4 s only when it is configured."""
    code = "import rotator_backends.kubernetes_secret, sys; print(sorted({'kubernetes', 'urllib3'} & set(sys.modules)))"
    assert run("-c", code).strip() == "[]"


def test_a_library_that_is_not_installed_is_one_line() -> None:
    """It says what to install."""
    said = "the kubernetes backend needs a library that is not installed: kubernetes"
    assert run("-c", ABSENT).strip() == f"{said}|pip install '{EXTRA}'"


def test_the_extra_is_the_one_that_the_package_has() -> None:
    """The hint can be typed, and the entry point leads to the class."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f"{project['name']}[kubernetes]" == EXTRA
    assert project["optional-dependencies"]["kubernetes"] == ["kubernetes>=37", "urllib3>=2"]
    entry = project["entry-points"]["rotator.backends"]["kubernetes"]
    assert entry == "rotator_backends.kubernetes_secret:KubernetesBackend"


def test_one_module_knows_the_library() -> None:
    """Everything else would go on if it were another one."""
    knowing = {
        path.name
        for path in Path(kubernetes_secret.__file__).parent.glob("kubernetes_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        and {"kubernetes", "urllib3"} & {name.partition(".")[0] for name in imported(node)}
    }
    assert knowing == {"kubernetes_client.py"}


def imported(node: ast.Import | ast.ImportFrom) -> list[str]:
    """Return the modules that a statement imports from."""
    return [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
