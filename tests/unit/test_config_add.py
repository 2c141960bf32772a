"""Adding credentials to a configuration changes not a single byte that was there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from rotator.config_edit import add_credentials
from rotator.errors import ConfigError

HEAD = """version: 1
owner: home
clusters:
  home:
    endpoints: [pve1.lan]
    operator: {path: /etc/rotate/op.json}
"""
COMMENTED = """credentials:
  - name: ci   # the first
    cluster: home
    user: ci@pve
    destination:
      path: /srv/ci.json   # here

# the end
"""
NEW: dict[str, Any] = {"name": "web", "cluster": "home", "user": "web@pve", "destination": {"path": "/srv/web.json"}}
FIRST = "name: ci, cluster: home, user: ci@pve, destination: {path: /srv/ci.json}"


def anything(_path: Path) -> None:
    """Have nothing against it."""


MERGED = """x-nightly: &nightly {cron: "0 2 * * *", duration: 1h}
credentials:
  - name: ci
    cluster: home
    user: ci@pve
    destination: {path: /srv/ci.json}
    windows:
      - <<: *nightly
"""


@pytest.mark.parametrize(
    "credentials",
    [
        f"credentials:\n  - {{{FIRST}}}\n",
        f"credentials:\n- {{{FIRST}}}",
        COMMENTED,
        f"credentials:\n  - {{{FIRST}}}\n\ndefaults: {{every: 10d}}\n",
        MERGED,
    ],
    ids=["block", "no-indent-no-newline", "comments", "not-last", "merged"],
)
def test_a_credential_is_added_behind_the_last_one(tmp_path: Path, credentials: str) -> None:
    """Whatever the list looks like, and whatever follows it."""
    file = tmp_path / "rotate.yaml"
    file.write_text(HEAD + credentials)
    before = yaml.safe_load(HEAD + credentials)
    added = add_credentials(file, [NEW], anything)
    text = file.read_text()
    assert text.replace("\n" + added, "", 1) == HEAD + credentials
    assert yaml.safe_load(text) == {**before, "credentials": [*before["credentials"], NEW]}


def test_line_ends_are_kept(tmp_path: Path) -> None:
    """A file from another system stays one."""
    file = tmp_path / "rotate.yaml"
    file.write_bytes(f"{HEAD}credentials:\n  - {{{FIRST}}}\n".replace("\n", "\r\n").encode())
    add_credentials(file, [NEW], anything)
    assert b"\n" not in file.read_bytes().replace(b"\r\n", b"")


def test_a_list_on_one_line_is_left_alone_and_the_lines_are_told(tmp_path: Path) -> None:
    """It cannot be added to without changing something else."""
    file = tmp_path / "rotate.yaml"
    text = f"{HEAD}credentials: [{{{FIRST}}}]\n"
    file.write_text(text)
    with pytest.raises(ConfigError, match="nothing was written") as caught:
        add_credentials(file, [NEW], anything)
    assert "- name: web" in caught.value.hint
    assert file.read_text() == text


def test_what_a_check_refuses_is_not_written(tmp_path: Path) -> None:
    """The check sees the whole new file; nothing of it is left."""
    file = tmp_path / "rotate.yaml"
    text = f"{HEAD}credentials:\n  - {{{FIRST}}}\n"
    file.write_text(text)

    def refuse(path: Path) -> None:
        assert "web@pve" in path.read_text()
        raise ConfigError("no")

    with pytest.raises(ConfigError, match="no"):
        add_credentials(file, [NEW], refuse)
    assert file.read_text() == text
    assert list(tmp_path.iterdir()) == [file]
