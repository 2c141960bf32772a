"""The units are what systemd takes for right and for hardened, and what the page says about them comes true."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest

from rotator.testing.pve import SimulatedPve
from tests.docs.stages import shells
from tests.docs.stores import of_language
from tests.system.guides.wheelhouse import check_out, closure, pack
from tests.system.systemd.copy_of_machine import Machine

ROOT = Path(__file__).parents[3]
PAGE = "deploy/systemd/README.md"
UNITS = ROOT / "deploy" / "systemd"
SERVICES = ("serve/rotate.service", "due/rotate.service")
EXPOSURE = 12
"""Tenths; the page says the same."""
CI, OPERATOR = "ci@pve", "rotator@pve"
AS_SYSTEMD_DOES = """
install -d -m 750 -o rotate -g rotate /var/lib/rotate
install -d -m 700 -o rotate -g rotate /run/credentials/rotate.service
while IFS='=:' read -r _ name file; do
  install -m 400 -o rotate -g rotate "$file" "/run/credentials/rotate.service/$name"
done < <(grep '^LoadCredential=' /etc/systemd/system/rotate.service)
run=$(sed -n 's/^ExecStart=//p' /etc/systemd/system/rotate.service)
cd /
for again in 1 2; do
  env -i HOME=/var/lib/rotate PATH=/usr/local/bin:/usr/bin:/bin \\
    setpriv --reuid=rotate --regid=rotate --clear-groups --bounding-set=-all --inh-caps=-all --no-new-privs $run >&2
done
stat -c '%U %a' /etc/rotate /etc/rotate/credentials /etc/rotate/credentials/operator-secret /var/lib/rotate/ci.json
ls /etc/systemd/system/*.wants/rotate.*
grep -c token_secret /var/lib/rotate/ci.json
"""


@pytest.mark.parametrize("unit", SERVICES)
def test_a_service_is_hardened(unit: str) -> None:
    """Its exposure is not above what the page says."""
    command = ["systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE}", str(UNITS / unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - Debian's
    assert done.returncode == 0, done.stdout
    assert f"exposure of {EXPOSURE / 10}" in (ROOT / PAGE).read_text(encoding="utf-8")


@pytest.mark.parametrize("folder", ["serve", "due"])
def test_systemd_finds_nothing_wrong(tmp_path: Path, folder: str) -> None:
    """Every key and value is one that it knows, and what is started is there once it is installed."""
    program = tmp_path / "usr/local/bin/rotate"
    program.parent.mkdir(parents=True)
    shutil.copy("/bin/true", program)
    for unit in (UNITS / folder).iterdir():
        text = unit.read_text(encoding="utf-8")
        (tmp_path / unit.name).write_text(text.replace("/usr/local/bin/rotate", str(program)), encoding="utf-8")
    units = [str(path) for path in tmp_path.iterdir() if path.is_file()]
    command = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *units]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - Debian's
    assert (done.returncode, done.stderr) == (0, "")


def test_both_services_are_confined_alike() -> None:
    """What protects the one protects the other."""
    serve, due = ((UNITS / name).read_text(encoding="utf-8") for name in SERVICES)
    own = {
        "Description",
        "Type",
        "ExecStart",
        "ExecReload",
        "Restart",
        "RestartSec",
        "WatchdogSec",
        "SuccessExitStatus",
        "WantedBy",
    }

    def shared(text: str) -> set[str]:
        lines = re.findall(r"^(\w+)=(.*)$", text, flags=re.MULTILINE)
        return {f"{key}={value}" for key, value in lines if key not in own and not key.startswith("Timeout")}

    assert shared(serve) == shared(due)


@pytest.fixture
def machine(tmp_path: Path, watch: Callable[[str], None]) -> Iterator[tuple[Machine, SimulatedPve]]:
    """Return a copy of this machine with a checkout, and what the page says that one has; and a PVE that it reaches."""
    folder, place, wheels = tmp_path / "checkout", tmp_path / "root", tmp_path / "wheels"
    check_out(folder)
    shutil.copytree(UNITS, folder / "deploy/systemd")
    for made in (place, wheels):
        made.mkdir()
    for name in closure(("serve",)):
        pack(distribution(name), wheels)
    with SimulatedPve(nodes=2) as pve:
        config = of_language(PAGE, "yaml")[0]
        for node, name in zip(pve.nodes, ("pve1.lan", "pve2.lan"), strict=True):
            config = config.replace(name, f'"{node.endpoint}"')
        (folder / "rotate.yaml").write_text(config, encoding="utf-8")
        (folder / "pve-root-ca.pem").write_bytes(pve.ca_pem)
        secret = prepared(pve)
        watch(secret)
        (folder / "operator.secret").write_text(secret, encoding="utf-8")
        yield Machine(place, folder, environ(tmp_path, wheels)), pve


def environ(folder: Path, wheels: Path) -> dict[str, str]:
    """Let pipx install from what is installed here already."""
    ours = Path(sys.executable).parent
    (folder / "bin").mkdir()
    program = folder / "bin" / "pipx"
    system = ours.parent / "system"
    program.write_text(f'#!/bin/sh\nPYTHONPATH="{system}" exec "{ours}/python" "{system}/bin/pipx" "$@"\n')
    program.chmod(0o755)
    paths = [
        str(folder / "bin"),
        str(ours),
        "/usr/local/sbin",
        "/usr/local/bin",
        "/usr/sbin",
        "/usr/bin",
        "/sbin",
        "/bin",
    ]
    return {
        "PATH": os.pathsep.join(paths),
        "HOME": str(folder),
        "SYSTEMD_OFFLINE": "1",
        "PIPX_DEFAULT_BACKEND": "uv",
        "PIPX_DEFAULT_PYTHON": "/usr/bin/python3",
        "UV_CACHE_DIR": str(folder / "cache"),
        "UV_FIND_LINKS": str(wheels),
        "UV_NO_CONFIG": "1",
        "UV_OFFLINE": "1",
    }


def prepared(pve: SimulatedPve) -> str:
    """Set PVE up as the README says, and return the operator's secret."""
    pve.add_group("rotated")
    pve.add_role("TokenRotator", ["User.Modify"])
    pve.add_user(OPERATOR)
    pve.grant("/access/groups/rotated", "TokenRotator", user=OPERATOR)
    pve.add_user(CI, groups=["rotated"])
    return pve.add_token(OPERATOR, "operator", privsep=False)


def test_the_page_is_followed_and_what_it_installs_rotates(
    machine: tuple[Machine, SimulatedPve], watch: Callable[[str], None]
) -> None:
    """Its blocks end well one after the other; then what the unit starts works as its user, without any right."""
    copy, pve = machine
    done = copy.types("".join([*(block.text for block in shells(PAGE)), AS_SYSTEMD_DOES]))
    watch_tokens(pve, watch)
    assert done.returncode == 0, done.stderr[-2000:]
    owners, rest = done.stdout.split("/etc/systemd/system/", 1)
    assert owners.splitlines()[-4:] == ["root 750", "root 700", "root 600", "rotate 600"]
    assert "timers.target.wants/rotate.timer" in rest
    assert [name.rpartition("-")[0] for name in pve.tokens(CI)] == ["ci-1"]
    assert "up-to-date" in done.stderr


def watch_tokens(pve: SimulatedPve, watch: Callable[[str], None]) -> None:
    """Watch for all secrets that PVE knows."""
    for user in pve.cluster.newest().users.values():
        for token in user.tokens.values():
            watch(token.secret)
