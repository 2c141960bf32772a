"""The repository speaks of the product alone: nothing in it knows the machine that it was written on."""

from __future__ import annotations

import re

import pytest

from tests.repo.tree import ROOT, tracked

# In pieces, so that this file does not hold what it looks for.
FOREIGN = {
    "a path of somebody's machine": rf"(?<![\w.~-])/{'(?:home|root|work|Users)'}/\w",
    "a package registry": "|".join((r"pypi\." + "org", r"python" + r"hosted\.org", r"registry\.npmjs\." + "org")),
    "a private key": "-----BEGIN [A-Z ]*PRIVATE KEY-----" + r"\s+[A-Za-z0-9+/]{40}",
}


@pytest.mark.parametrize("what", FOREIGN)
def test_no_file_names_what_is_foreign(what: str) -> None:
    """Whoever clones the repository finds nothing that exists only elsewhere."""
    pattern = re.compile(FOREIGN[what].encode())
    assert [name for name in tracked() if pattern.search((ROOT / name).read_bytes())] == []


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("a path of somebody's machine", "see /" + "home/alice/notes"),
        ("a path of somebody's machine", "cd '/" + "work/main'"),
        ("a package registry", "https://files.python" + "hosted.org/packages"),
        ("a private key", "-----BEGIN RSA PRIVATE KEY-----\n" + "MIIB" * 10),
    ],
)
def test_what_is_foreign_is_recognised(what: str, text: str) -> None:
    """The patterns find what they are for."""
    assert re.search(FOREIGN[what], text)


def test_paths_of_the_product_are_not_foreign() -> None:
    """A path relative to the repository or a mount point of a container is fine."""
    pattern = FOREIGN["a path of somebody's machine"]
    assert not any(re.search(pattern, text) for text in ("tests/home/x", "/run/secrets/ci.json", "https://pve/root/x"))


def test_every_file_ends_with_a_newline_and_no_line_with_white_space() -> None:
    """Diffs show what changed and nothing else."""
    untidy = [
        name
        for name in tracked()
        if (content := (ROOT / name).read_bytes()) and (content[-1:] != b"\n" or re.search(rb"[ \t]\n|\r", content))
    ]
    assert untidy == []
