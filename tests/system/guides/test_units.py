"""The units of systemd that guides show are units, as systemd itself reads them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.docs.pages import GUIDES, Block, blocks

UNITS = [block for page in GUIDES for block in blocks(page) if block.language == "ini"]
WATCHING = "pve-exporter-token"


def name_of(text: str) -> str:
    """Call a unit as its page does, as far as others refer to it."""
    if "[Path]" in text:
        return f"{WATCHING}.path"
    return f"{WATCHING}.service" if "try-restart" in text else "shown.service"


def complaints(folder: Path, *texts: str) -> str:
    """Let systemd read units; a program that is nowhere here is put in place of by one that is."""

    def there(found: re.Match[str]) -> str:
        return found[0] if shutil.which(found[1], path="/usr/bin:/bin") else "ExecStart=/bin/true"

    files = [folder / name_of(text) for text in texts]
    for file, text in zip(files, texts, strict=True):
        file.write_text(re.sub(r"(?m)^ExecStart=(\S+)", there, text), encoding="utf-8")
    command = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *map(str, files)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - a constant and our paths
    return ran.stderr if ran.returncode == 0 else f"exit code {ran.returncode}: {ran.stderr}"


@pytest.mark.parametrize("block", UNITS, ids=lambda block: f"{block.page}:{block.line}")
def test_a_unit_can_be_read(tmp_path: Path, block: Block) -> None:
    """Without a complaint; what watches a file comes with what it starts."""
    started = [it.text for it in UNITS if name_of(it.text) == f"{WATCHING}.service"]
    texts = [block.text, *started] if name_of(block.text).endswith(".path") else [block.text]
    assert complaints(tmp_path, *texts) == ""


@pytest.mark.parametrize("text", ["[Service]\nExecStart=cat\nNothing=yes\n", "[Service]\nType=oneshot\n"])
def test_what_is_no_unit_is_noticed(tmp_path: Path, text: str) -> None:
    """A key that systemd does not know, and a service that starts nothing."""
    assert complaints(tmp_path, text) != ""
