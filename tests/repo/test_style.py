"""What the linter cannot check of the house style."""

from __future__ import annotations

import ast
import statistics

from tests.repo.tree import SHIPPED, Function, calls, functions, imported, parsed, read, sources

LONGEST_MODULE = 500
LONGEST_FUNCTION = 40
MEDIAN_FUNCTION = 9

LONG_MODULES: dict[str, str] = {}
"""Modules that may be longer, each with the reason."""

LONG_FUNCTIONS = {
    "tests/unit/test_config.py::test_everything_that_is_written_is_taken": "two literals: all keys, what they become",
}
"""Functions (``path::name``) that may be longer, each with the reason."""

LEFT_UNDONE = ("TO" + "DO", "FIX" + "ME", "XX" + "X", "pragma: no " + "cover", "NotImplemented" + "Error")
LEFT_OUT = ("skip", "skipif", "xfail", "importorskip")


def length(function: Function) -> int:
    """Count the lines of a function without its decorators and its docstring."""
    docstring = function.body[0] if ast.get_docstring(function) else None
    described = docstring.end_lineno - docstring.lineno + 1 if docstring and docstring.end_lineno else 0
    return (function.end_lineno or function.lineno) - function.lineno + 1 - described


def test_every_module_says_what_it_is() -> None:
    """A module without a docstring has no idea of its own."""
    assert [name for name in sources() if not ast.get_docstring(parsed(name))] == []


def test_every_test_says_what_it_claims_in_one_paragraph() -> None:
    """The docstring of a test is a sentence or two, and it is there."""
    mute = [
        f"{name}::{function.name}"
        for name in sources("tests/")
        for function in functions(name)
        if function.name.startswith("test_") and len((ast.get_docstring(function) or "\n").splitlines()) != 1
    ]
    assert mute == []


def test_modules_stay_short() -> None:
    """One idea for each module."""
    lines = {name: len(read(name).splitlines()) for name in sources()}
    assert {name for name, count in lines.items() if count >= LONGEST_MODULE} == set(LONG_MODULES)


def test_functions_stay_short() -> None:
    """A function fits on a screen, a usual one in a hand."""
    lengths = {f"{name}::{function.name}": length(function) for name in sources() for function in functions(name)}
    assert {name for name, count in lengths.items() if count >= LONGEST_FUNCTION} == set(LONG_FUNCTIONS)


def test_the_usual_function_is_very_short() -> None:
    """Half of the functions of the product have no more than nine lines."""
    shipped = [length(function) for name in sources(*SHIPPED) for function in functions(name)]
    assert statistics.median(shipped) <= MEDIAN_FUNCTION


def called(call: ast.Call) -> str:
    """Return the dotted name of what is called, as far as it is one."""
    return ast.unparse(call.func) if isinstance(call.func, ast.Name | ast.Attribute) else ""


def test_the_product_prints_nothing_by_itself() -> None:
    """Output goes through the command line's own console, which knows ``--json``."""
    assert [
        f"{name}:{call.lineno}" for name in sources(*SHIPPED) for call in calls(name) if called(call) == "print"
    ] == []


def test_no_test_sleeps() -> None:
    """Time is injected; a test that waits is slow, or flaky, or both."""
    sleeps = [
        f"{name}:{call.lineno}"
        for name in sources("tests/")
        for call in calls(name)
        if called(call) in {"sleep", "time.sleep"}
    ]
    assert sleeps == []


def patched(call: ast.Call) -> str:
    """Return the root of what a call replaces, '' when it replaces nothing."""
    if called(call).rpartition(".")[2] not in {"setattr", "delattr", "setitem", "delitem"} or not call.args:
        return ""
    target = call.args[0]
    return str(target.value) if isinstance(target, ast.Constant) else ast.unparse(target)


def test_no_test_patches_our_own_modules() -> None:
    """Doubles implement ports: a patched module proves nothing of the one that is shipped."""
    patches = []
    for name in sources("tests/"):
        ours = {local for local, path in imported(name) if path.startswith("rotator")} | {"rotator", "rotator_backends"}
        patches += [f"{name}:{call.lineno}" for call in calls(name) if patched(call).partition(".")[0] in ours]
    assert patches == []


def test_no_test_uses_mocks() -> None:
    """A mock agrees with whatever the code does to it."""
    mocking = ("unittest.mock", "mock", "pytest_mock")
    assert [name for name in sources() for _, path in imported(name) if path.startswith(mocking)] == []


def test_nothing_is_left_undone() -> None:
    """What is not done is not there."""
    found = [(name, word) for name in sources() for word in LEFT_UNDONE if word in read(name)]
    assert found == []


def test_no_test_is_left_out() -> None:
    """A test that does not run proves nothing and looks as if it did."""
    marks = [
        f"{name}:{node.lineno}"
        for name in sources("tests/")
        for node in ast.walk(parsed(name))
        if isinstance(node, ast.Attribute) and node.attr in LEFT_OUT and ast.unparse(node).startswith("pytest.")
    ]
    assert marks == []
