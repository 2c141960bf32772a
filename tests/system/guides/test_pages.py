"""Every page with shells is followed from the top, its shells typed as they stand there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.docs.pages import Block
from tests.docs.stages import WORLDS as ASSIGNED
from tests.docs.stages import shells
from tests.system.guides.terminal import Terminal, sitting_at
from tests.system.guides.worlds import WORLDS


@pytest.fixture
def terminal(tmp_path: Path, watch: Callable[[str], None]) -> Iterator[Terminal]:
    """Give a reader who has done at PVE what the README says."""
    with sitting_at(tmp_path, watch) as made:
        yield made


@pytest.mark.parametrize("page", ASSIGNED)
def test_a_page_with_shells_can_be_followed(terminal: Terminal, page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of its blocks ends well, and what is typed in consoles then prints what the page shows."""
    with WORLDS[ASSIGNED[page]](terminal, page, monkeypatch):
        wrong = terminal.follow(page)
        assert wrong == [], "\n".join(wrong)
        assert len(terminal.said) == len(shells(page)) > 0


def test_what_a_shell_remembers_is_there_in_the_next_block(terminal: Terminal) -> None:
    """Functions and variables for programs, as in one shell that stays open."""
    assert terminal.shell(Block("a page", 1, "sh", 'export A=b\nsay() { echo "$A-$1"; }\n')) == []
    assert terminal.shell(Block("a page", 5, "sh", "say c\n")) == []
    assert terminal.said == ["", "b-c\n"]


@pytest.mark.parametrize("text", ["false\ntrue\n", "false | cat\n", "echo $NOT_SET\n", "frobnicate\n"])
def test_what_fails_in_a_shell_is_noticed(terminal: Terminal, text: str) -> None:
    """A line before the last, a part of a pipe, a variable that nobody has set, a program that is not there."""
    assert terminal.shell(Block("a page", 1, "sh", text)) != []
