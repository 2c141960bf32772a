"""A flag is set in the file, and not a single other byte changes."""

from __future__ import annotations

import resource
import stat
from pathlib import Path

import pytest

from rotator.config import InvalidConfigError
from rotator.config_edit import pause, resume, set_flag
from rotator.errors import ConfigError
from tests.another_user import as_a_user
from tests.unit.config_world import config, read

HEAD = """\
# A comment,   with   spaces.
version: 1
owner:   'homelab'   # quotes stay

clusters: {home: {endpoints: [pve1.lan], operator: {path: op}}}
credentials:
"""
REST = "cluster: home\n    user: ci@pve\n    destination: {path: ci}\n"
OTHER = "  - &a {name: other, paused: false, cluster: home, user: x@pve, destination: {path: x}}\n"
STYLES = [
    (f"  - name: ci   # the name\n    # of the cluster\n    {REST}", "the name\n    paused: true\n", "the name\n"),
    ("- cluster: home\n  user: ci@pve\n  destination: {path: ci}\n  name: ci", "ci\n  paused: true", "ci"),
    (
        "  -   user: ci@pve\n      name: 'ci'\n      cluster: home\n      destination: {path: ci}\n",
        "'ci'\n      paused: true\n",
        "'ci'\n",
    ),
    (
        "  - {name: ci, cluster: home, user: ci@pve, destination: {path: ci}} # ü\n",
        "{name: ci, paused: true,",
        "{name: ci,",
    ),
    (
        '  - {"name": "ci", "cluster": "home", "user": "ci@pve", "destination": {"path": "ci"}}\n',
        ', "paused": true',
        "",
    ),
    ("  - {cluster: home, user: ci@pve, destination: {path: ci},\n     name: ci}\n", ", paused: true}", "}"),
    (f"  - name: ci\n    paused:   false  # for now\n    {REST}", "paused:   true  #", "paused:   false  #"),
    ("  - {name: ci, paused: false, cluster: home, user: ci@pve, destination: {path: ci}}\n", "true", "false"),
    (OTHER + "  - {<<: *a, name: ci, user: ci@pve, destination: {path: ci}}\n", "name: ci, paused: true", "name: ci"),
    (f"{OTHER}\n  - name: ci\n    {REST}\n# the end\n", "name: ci\n    paused: true\n", "name: ci\n"),
    (f"  - name: >-\n      ci\n    {REST}", "cluster: home\n    paused: true\n", "cluster: home\n"),
]


def written(folder: Path, text: str) -> Path:
    """Write a configuration."""
    path = folder / "rotate.yaml"
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["plain", "bom"])
@pytest.mark.parametrize("line_break", ["\n", "\r\n"], ids=["lf", "crlf"])
@pytest.mark.parametrize(("credential", "changed", "original"), STYLES)
def test_a_flag_is_set_in_every_style(  # noqa: PLR0917 - a table
    tmp_path: Path, credential: str, changed: str, original: str, line_break: str, mark: str
) -> None:
    """Added after the name or replaced where it stands; taking the change out again gives the file as it was."""
    credential, changed, original = (text.replace("\n", line_break) for text in (credential, changed, original))
    text = mark + HEAD.replace("\n", line_break) + credential
    path = written(tmp_path, text)
    assert pause(path, "ci")
    after = path.read_bytes().decode()
    assert after.count(changed) == 1
    assert after.replace(changed, original) == text
    assert [one.name for one in read(tmp_path, after).credentials if one.paused] == ["ci"]


@pytest.mark.parametrize("credential", [credential for credential, *_ in STYLES])
def test_resuming_takes_a_pause_back(tmp_path: Path, credential: str) -> None:
    """And touches nobody else."""
    path = written(tmp_path, HEAD + credential)
    before = read(tmp_path, path.read_text()).credentials
    assert pause(path, "ci")
    assert resume(path, "ci")
    assert read(tmp_path, path.read_text()).credentials == before


def test_what_is_so_already_is_not_written(tmp_path: Path) -> None:
    """Not even the same bytes anew: the file may be watched."""
    path = written(tmp_path, config())
    inode = path.stat().st_ino
    assert not resume(path, "ci")
    assert path.stat().st_ino == inode
    assert pause(path, "ci")
    inode = path.stat().st_ino
    assert not pause(path, "ci")
    assert path.stat().st_ino == inode


def test_any_flag_can_be_set(tmp_path: Path) -> None:
    """Adopting is one too."""
    path = written(tmp_path, config())
    assert set_flag(path, "ci", "adopt", value=True)
    assert read(tmp_path, path.read_text()).credentials[0].adopt


@pytest.mark.parametrize("key", ["nonsense", "every", "name"])
def test_what_is_no_flag_is_not_set(tmp_path: Path, key: str) -> None:
    """The file would not be valid afterwards, so it stays as it is."""
    path = written(tmp_path, config())
    with pytest.raises(ConfigError, match=f"'{key}' cannot be set here"):
        set_flag(path, "ci", key, value=True)
    assert path.read_text() == config()


def test_a_name_that_is_not_there_is_told_with_what_was_meant(tmp_path: Path) -> None:
    """Nothing is written."""
    path = written(tmp_path, config(credential={"name": "grafana"}))
    with pytest.raises(ConfigError, match="has no credential 'grafna'") as caught:
        pause(path, "grafna")
    assert caught.value.hint == "did you mean 'grafana'?"


@pytest.mark.parametrize(
    "credentials",
    [
        OTHER.replace("false", "&f false") + f"  - name: ci\n    paused: *f\n    {REST}",
        "  - &common {cluster: home, user: ci@pve, name: ci, destination: {path: ci}}\n  - {<<: *common, base: x}\n",
        f"  - ? name\n    : ci\n    {REST}",
    ],
)
def test_what_cannot_be_set_alone_is_not_set(tmp_path: Path, credentials: str) -> None:
    """A value that others share, a way of writing that leaves no room: to be done by hand, at a line that is told."""
    path = written(tmp_path, HEAD + credentials)
    with pytest.raises(ConfigError, match="nothing was written") as caught:
        pause(path, "ci")
    assert "by hand" in caught.value.hint
    assert path.read_text() == HEAD + credentials


def test_a_file_that_is_wrong_is_not_touched(tmp_path: Path) -> None:
    """It is told what is wrong with it instead."""
    path = written(tmp_path, config(credential={"every": "30"}))
    with pytest.raises(InvalidConfigError, match="a number without a unit"):
        pause(path, "ci")
    assert path.read_text() == config(credential={"every": "30"})


def test_secrets_and_backends_are_not_looked_at(tmp_path: Path) -> None:
    """Pausing is an edit, perhaps in a checkout on a machine that has none of them."""
    operator = "{token_id: rotator@pve!op, token_secret: {env: NOT_SET_HERE}}"
    path = written(tmp_path, config({"backends": "{a: {type: elsewhere}}"}, {"operator": operator}))
    assert pause(path, "ci")


def test_the_file_keeps_its_mode_and_owner(tmp_path: Path) -> None:
    """Whoever could read it still can, and nobody else."""
    path = written(tmp_path, config())
    path.chmod(0o640)
    owner = (path.stat().st_uid, path.stat().st_gid)
    pause(path, "ci")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert (path.stat().st_uid, path.stat().st_gid) == owner
    assert [file.name for file in tmp_path.iterdir()] == ["rotate.yaml"]


def prepare(folder: Path) -> None:
    """Write a configuration that everybody may read; and load what it takes to edit it, which somebody may not read."""
    path = written(folder, config())
    path.chmod(0o644)
    pause(path, "ci")
    resume(path, "ci")


def edit_the_file_of_another(folder: Path, is_root: bool) -> None:  # noqa: FBT001 - called by a process with positions
    """Pause in a file of root's, as somebody who may replace files in that folder."""
    path = folder / "rotate.yaml"
    before = path.read_bytes()
    if not is_root:
        assert pause(path, "ci")
        return
    with pytest.raises(ConfigError, match="cannot be written: Operation not permitted"):
        pause(path, "ci")
    assert (path.read_bytes(), path.stat().st_uid) == (before, 0)
    assert [file.name for file in folder.iterdir()] == ["rotate.yaml"]


def test_a_file_is_not_taken_from_its_owner() -> None:
    """A service that may read it by its owner or group would lose it; who may not give it back leaves it alone."""
    as_a_user(prepare, edit_the_file_of_another)


def test_a_link_to_the_file_stays_a_link(tmp_path: Path) -> None:
    """What it points to is changed."""
    real = written(tmp_path, config())
    link = tmp_path / "link.yaml"
    link.symlink_to(real)
    assert pause(link, "ci")
    assert link.is_symlink()
    assert "paused: true" in real.read_text()


def test_a_file_that_cannot_be_replaced_is_told(tmp_path: Path) -> None:
    """Where the system takes no new file beside it; here, because of a name that leaves none for that."""
    path = tmp_path / ("a" * 250)
    path.write_text(config())
    with pytest.raises(ConfigError, match="cannot be written: File name too long") as caught:
        pause(path, "ci")
    assert caught.value.hint == "write paused: true where the file comes from"
    assert path.read_text() == config()


def test_a_disk_that_is_full_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk."""
    path = written(tmp_path, config())
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
    try:
        with pytest.raises(ConfigError, match="cannot be written"):
            pause(path, "ci")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_text() == config()
    assert list(tmp_path.iterdir()) == [path]
