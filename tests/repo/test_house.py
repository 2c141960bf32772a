"""The papers of the house are in step with the code: changelog, contributing, Makefile, continuous integration."""

from __future__ import annotations

import os
import re

import rotator
from tests.repo.tree import ROOT, markdown, pyproject, read

TARGETS = set(re.findall(r"^([a-z-]+):.*## ", read("Makefile"), flags=re.MULTILINE))


def test_the_newest_entry_of_the_changelog_is_this_version() -> None:
    """A release and its description carry the same number."""
    newest = re.search(r"^## \[(.+?)\] - (?:unreleased|\d{4}-\d{2}-\d{2})$", read("CHANGELOG.md"), flags=re.MULTILINE)
    assert newest is not None
    assert newest[1] == rotator.__version__


def test_the_command_is_called_rotate() -> None:
    """The console script has the name that all the documents use."""
    assert pyproject()["project"]["scripts"] == {"rotate": "rotator.cli.main:main"}


def test_every_target_says_what_it_does_when_it_does_it() -> None:
    """Who types ``make x`` reads in one line what is going on."""
    recipes = re.findall(r"^([a-z-]+):.*## .*\n\t(.*)", read("Makefile"), flags=re.MULTILINE)
    assert {target for target, first in recipes if first.startswith(f'@echo "{target}: ')} == TARGETS - {"help"}


def test_the_targets_for_people_are_there() -> None:
    """The four commands that everybody needs exist."""
    assert {"demo", "test", "check", "fix"} <= TARGETS


def test_every_make_command_in_the_documents_exists() -> None:
    """What a document tells to type can be typed."""
    told = {
        (name, target)
        for name in markdown()
        for target in re.findall(r"(?:`|^|\$ )make ([a-z-]+)", read(name), re.MULTILINE)
    }
    assert {(name, target) for name, target in told if target not in TARGETS} == set()


def test_contributing_lists_every_target() -> None:
    """A target that nobody knows of is not used."""
    listed = set(re.findall(r"`make ([a-z-]+)`", read("CONTRIBUTING.md")))
    assert listed == TARGETS - {"help"}


def test_continuous_integration_can_be_run_by_hand() -> None:
    """The script is executable and stops at the first failure."""
    assert os.access(ROOT / ".ci/run", os.X_OK)
    assert "set -euo pipefail" in read(".ci/run")
