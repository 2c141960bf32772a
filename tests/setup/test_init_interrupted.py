"""Ctrl-C at each question and at each call, before its effect and after; then the same again finishes.

One PVE serves all of them: it is put back to what it was after its installation in between.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import click
import pytest

from rotator.cli.initializing import Opener, open_access
from rotator.setup.port import Access
from rotator.testing.state import State
from tests.setup.lab import OPERATOR, Lab, Scripted

QUESTIONS = 19
ABOUT_THE_NODE = 2
FIRST_STEP = 9
CALLS = 14
UNDO_CALLS = 10


@dataclass
class Interrupted:
    """A port at whose call of that number somebody presses Ctrl-C: before it goes out, or when its answer is here."""

    inner: Access
    at: int
    is_after: bool
    called: list[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self.inner, name)

        def call(*args: Any) -> Any:  # noqa: ANN401 - stands for any method
            if name == "close":
                return method()
            number = len(self.called)
            self.called.append(name)
            if number == self.at and not self.is_after:
                raise KeyboardInterrupt
            result = method(*args)
            if number == self.at:
                raise KeyboardInterrupt
            return result

        return call


def interrupting(at: int, *, is_after: bool) -> tuple[Opener, list[Interrupted]]:
    """Open clusters in which it happens; the ports are kept for a look at them."""
    opened: list[Interrupted] = []

    def opener(*args: Any) -> Access:  # noqa: ANN401 - of any opener
        opened.append(Interrupted(open_access(*args), at, is_after))
        return cast("Access", opened[-1])

    return opener, opened


def anew(lab: Lab, state: State) -> None:
    """Forget all that was done."""
    lab.pve.cluster.plant(lambda _: state)
    for path in lab.folder.iterdir():
        path.unlink()


def all_said(lab: Lab, **more: str) -> Scripted:
    """Return somebody who says yes to all."""
    return Scripted({"Do it?": "a", **lab.answers(**more)})


@pytest.fixture
def after_installation(new: Lab) -> State:
    """Return what PVE is put back to."""
    return new.state


def finishes(lab: Lab) -> bool:
    """Run it again and say whether all is as it should be, once."""
    return lab.dialog(all_said(lab), is_known=True).exit_code == 0 and lab.is_set_up()


def test_at_each_question(new: Lab, after_installation: State) -> None:
    """Whatever was answered before, nothing stands in the way of beginning again."""
    whole = Scripted(new.answers())
    assert new.dialog(whole).exit_code == 0
    assert len(whole.asked) == QUESTIONS
    for number in range(QUESTIONS):
        anew(new, after_installation)
        is_known = number >= ABOUT_THE_NODE
        asker = Scripted(new.answers(), interrupt_at=number - ABOUT_THE_NODE if is_known else number)
        with pytest.raises(click.Abort):
            new.dialog(asker, is_known=is_known)
        assert any("run `rotate init` again" in it for it in asker.said) is (number >= FIRST_STEP)
        assert finishes(new), whole.asked[number]
    assert new.rotate_now().exit_code == 0


@pytest.mark.parametrize("is_after", [False, True])
def test_at_each_call(new: Lab, after_installation: State, *, is_after: bool) -> None:
    """A token whose secret was lost is replaced; nothing is made twice."""
    opener, opened = interrupting(-1, is_after=is_after)
    assert new.dialog(all_said(new), opener=opener, is_known=True).exit_code == 0
    assert len(opened[0].called) == CALLS
    for number in range(CALLS):
        anew(new, after_installation)
        opener, _ = interrupting(number, is_after=is_after)
        with pytest.raises(KeyboardInterrupt):
            new.dialog(all_said(new), opener=opener, is_known=True)
        assert finishes(new), opened[0].called[number]
    assert new.rotate_now().exit_code == 0


def test_a_token_that_was_never_stored_is_replaced_by_one_that_is(new: Lab) -> None:
    """It is named before it goes, with the reason, and what others made stays."""
    opener, _ = interrupting(CALLS - 4, is_after=True)
    with pytest.raises(KeyboardInterrupt):
        new.dialog(all_said(new), opener=opener)
    (lost,) = new.pve.tokens(OPERATOR)
    new.watch(new.pve.add_token(OPERATOR, "others"))
    result = new.call("init", "--yes", *new.login())
    assert result.exit_code == 0
    assert f"pveum user token remove {OPERATOR} {lost}" in result.stdout
    assert "was left behind by a run that ended early" in result.stderr
    assert new.pve.tokens(OPERATOR) == [lost, "others"]
    assert new.works("operator")


def test_at_each_call_of_an_undo(new: Lab, after_installation: State) -> None:
    """Run it again, and PVE is as it was after its installation, the folder empty."""
    for number in range(UNDO_CALLS):
        anew(new, after_installation)
        assert finishes(new)
        opener, opened = interrupting(number, is_after=True)
        with pytest.raises(KeyboardInterrupt):
            new.dialog(all_said(new), opener=opener, undo=True)
        assert new.dialog(all_said(new), undo=True).exit_code == 0, opened[0].called
        assert new.is_fresh()
        assert new.files() == []


def test_at_the_questions_of_an_undo(new: Lab, after_installation: State) -> None:
    """Nothing is taken away that was not agreed to: at the login, at the first step, and between the files."""
    assert finishes(new)
    whole = Scripted(new.answers())
    assert new.dialog(whole, undo=True).exit_code == 0
    for number in (0, 1, 2, *range(len(whole.asked) - 4, len(whole.asked))):
        anew(new, after_installation)
        assert finishes(new)
        with pytest.raises(click.Abort):
            new.dialog(Scripted(new.answers(), interrupt_at=number), undo=True)
        assert new.is_set_up() is (number < 3)
        assert new.dialog(all_said(new), undo=True).exit_code == 0
        assert (new.is_fresh(), new.files()) == (True, [])
