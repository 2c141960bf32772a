"""A copy of the tree in which mutants can live, with every function in sight.

mutmut leaves functions with a decorator alone, and half of ``rotator.view`` is properties. So in the copy ``@property``
before a function becomes an assignment after it, which means the same.
"""

from __future__ import annotations

import ast
import shutil
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[2]
COPIED = ("rotator", "backends", "tests", "pyproject.toml")
UNDONE = {"property", "cached_property"}


def copied(to: Path, mutated: Iterable[str]) -> None:
    """Copy the tree to an empty folder, with every function of these modules in sight."""
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir(parents=True)
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, to / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, to / name)
    for name in mutated:
        path = to / name
        path.write_text(undecorated(path.read_text()))


def undecorated(code: str) -> str:
    """Write ``@property`` before a function as an assignment after it."""
    lines = code.splitlines()
    for node in reversed([node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.FunctionDef)]):
        names = [decorator.id for decorator in node.decorator_list if isinstance(decorator, ast.Name)]
        if len(names) == len(node.decorator_list) == 1 and names[0] in UNDONE and node.end_lineno:
            lines.insert(node.end_lineno, f"{' ' * node.col_offset}{node.name} = {names[0]}({node.name})")
            del lines[node.decorator_list[0].lineno - 1]
    return "\n".join(lines) + "\n"
