"""Who types what a page tells to type. A page with commands that nobody types fails a test.

Consoles of the guides and the README are typed by ``tests/docs``, where only ``rotate`` and ``pveum`` are needed. A
page that is named here is followed from the top by ``tests/system/guides`` as well, where its ``sh`` blocks are typed
in one bash, in a world that is set up for it; ``make consumers`` does so for what is too large for that.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from tests.docs.pages import ROOT, Block, blocks, commands

PLACES = ("README.md", "guides/*.md", "backends/*.md", "deploy/**/*.md", "examples/**/*.md", "rotator/**/*.md")
PAGES = tuple(sorted({str(path.relative_to(ROOT)) for place in PLACES for path in ROOT.glob(place)}))

WORLDS: Mapping[str, str] = {
    "backends/aws.md": "checkout",
    "guides/aws.md": "aws",
    "guides/exporters.md": "exporter",
    "guides/kubernetes.md": "kubernetes",
    "guides/terraform.md": "files",
    "guides/vault.md": "vault",
}
"""Pages that ``tests/system/guides`` follows, each in a world of ``tests/system/guides/worlds.py``."""

ELSEWHERE: Mapping[str, str] = {
    "deploy/aws/README.md": "tests/system/aws/test_page.py",
    "deploy/container/README.md": "tests/system/container/test_page.py",
    "deploy/kubernetes/README.md": "tests/system/kubernetes/test_readme.py",
    "deploy/observability/README.md": "tests/system/observability/test_page.py",
    "deploy/proxmox/README.md": "tests/system/proxmox/test_set_up.py",
    "deploy/systemd/README.md": "tests/system/systemd/test_units.py",
    "deploy/vault/README.md": "tests/system/vault/test_page.py",
    "guides/service.md": "tests/system/page/test_guide.py",
}
"""Pages whose shells a test of their own types, all of them; those with Terraform, ``make test-live``."""

CONSOLES: Mapping[str, str] = {
    "rotator/METRICS.md": "tests/docs/test_reference.py",
    "rotator/testing/README.md": "tests/docs/test_reference.py",
}
"""Pages with consoles and no shells that a test of their own types, all of them."""

WITH_CONSUMERS = ("guides/ansible.md",)
"""Pages that ``make consumers`` follows."""

INSTALLING = ("See it, in two commands", "Install", "Leave it running")
"""Sections of the README whose consoles ``tests/system/guides`` types in a bash; the others, ``tests/docs``."""


def shells(page: str) -> list[Block]:
    """List the blocks of a page that are typed in a shell of other programs."""
    return [block for block in blocks(page) if block.language == "sh"]


def consoles(page: str) -> set[str]:
    """List what a page tells to type in consoles."""
    return {it.line for block in blocks(page) if block.language == "console" for it in commands(block)}


def untyped(page: str, followed: Collection[str] = (*WORLDS, *ELSEWHERE, *CONSOLES, *WITH_CONSUMERS)) -> list[str]:
    """List the blocks with commands on a page that no test types."""
    if page in followed:
        return []
    typed = consoles(page)
    left = [block for block in shells(page) if not set(block.text.splitlines()) <= typed]
    if not page.startswith(("guides/", "README.md")):
        left += [block for block in blocks(page) if block.language == "console"]
    return [f"{block.page}:{block.line}" for block in left]
