"""The page on a Debian that is booted: systemd itself starts the units, and every command of the page is typed.

Its name keeps it out of ``make test-system``: beside root it needs Debian's ``systemd-container`` and ``mmdebstrap``,
and two minutes. ``python -m pytest tests/system/systemd/booted.py`` runs it.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path

import pytest

from rotator.testing.pve import SimulatedPve
from tests.docs.pages import blocks
from tests.docs.stages import shells
from tests.docs.stores import of_language
from tests.system.guides.wheelhouse import check_out, closure, pack
from tests.system.systemd.test_units import CI, PAGE, UNITS, prepared, watch_tokens

PACKAGES = "systemd,systemd-sysv,dbus,python3,python3-venv,pipx"
UNIT = """\
[Unit]
After=multi-user.target
[Service]
Type=oneshot
Environment=HOME=/srv PIP_FIND_LINKS=/srv/wheels PIP_NO_INDEX=1
WorkingDirectory=/srv/checkout
StandardOutput=file:/srv/said
StandardError=inherit
ExecStart=/bin/bash -euo pipefail /srv/typed
ExecStopPost=/bin/systemctl poweroff --no-block
TimeoutStartSec=240
"""
WHY = "trap 'journalctl --no-pager --unit rotate' ERR"
DONE = "typed to the end"
SERVED = """
until [ -s /var/lib/rotate/ci.json ]; do sleep 0.2; done
systemctl reload rotate.service
systemctl is-active rotate.service
"""
RAN = """
systemctl start rotate.service
journalctl --no-pager --unit rotate
"""


@dataclass(frozen=True, slots=True)
class Booted:
    """A Debian in a folder, which does at its start what is to be typed, and ends."""

    root: Path

    def types(self, text: str) -> str:
        """Boot it; returns what was printed, once it is off again."""
        (self.root / "srv" / "typed").write_text(f"{WHY}\n{text}\necho {DONE}\n", encoding="utf-8")
        command = ["systemd-nspawn", "--quiet", f"--directory={self.root}", "--register=no", "--keep-unit", "--boot"]
        subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=300, check=False)  # noqa: S603 - ours
        return (self.root / "srv" / "said").read_text(encoding="utf-8")


@pytest.fixture
def booted(tmp_path: Path) -> Iterator[Booted]:
    """Return a Debian with a checkout, and with what pipx installs."""
    root = tmp_path / "debian"
    command = ["mmdebstrap", "--quiet", "--variant=essential", f"--include={PACKAGES}", "bookworm", str(root)]
    subprocess.run(command, check=True)  # noqa: S603 - Debian's
    home = root / "srv"
    check_out(home / "checkout")
    shutil.copytree(UNITS, home / "checkout" / "deploy" / "systemd")
    (home / "wheels").mkdir()
    for name in closure(("serve",)):
        pack(distribution(name), home / "wheels")
    units = root / "etc/systemd/system"
    (units / "page.service").write_text(UNIT, encoding="utf-8")
    (units / "multi-user.target.wants" / "page.service").symlink_to("../page.service")
    yield Booted(root)
    shutil.rmtree(root)


def test_the_page_comes_true_where_systemd_runs(booted: Booted, watch: Callable[[str], None]) -> None:
    """The service rotates and reads its configuration again, the timer's run has nothing to do, people are answered."""
    checkout = booted.root / "srv" / "checkout"
    install, configure, serve, due = (block.text for block in shells(PAGE))
    texts = [block.text for block in blocks(PAGE) if block.language == "text"]
    beside_service, beside_timer = (text for text in texts if "rotate status" in text)
    with SimulatedPve(nodes=2) as pve:
        config = of_language(PAGE, "yaml")[0]
        for node, name in zip(pve.nodes, ("pve1.lan", "pve2.lan"), strict=True):
            config = config.replace(name, f'"{node.endpoint}"')
        secret = prepared(pve)
        watch(secret)
        for name, text in (
            ("rotate.yaml", config),
            ("pve-root-ca.pem", pve.ca_pem.decode()),
            ("operator.secret", secret),
        ):
            (checkout / name).write_text(text, encoding="utf-8")
        said = booted.types(f"{install}{configure}{serve}{SERVED}{beside_service}{due}{RAN}{beside_timer}")
        watch_tokens(pve, watch)
        assert DONE in said, said
        assert [name.rpartition("-")[0] for name in pve.tokens(CI)] == ["ci-1"]
    assert "configuration taken up" in said
    assert "ci  up-to-date" in said
    assert said.count("up to date") == len([beside_service, beside_timer])
