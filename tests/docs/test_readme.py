"""The README is followed, section by section. Where it lets a person answer, somebody answers."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from rotator.cli.main import rotate
from tests.cli.lab import Time
from tests.docs.bench import Bench, configuration, name_as_in_the_readme
from tests.docs.pages import Command, sections
from tests.docs.stages import INSTALLING
from tests.setup.lab import Lab, Scripted, fresh

PAGE = "README.md"
SECTIONS = sections(PAGE)
IN_FIVE_MINUTES = "In five minutes"
BY_HAND = ("1. At PVE, once", "3. Check, look, rotate", "Something is refused", "A token has leaked")
TAKING_OVER = "Take over a token that exists"


@pytest.fixture
def new(tmp_path: Path, canary: str, watch: Callable[[str], None]) -> Iterator[Lab]:
    """Return a PVE after its installation."""
    folder = tmp_path / "etc"
    folder.mkdir()
    yield from fresh(folder, canary, watch, Time())


@pytest.fixture
def reader(bench: Bench) -> Bench:
    """Return somebody who has set up the operator, with the configuration of the README."""
    name_as_in_the_readme(bench)
    return bench


def lines(section: str) -> list[str]:
    """List what a section tells to type."""
    return [command.line for command in SECTIONS[section]]


def type_all(reader: Bench, commands: list[Command]) -> None:
    """Type what is not done by others, and by the fixture."""
    for command in commands:
        done = command.is_root and "ci@pve" not in command.line
        wrong = [] if done else reader.type(command)
        assert wrong == [], "\n".join(wrong)


def test_every_section_is_followed() -> None:
    """What a section tells to type is typed by a test of this module, or by ``tests/system/guides``."""
    assert {IN_FIVE_MINUTES, *BY_HAND, TAKING_OVER, *INSTALLING} == set(SECTIONS)


def test_five_minutes_are_enough(new: Lab, tmp_path: Path) -> None:
    """Set up by answering, rotated, looked at by options alone in another folder, and taken back."""
    by_dialog, now, by_options, undo = (shlex.split(line) for line in lines(IN_FIVE_MINUTES))
    assert (by_dialog, undo) == (["rotate", "init"], ["rotate", "init", "--undo"])
    assert new.dialog(Scripted(new.answers())).exit_code == 0
    assert new.call(*now[1:]).exit_code == 0
    assert new.works()
    words = [it.replace("pve1.example.net", new.pve.nodes[0].endpoint) for it in by_options[1:]]
    config = ["--fingerprint", new.pve.fingerprint, "--config", str(tmp_path / "rotate.yaml")]
    result = CliRunner().invoke(rotate, [*words, *config], obj=new.time, input=f"{new.password}\n")
    assert result.exit_code == 0, result.output
    assert not (tmp_path / "rotate.yaml").exists()
    assert new.dialog(Scripted(new.answers()), undo=True).exit_code == 0
    assert new.is_fresh()


def test_the_same_by_hand(reader: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the first command at PVE to a leaked token, in the order of the page."""
    monkeypatch.chdir(tmp_path)
    type_all(reader, SECTIONS[BY_HAND[0]])
    reader.configure(configuration())
    for section in BY_HAND[1:]:
        if section == "Something is refused":
            record = json.loads(reader.path("/srv/ci/pve.json").read_text(encoding="utf-8"))
            shown = f"Authorization: PVEAPIToken={record['token_id']}={record['token_secret']}\n"
            (tmp_path / "header.txt").write_text(shown, encoding="utf-8")
        type_all(reader, SECTIONS[section])
    assert len(reader.pve.tokens("ci@pve")) == 1


def test_a_token_that_exists_is_taken_over(reader: Bench) -> None:
    """It is found, configured, and replaced once its secret stands in the record; a person says yes."""
    type_all(reader, SECTIONS[BY_HAND[0]])
    secret = reader.pve.add_token("ci@pve", "hand", privsep=False)
    reader.configure(configuration().replace("name: ci", "name: other").replace("/srv/ci/pve.json", "/srv/other.json"))
    record = reader.path("/srv/ci/pve.json")
    record.parent.mkdir()
    look, configure, adopt = (shlex.split(reader.here(line)) for line in lines(TAKING_OVER))
    assert "ci@pve!hand" in reader.run(look)[0]
    assert reader.run([*configure, "--yes"])[1] == 0
    record.touch(mode=0o600)
    record.write_text(json.dumps({"token_id": "ci@pve!hand", "token_secret": secret}), encoding="utf-8")
    said, exit_code = reader.run([*adopt, "--yes"])
    assert exit_code == 0, said
    published = json.loads(record.read_text(encoding="utf-8"))
    assert published["token_id"].startswith("ci@pve!ci-1-")
    assert reader.pve.accepts(published["token_id"], published["token_secret"])
