"""The architecture holds: the contracts in pyproject.toml, and what they cannot say."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

from tests.repo.tree import ROOT, calls, imported, pyproject, sources

CONTRACTS = pyproject()["tool"]["importlinter"]["contracts"]
PURE = tuple(module.replace(".", "/") + ".py" for module in CONTRACTS[0]["source_modules"])
CLOCK_READINGS = {"now", "utcnow", "today", "time", "monotonic"}


def test_every_import_contract_is_kept() -> None:
    """Imports go down the layers only."""
    linter = Path(sys.executable).with_name("lint-imports")
    command = [str(linter), "--no-logo", "--no-cache"]
    result = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)  # noqa: S603 - constant
    assert result.returncode == 0, result.stdout


def test_every_contract_is_named_by_a_sentence() -> None:
    """Who breaks a contract reads its name first."""
    assert all(len(contract["name"].split()) > 4 for contract in CONTRACTS)


def test_pure_modules_read_no_clock() -> None:
    """An import of ``datetime`` is harmless, asking it for the time is not."""
    readings = [
        f"{name}:{call.lineno}"
        for name in PURE
        for call in calls(name)
        if isinstance(call.func, ast.Attribute)
        and call.func.attr in CLOCK_READINGS
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id in {"datetime", "date", "time"}
    ]
    assert readings == []


def family(module: str) -> str:
    """Return the backend that a module of ``rotator_backends`` belongs to: ``file_lock`` is a part of ``file``."""
    return module.partition("_")[0]


def test_no_backend_imports_another() -> None:
    """A backend can be copied out of the tree, or thrown away, alone."""
    strays = [
        f"{name} imports {path}"
        for name in sources("backends/rotator_backends/")
        for _, path in imported(name)
        if path.startswith("rotator_backends.") and family(path.split(".")[1]) != family(Path(name).stem)
    ]
    assert strays == []
