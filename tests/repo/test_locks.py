"""The locks are in step with pyproject.toml and hold anywhere; found out without asking anybody."""

from __future__ import annotations

import re

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from tests.repo.tree import ROOT, pyproject, read

NAME = canonicalize_name(pyproject()["project"]["name"])
RUNTIME = [Requirement(line) for line in pyproject()["project"]["dependencies"]]
DEVELOPMENT = [Requirement(line) for line in pyproject()["dependency-groups"]["dev"]]
EXTRAS = [Requirement(line) for lines in pyproject()["project"]["optional-dependencies"].values() for line in lines]
BUILD = [Requirement(line) for line in pyproject()["dependency-groups"]["build"]]
CONSUMERS = [Requirement(line) for line in pyproject()["dependency-groups"]["consumers"]]
MUTANTS = [Requirement(line) for line in pyproject()["dependency-groups"]["mutants"]]
SYSTEM = [Requirement(line) for line in pyproject()["dependency-groups"]["system"]]
INSTALLER = [Requirement(line) for line in pyproject()["dependency-groups"]["installer"]]
LOCKS = {
    "runtime": RUNTIME,
    "uv": INSTALLER,
    "dev": RUNTIME + DEVELOPMENT,
    "image": RUNTIME + EXTRAS,
    "build": BUILD,
    "consumers": CONSUMERS,
    "mutants": MUTANTS,
    "system": SYSTEM,
}


def blocks(lock: str) -> dict[str, str]:
    """Return the text of each pin of a lock, its hashes and origins included, by canonical name."""
    parts = re.split(r"^(?=[A-Za-z0-9])", read(f"requirements/{lock}.txt"), flags=re.MULTILINE)[1:]
    return {canonicalize_name(part.partition("==")[0]): part for part in parts}


def version(block: str) -> str:
    """Return the version of a pin."""
    return block.partition("==")[2].split()[0]


@pytest.mark.parametrize("lock", LOCKS)
def test_each_dependency_is_pinned_where_the_project_wants_it(lock: str) -> None:
    """Changing a bound in pyproject.toml without ``make lock`` fails here."""
    pins = {name: version(block) for name, block in blocks(lock).items()}
    wrong = [
        str(wanted)
        for wanted in LOCKS[lock]
        if not wanted.specifier.contains(pins.get(canonicalize_name(wanted.name), "0"))
    ]
    assert wrong == []


@pytest.mark.parametrize("lock", LOCKS)
def test_the_project_pulls_in_nothing_that_it_does_not_name(lock: str) -> None:
    """Removing a dependency without ``make lock`` fails here."""
    ours = rf"#\s+(?:via )?{NAME} \(pyproject\.toml(?::\w+)?\)"
    direct = {name for name, block in blocks(lock).items() if re.search(ours, block)}
    assert direct == {canonicalize_name(wanted.name) for wanted in LOCKS[lock]}


def test_the_product_is_tested_with_what_it_runs_with() -> None:
    """Both locks pin the same versions."""
    dev = {name: version(block) for name, block in blocks("dev").items()}
    assert {name: version(block) for name, block in blocks("runtime").items()}.items() <= dev.items()


@pytest.mark.parametrize("lock", ["build", "image", "mutants", "system"])
def test_what_is_put_beside_the_tests_is_what_they_use(lock: str) -> None:
    """What both locks pin they pin alike: the one is put beside the other, or shipped after the tests of the other."""
    dev = {name: version(block) for name, block in blocks("dev").items()}
    both = {name: version(block) for name, block in blocks(lock).items() if name in dev}
    assert both
    assert both.items() <= dev.items()


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_hashes(lock: str) -> None:
    """An installation takes what was locked or nothing."""
    assert [name for name, block in blocks(lock).items() if "--hash=sha256:" not in block] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_place(lock: str) -> None:
    """Where packages come from is the business of whoever installs them."""
    assert re.findall(r"://|--(?:extra-)?index-url|--find-links|@ file", read(f"requirements/{lock}.txt")) == []


def test_the_supported_pythons_are_named_alike() -> None:
    """The bounds, the classifiers and the Makefile speak of the same versions."""
    project = pyproject()["project"]
    bounds = SpecifierSet(project["requires-python"])
    supported = [f"3.{minor}" for minor in range(20) if bounds.contains(f"3.{minor}")]
    classified = re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))
    sought = re.findall(r"python(3\.\d+)", read("Makefile"))
    assert classified == supported
    assert sorted(sought) == supported


@pytest.mark.parametrize("store", ["kubernetes", "vault"])
def test_a_store_that_speaks_by_urllib3_wants_one_that_it_can_use(store: str) -> None:
    """An older one comes with other packages and fails in the middle of a call, after something was sent."""
    wanted = {it.name: it for it in map(Requirement, pyproject()["project"]["optional-dependencies"][store])}
    assert any("import urllib3" in it.read_text() for it in (ROOT / "backends").rglob(f"{store}*.py"))
    assert not wanted["urllib3"].specifier.contains("1.26.20")
    assert wanted["urllib3"].specifier.contains("2.0.0")
