"""Whatever a page shows can be read and fits what we write, and whatever it tells to type is typed by a test.

``python-hcl2`` was not taken: what is looked for is a bracket that is not closed, and a name that is not there.
"""

from __future__ import annotations

import configparser
import json
import re
import subprocess
import tomllib
from collections.abc import Callable, Iterable

import pytest
import yaml

from rotator.presets import PRESETS
from tests.docs import stages
from tests.docs.pages import GUIDES, ROOT, Block, blocks, read
from tests.docs.stages import PAGES, consoles, shells, untyped

SHELL = "/bin/sh"
PAIRS = {")": "(", "]": "[", "}": "{"}
OURS = re.compile(r"\b(?:PROXMOX_VE|PROXMOX|PM|PVE)_[A-Z_]+\b")
FOREIGN = {"PVE_TOKEN_ID", "PVE_TOKEN_SECRET"}
"""Variables that a page itself makes up."""


def check_sh(text: str) -> None:
    """Let a shell read it without doing it."""
    subprocess.run([SHELL, "-n"], input=text, text=True, check=True)  # noqa: S603 - the shell, and no execution


def check_yaml(text: str) -> None:
    """Read all documents in it."""
    assert [one for one in yaml.safe_load_all(text) if one] != []


def check_ini(text: str) -> None:
    """Read a unit of systemd; a key may stand there twice."""
    found = configparser.RawConfigParser(strict=False)
    found.read_string(text)
    assert found.sections() != []


def check_hcl(text: str) -> None:
    """Look whether every bracket is closed, and every variable that is used is there."""
    plain = re.sub(r'(?m)#.*$|"(?:[^"\\]|\\.)*"|<<-EOT\n(?:.*\n)*? *EOT$', "", text)
    opened: list[str] = []
    for sign in re.findall(r"[()\[\]{}]", plain):
        if sign in PAIRS:
            assert opened.pop() == PAIRS[sign]
        else:
            opened.append(sign)
    assert opened == []
    assert set(re.findall(r"\bvar\.(\w+)", text)) == set(re.findall(r'variable "(\w+)"', text))


def check_python(text: str) -> None:
    """Compile it."""
    compile(text, "a page", "exec")


OWN = [page for page in stages.ELSEWHERE if page in PAGES]
TESTED = {**stages.ELSEWHERE, **stages.CONSOLES}

CHECKS: dict[str, Callable[[str], object]] = {
    "console": lambda text: None if re.match(r"[$#] ", text) else pytest.fail("a console begins with a prompt"),
    "sh": check_sh,
    "yaml": check_yaml,
    "json": json.loads,
    "toml": tomllib.loads,
    "python": check_python,
    "ini": check_ini,
    "hcl": check_hcl,
    "text": lambda _: None,
}
"""What there may be on a page, and how it is read."""


def all_blocks() -> Iterable[Block]:
    """Yield the blocks of all guides."""
    return (block for page in GUIDES for block in blocks(page))


@pytest.mark.parametrize("page", PAGES)
def test_every_block_can_be_read(page: str) -> None:
    """By whoever reads its language; a block without a language is not checked, so there is none."""
    for block in blocks(page):
        CHECKS[block.language](block.text)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("sh", "for"),
        ("yaml", "a: [1"),
        ("json", "{"),
        ("toml", "a = "),
        ("ini", "a"),
        ("hcl", "a {"),
        ("hcl", "a = [1)"),
        ("hcl", "a = var.b"),
        ("console", "rotate plan"),
    ],
)
def test_a_block_that_cannot_be_read_is_noticed(language: str, text: str) -> None:
    """Each check finds what it is for."""
    with pytest.raises((Exception, pytest.fail.Exception)):
        CHECKS[language](text)


@pytest.mark.parametrize("page", PAGES)
def test_whatever_a_page_tells_to_type_is_typed(page: str) -> None:
    """Its blocks with commands are those of a page that is followed; ``stages`` says by which tests."""
    assert untyped(page) == []


def test_a_page_that_nobody_follows_is_noticed() -> None:
    """Each shell of it is named; what a shell shows may also be typed in a console of the same page."""
    page = "guides/vault.md"
    assert untyped(page, followed=()) == [f"{page}:{block.line}" for block in shells(page)]
    reference = "rotator/METRICS.md"
    assert untyped(reference, followed=()) == [f"{it.page}:{it.line}" for it in blocks(reference)] != []
    assert shells("guides/leaked.md") != [] == untyped("guides/leaked.md", followed=())


def test_every_page_that_is_followed_has_a_shell() -> None:
    """A page that is not there, or has nothing to type in a shell, is not in the list."""
    for page in (*stages.WORLDS, *OWN, *stages.WITH_CONSUMERS):
        assert shells(page), page
    for page in stages.CONSOLES:
        assert consoles(page), page
        assert not shells(page), page


@pytest.mark.parametrize("page", [*OWN, *stages.CONSOLES])
def test_a_page_with_a_test_of_its_own_is_named_there(page: str) -> None:
    """Which takes the blocks from the page, in its order, and so also those that are written later."""
    module = read(TESTED[page])
    assert f'"{page}"' in module
    assert re.search(r"for block in (blocks|shells)\(", module)


def test_every_page_is_looked_at() -> None:
    """Also those that are written later."""
    assert {"README.md", "backends/vault.md", *GUIDES} <= set(PAGES)
    assert all((ROOT / page).is_file() for page in PAGES)


def test_our_commands_are_typed_in_consoles() -> None:
    """What stands elsewhere is not run: what to type first after a leak, which is run below it, and an illustration."""
    elsewhere = {
        (block.page, line.strip())
        for block in all_blocks()
        for line in block.text.splitlines()
        if block.language != "console" and re.match(r"\s*(?:\$ )?rotate [a-z]", line)
    }
    assert elsewhere == {
        ("guides/leaked.md", "rotate now ci --compromised"),
        ("guides/README.md", "$ rotate status          typed where rotate runs"),
    }


def test_variables_of_consumers_are_those_that_are_written() -> None:
    """A name that a page gives to a consumer's variable is one of a preset's."""
    known = {key for preset in PRESETS.values() for key in preset.fields} | FOREIGN
    named = {name for block in all_blocks() for name in OURS.findall(block.text)}
    assert named - known == set()


def test_every_guide_is_on_the_first_page_of_the_guides() -> None:
    """And the front page leads there."""
    assert [page for page in GUIDES if f"({page.removeprefix('guides/')})" not in read("guides/README.md")] == [
        "guides/README.md"
    ]
    assert "(guides/README.md)" in read("README.md")
