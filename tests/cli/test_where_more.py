"""Where a person is needed, output names the page of ``rotate explain`` that says more."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rotator.advice.book import PAGES
from rotator.cli.output import SAYING_NOTHING, block
from rotator.marker import Marker
from rotator.policy import Reason
from rotator.testing.pve import AnswerInstead
from tests.cli.lab import OPERATOR, START, USER, Lab


def not_adopted(lab: Lab) -> None:
    """Put a token that somebody else made into the record."""
    lab.plant("ci", f"{USER}!hand", lab.pve.add_token(USER, "hand", privsep=False))


def other_token(lab: Lab) -> None:
    """Put another user's token into the record."""
    lab.pve.add_user("other@pve")
    lab.plant("ci", "other@pve!hand", lab.pve.add_token("other@pve", "hand", privsep=False))


def operator_unusable(lab: Lab) -> None:
    """Delete the operator's token."""
    lab.pve.delete_token(OPERATOR)


def cluster_unreachable(lab: Lab) -> None:
    """Let nobody answer."""
    lab.pve.nodes[0].down = True


def pages(lab: Lab, *command: str) -> list[str]:
    """List the pages that a command names."""
    said = lab.call(*command).stdout.splitlines()
    return [line.removeprefix("    more: rotate explain ") for line in said if line.startswith("    more: ")]


@pytest.mark.parametrize("command", ["due", "status", "plan"])
@pytest.mark.parametrize("harm", [not_adopted, other_token, operator_unusable, cluster_unreachable])
def test_a_reason_that_needs_a_person_leads_to_its_page(lab: Lab, harm: Callable[[Lab], None], command: str) -> None:
    """Once, unless the hint leads to another page already; ``rotate explain`` knows it."""
    lab.add("ci")
    harm(lab)
    said = lab.call(command)
    assert said.exit_code not in {0, 6}
    assert said.stdout.count("rotate explain") == 1
    assert pages(lab, command) in ([harm.__name__.replace("_", "-")], [])
    for page in pages(lab, command):
        assert lab.call("explain", page).exit_code == 0


@pytest.mark.parametrize("command", ["due", "status", "plan"])
def test_where_nobody_is_needed_no_page_is_named(lab: Lab, command: str) -> None:
    """What is well, what was done, and what somebody else is at."""
    lab.add("ci")
    assert pages(lab, "due") == []
    assert pages(lab, command) == []
    marker = Marker("lab", "ci", "0123456789ab", START, "ci-1-aaaaa")
    lab.watch(lab.pve.add_token(USER, "ci-2-bbbbb", comment=marker.comment()))
    assert lab.call(command).exit_code == 6
    assert pages(lab, command) == []


def test_a_token_of_somebody_else_leads_to_its_page(lab: Lab) -> None:
    """Its hint names no other one."""
    lab.add("ci")
    not_adopted(lab)
    assert pages(lab, "due") == pages(lab, "status") == pages(lab, "plan") == ["not-adopted"]


def test_a_step_that_failed_says_all_itself(lab: Lab) -> None:
    """Why the rotation was begun explains nothing of why it failed."""
    lab.add("ci")
    lab.pve.intercept = lambda request: AnswerInstead(500, "no") if request.method == "POST" else None
    assert lab.call("due").exit_code == 4
    assert pages(lab, "due") == []


def test_one_page_is_enough() -> None:
    """A hint that names one is not followed by another."""
    assert block("it failed", hint="do this", page="failed").splitlines()[-1] == "    more: rotate explain failed"
    assert block("it failed", hint="do this; more: rotate explain 403", page="failed").count("rotate explain") == 1


def test_every_reason_has_a_page() -> None:
    """So that none is named that is not there."""
    assert {str(reason) for reason in Reason} | SAYING_NOTHING <= set(PAGES)
