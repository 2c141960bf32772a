"""What the guide to the service tells to type is typed, against a service as the guide configures it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import trustme

from rotator.references import FileReference
from rotator.settings import ListenSettings
from tests.docs.stages import shells
from tests.service.house import House

PAGE = "guides/service.md"


def typed(text: str, folder: Path, url: str) -> str:
    """Type a block in a shell that stops at the first failure; return what it printed."""
    here = text.replace("/etc/rotate", str(folder)).replace("https://rotate.lan:9105", url)
    command = ["bash", "-euo", "pipefail", "-c", here]
    ran = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60, cwd=folder)  # noqa: S603 - the page's
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_the_guide_can_be_followed(house: House, tmp_path: Path, watch: Callable[[str], None]) -> None:
    """A token is made that only its owner reads; programs read the document with it, and rotate."""
    authority = trustme.CA()
    made = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    made.cert_chain_pems[0].write_to_path(tmp_path / "tls.crt")
    made.private_key_pem.write_to_path(tmp_path / "tls.key")
    token = tmp_path / "page-token"
    listen = ListenSettings(
        port=0,
        certificate=tmp_path / "tls.crt",
        key=tmp_path / "tls.key",
        token=FileReference(token),
        offers_rotation=True,
    )
    house.service.begin_due()
    url, said = house.open(listen), []
    for block in shells(PAGE):
        said.append(typed(block.text, tmp_path, url))
        watch(token.read_text(encoding="utf-8").strip())
    assert token.stat().st_mode & 0o777 == 0o600
    assert said == ["", 'ci well\n{"credential": "ci", "who": "bearer token"}']
    house.street.go_on(house.service, timedelta(hours=1))
    assert len(house.street.shop.written["ci"]) == 2
