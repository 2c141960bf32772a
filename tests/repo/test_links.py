"""Links in the documents lead somewhere."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

import pytest

from tests.repo.tree import ROOT, markdown, read

LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def anchors(name: str) -> set[str]:
    """Return the anchors that GitHub gives the headings of a document."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", read(name)), flags=re.MULTILINE)
    plain = (re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", heading).lower() for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading).strip().replace(" ", "-") for heading in plain}


def links(name: str) -> list[str]:
    """Return the targets of the links and pictures in a document, code left out."""
    text = re.sub(r"`[^`\n]+`", "", FENCE.sub("", read(name)))
    return [link or picture for link, picture in LINK.findall(text)]


def resolve(name: str, target: str) -> str:
    """Say what is wrong with a link, '' when nothing is. Other hosts are not asked."""
    if re.match(r"[a-z]+:", target):
        return "" if target.startswith("https://") else f"{name}: {target} is not https"
    path, _, anchor = target.partition("#")
    file = (ROOT / PurePosixPath(name).parent / path).resolve() if path else ROOT / name
    if not file.is_relative_to(ROOT) or not file.exists():
        return f"{name}: {target} does not exist"
    if anchor and anchor not in anchors(str(file.relative_to(ROOT))):
        return f"{name}: {target} has no such heading"
    return ""


@pytest.mark.parametrize("name", markdown())
def test_every_link_resolves(name: str) -> None:
    """Links to files and headings of the repository lead there, others use https."""
    assert [fault for target in links(name) if (fault := resolve(name, target))] == []


@pytest.mark.parametrize(
    ("target", "fault"),
    [
        ("LICENSE", ""),
        ("CONTRIBUTING.md#how-the-code-is-kept", ""),
        ("https://www.proxmox.com/", ""),
        ("NOTHING.md", "README.md: NOTHING.md does not exist"),
        ("../outside.md", "README.md: ../outside.md does not exist"),
        ("CONTRIBUTING.md#nowhere", "README.md: CONTRIBUTING.md#nowhere has no such heading"),
        ("http://example.org/", "README.md: http://example.org/ is not https"),
    ],
)
def test_a_broken_link_is_noticed(target: str, fault: str) -> None:
    """Each way in which a link can be broken is told apart from a good one."""
    assert resolve("README.md", target) == fault
