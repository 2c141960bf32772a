"""The repository as its own tests see it: files under version control, and Python sources as syntax trees."""

from __future__ import annotations

import ast
import subprocess
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SHIPPED = ("rotator/", "backends/")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def tracked() -> tuple[str, ...]:
    """List the files under version control that are there; a checkout may belong to somebody else than us."""
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)  # noqa: S603 - constant
    return tuple(name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file())


@cache
def read(name: str) -> str:
    """Read a text file of the repository."""
    return (ROOT / name).read_text()


@cache
def pyproject() -> dict[str, Any]:
    """Read ``pyproject.toml``."""
    return tomllib.loads(read("pyproject.toml"))


def sources(*prefixes: str) -> tuple[str, ...]:
    """List the Python files, of the whole repository or under some folders."""
    return tuple(name for name in tracked() if name.endswith(".py") and name.startswith(prefixes or ""))


@cache
def parsed(name: str) -> ast.Module:
    """Parse a Python file."""
    return ast.parse(read(name), name)


def functions(name: str) -> Iterator[Function]:
    """Yield all functions and methods of a file."""
    return (node for node in ast.walk(parsed(name)) if isinstance(node, Function))


def calls(name: str) -> Iterator[ast.Call]:
    """Yield all calls in a file."""
    return (node for node in ast.walk(parsed(name)) if isinstance(node, ast.Call))


def imported(name: str) -> Iterator[tuple[str, str]]:
    """Yield what a file imports: the name it gets there and the dotted path it stands for."""
    for node in ast.walk(parsed(name)):
        if isinstance(node, ast.ImportFrom):
            yield from ((alias.asname or alias.name, f"{node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.asname or alias.name.partition(".")[0], alias.name) for alias in node.names)


def markdown() -> tuple[str, ...]:
    """List the Markdown files."""
    return tuple(name for name in tracked() if name.endswith(".md"))
