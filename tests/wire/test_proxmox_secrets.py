"""No log level, no exception and no echo of a server's brings a secret to light."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rotator.errors import UnavailableError
from rotator.secrecy import known
from tests.wire.lab import Rogue, answer, saying

ROOT = Path(__file__).parents[2]


def run(*arguments: str, entered: str = "") -> str:
    """Run Python in a process of its own and return all that it let out."""
    command = [sys.executable, *arguments]
    done = subprocess.run(  # noqa: S603 - our own interpreter and arguments
        command, cwd=ROOT, input=entered, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout + done.stderr


def test_nothing_shows_a_secret_however_loud_the_libraries_are(canaries: tuple[str, ...]) -> None:
    """Operator, password, ticket and new secret stay out of everything, with all loggers and dumps at their loudest."""
    out = run("-m", "tests.wire.loud", entered="\n".join(canaries[:3]))
    assert "proxmoxer" in out
    assert "POST /api2/json/access/users/svc@pve/token/ci-1-abcde" in out
    assert [kind for kind in ("401", "500", "302", "not one of PVE's", "holds no ticket") if kind not in out] == []
    assert "send: " not in out
    assert [number for number, secret in enumerate(canaries[:3]) if secret in out] == []


SHUT = """
import logging, logging.config, rotator.proxmox
from proxmoxer.core import logger
loud = {"level": "DEBUG", "handlers": ["out"], "propagate": True}
handlers = {"out": {"class": "logging.StreamHandler"}}
loggers = {name: loud for name in ("proxmoxer.core", "proxmoxer", "other")}
logging.config.dictConfig({"version": 1, "root": loud, "handlers": handlers, "loggers": loggers})
logger.setLevel(logging.DEBUG)
for each in (logger, logging.getLogger("other")):
    each.critical(each.name)
"""


def test_the_logger_of_proxmoxer_is_shut_for_good() -> None:
    """Whoever turns every logger up afterwards hears the others, and nothing of what it sends and gets."""
    assert set(run("-c", SHUT).split()) == {"other"}


def test_neither_requests_nor_urllib3_is_loaded() -> None:
    """What they would bring (cookies, .netrc, proxies, repeats, loggers) cannot happen, and starting costs less."""
    loaded = "import rotator.proxmox, sys; print(sorted({'requests', 'urllib3', 'certifi'} & set(sys.modules)))"
    assert run("-c", loaded).strip() == "[]"


def test_what_a_proxy_says_is_no_secret_and_stays_readable() -> None:
    """Its page says the same as its status, and whoever reads the log has to know which it was."""
    said = "The Proxy Is Being Looked After"
    with Rogue(saying(answer(said.encode(), status=f"503 {said}"))) as rogue, pytest.raises(UnavailableError) as caught:
        rogue.cluster().users()
    assert said in caught.value.message
    assert known.hide(said) == said
