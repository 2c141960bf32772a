"""Backends are found by entry point, and what is wrong with one is said."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rotator import registry
from rotator.errors import ConfigError
from rotator_backends.file import FileBackend

GOOD = """
from rotator.backend import Traits

class Good:
    traits = Traits()
    configure = classmethod(lambda cls, settings: cls())
    locate = read = write = preflight = close = lambda self, *args, **kwargs: None
"""

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Give a function that installs a plug-in: a module, and the metadata that pip would put beside it."""

    def installed(module: str, source: str, entry: str, *, extras: str = "", package: str = "") -> None:
        package = package or module
        metadata = tmp_path / f"{package}-1.5.dist-info"
        metadata.mkdir()
        (tmp_path / f"{module}.py").write_text(source)
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.5\n{extras}")
        (metadata / "entry_points.txt").write_text(f"[rotator.backends]\n{entry}\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.delitem(sys.modules, module, raising=False)

    return installed


def fault(type_name: str) -> ConfigError:
    """Return what is said of a backend that is not to be had."""
    with pytest.raises(ConfigError) as caught:
        registry.find(type_name)
    assert caught.value.hint
    return caught.value


def test_the_file_backend_comes_by_the_same_door() -> None:
    """It is listed and found like everybody else's."""
    assert "file" in registry.names()
    assert registry.find("file") is FileBackend


def test_a_plug_in_is_found(install: Install) -> None:
    """Whatever is installed can be configured; the names are sorted."""
    install("plugin_good", GOOD, "good = plugin_good:Good\naaa = plugin_good:Good")
    assert registry.names()[0] == "aaa"
    assert set(registry.names()) >= {"aaa", "file", "good"}
    assert registry.names() == sorted(registry.names())
    assert registry.find("good").__name__ == "Good"


def test_only_what_is_asked_for_is_imported(install: Install) -> None:
    """A plug-in that cannot be imported is in nobody's way until it is configured."""
    install("plugin_bad", "raise RuntimeError('on import')", "bad = plugin_bad:Bad")
    assert "bad" in registry.names()
    assert registry.find("file") is FileBackend
    assert "plugin_bad" not in sys.modules


def test_the_core_imports_no_backend() -> None:
    """Listing them imports none, measured in a process of its own."""
    script = (
        "import sys; from rotator import registry; registry.names(); "
        "print([name for name in sys.modules if name.startswith('rotator_backends')])"
    )
    run = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)  # noqa: S603
    assert run.stdout == "[]\n"


def test_an_unknown_name_is_answered_with_what_there_is(install: Install) -> None:
    """The message lists what is installed, and claims nothing about what is not."""
    install("plugin_good", GOOD, "good = plugin_good:Good")
    error = fault("nonsense")
    assert error.message == (
        f"no backend of the name 'nonsense' is installed; installed: {', '.join(registry.names())}"
    )
    assert "install the package" in error.hint


def test_a_near_miss_is_recognised() -> None:
    """Most unknown names are typing errors."""
    assert fault("fiel").hint == "did you mean 'file'?"


def test_a_plug_in_that_fails_to_import_says_so(install: Install) -> None:
    """With the package that it came from."""
    install("plugin_bad", "raise RuntimeError('on import')", "bad = plugin_bad:Bad")
    error = fault("bad")
    assert error.message == "backend 'bad' of plugin_bad 1.5 cannot be imported: RuntimeError: on import"
    assert error.hint == "reinstall plugin_bad 1.5"
    assert isinstance(error.__cause__, RuntimeError)


def test_a_plug_in_whose_class_is_gone_says_so(install: Install) -> None:
    """Metadata of one version with the modules of another is a broken installation."""
    install("plugin_old", GOOD, "old = plugin_old:Gone")
    assert "AttributeError" in fault("old").message


@pytest.mark.parametrize(
    ("extras", "hint"),
    [
        ("Provides-Extra: lean\n", "its library is not installed: pip install 'plugin_lean[lean]'"),
        ("Provides-Extra: other\n", "reinstall plugin_lean 1.5"),
        ("", "reinstall plugin_lean 1.5"),
    ],
)
def test_a_missing_library_names_the_extra_that_brings_it(install: Install, extras: str, hint: str) -> None:
    """But only where the package really has an extra of that name."""
    install("plugin_lean", "import no_such_library_anywhere", "lean = plugin_lean:Lean", extras=extras)
    error = fault("lean")
    assert "ModuleNotFoundError: No module named 'no_such_library_anywhere'" in error.message
    assert error.hint == hint


def test_another_failure_is_not_cured_by_an_extra(install: Install) -> None:
    """The extra brings libraries; it does not mend a plug-in."""
    install("plugin_bad", "raise RuntimeError", "bad = plugin_bad:Bad", extras="Provides-Extra: bad\n")
    assert fault("bad").hint == "reinstall plugin_bad 1.5"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (GOOD.replace("read = ", "").replace("close = ", ""), "it lacks close, read"),
        (GOOD.replace("read = write", "read = 5; write"), "it lacks locate, read"),
        (GOOD.replace("traits = Traits()", ""), "its traits are no Traits"),
        (GOOD.replace("Traits()", "{}"), "its traits are no Traits"),
        ("Good = 5", "it is not a class"),
        ("class Good: pass", "it lacks close, configure, locate, preflight, read, write; its traits are no Traits"),
    ],
)
def test_what_is_no_backend_is_refused(install: Install, source: str, said: str) -> None:
    """All that it lacks is named at once."""
    install("plugin_half", source, "half = plugin_half:Good")
    error = fault("half")
    assert error.message == f"what plugin_half 1.5 installs as backend 'half' is no backend: {said}"
    assert "rotator.testing.backend_contract" in error.hint


def test_two_backends_of_one_name_are_refused(install: Install) -> None:
    """Which of them gets the secrets must not depend on the order of folders."""
    install("plugin_one", GOOD, "same = plugin_one:Good")
    install("plugin_two", GOOD, "same = plugin_two:Good")
    message = fault("same").message
    assert message == (
        "more than one backend is called 'same': plugin_one 1.5 (plugin_one:Good), plugin_two 1.5 (plugin_two:Good)"
    )
