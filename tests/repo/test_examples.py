"""Every configuration that is shown, in ``examples/`` and in the documents, is one that works."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import trustme

from rotator import config, registry
from tests.repo.tree import markdown, read, tracked

READ_AT_ONCE = re.compile(r"\b(?:ca|file|password_file): *([/~.\w-][^\s,}]*)")
"""Files that are looked at while the configuration is checked."""
BLOCK = re.compile(r"^( *)```ya?ml\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


class AnyVariable(Mapping[str, str]):
    """An environment in which every variable is set."""

    def __getitem__(self, name: str) -> str:
        return f"value of {name}"

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def shown() -> Iterator[tuple[str, str]]:
    """Yield each configuration with where it stands; parts of one are left out."""
    for name in tracked():
        if name.startswith("examples/") and name.endswith((".yaml", ".yml")):
            yield name, read(name)
    for name in markdown():
        for number, (_, block) in enumerate(BLOCK.findall(read(name)), 1):
            yield f"{name} block {number}", textwrap.dedent(block)


CONFIGURATIONS = {place: text for place, text in shown() if re.search(r"^credentials:", text, re.MULTILINE)}


def test_there_is_an_example() -> None:
    """The front page shows what to write."""
    assert [place for place in CONFIGURATIONS if place.startswith("README.md")] != []


@pytest.mark.parametrize("place", CONFIGURATIONS)
def test_a_configuration_that_is_shown_is_valid(tmp_path: Path, place: str) -> None:
    """Who copies an example, and has the files that it names, gets no error."""
    named = tmp_path / "named"
    trustme.CA().cert_pem.write_to_path(named)
    named.chmod(0o600)
    file = tmp_path / "rotator.yaml"
    file.write_text(READ_AT_ONCE.sub(lambda found: found[0].replace(found[1], str(named)), CONFIGURATIONS[place]))
    assert config.load(file, find_backend=registry.find, environ=AnyVariable()).credentials != ()
