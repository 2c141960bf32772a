"""``rotate explain`` and the advice behind it: there is a page for everything that the product says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import rotator
from rotator import fleet, rotate
from rotator.advice.book import CAUSES, PAGES, SECTIONS, cause
from rotator.advice.cause import SHOWN
from rotator.advice.logins import LOGINS
from rotator.advice.permissions import PERMISSIONS
from rotator.cli import main as entry
from rotator.errors import ExitCode
from rotator.policy import Reason
from tests.cli.shape import check_shape
from tests.doctor.errors_page import CHECKED_IN, page

SOURCES = sorted(Path(rotator.__file__).parent.rglob("*.py"))
REFERRED = re.compile(r"rotate explain ([a-z0-9][a-z0-9-]*)")


def explain(*arguments: str) -> Result:
    """Run the command without any configuration."""
    return CliRunner(env={"ROTATE_CONFIG": "/nowhere"}).invoke(entry.rotate, ["explain", *arguments])


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_of_the_policy_has_a_page(reason: Reason) -> None:
    """Whoever reads a reason can ask what it means."""
    assert PAGES[reason].kind == "reason"


@pytest.mark.parametrize(
    "reason",
    [
        rotate.CLUSTER_UNREACHABLE,
        fleet.OPERATOR_UNUSABLE,
        fleet.UNAUDITED,
        "interrupted",
        "failed",
        "bug",
        "nothing-to-adopt",
    ],
)
def test_every_other_reason_of_a_result_has_a_page(reason: str) -> None:
    """Runs that did not get as far as a decision say why, too."""
    assert PAGES[reason].kind == "reason"


@pytest.mark.parametrize("code", [*ExitCode, entry.INTERRUPTED, entry.NO_READER, 143], ids=int)
def test_every_exit_code_has_a_page(code: int) -> None:
    """A script's author looks them up."""
    assert PAGES[str(int(code))].kind == "exit code"


@pytest.mark.parametrize("status", ["301", "400", "401", "403", "500", "501", "506", "595", "596"])
def test_every_status_that_pve_answers_with_has_a_page(status: str) -> None:
    """All that were recorded on a real PVE."""
    assert PAGES[status].kind == "status"


def test_every_word_that_a_message_refers_to_is_explained() -> None:
    """No message sends anybody to a page that is not there."""
    said = {word for source in SOURCES for word in REFERRED.findall(source.read_text(encoding="utf-8"))}
    assert {"401", "403", "596", "regenerate-unknown"} <= said
    assert said - PAGES.keys() - CAUSES.keys() == set()


def test_every_cause_of_a_page_is_known() -> None:
    """Pages and causes are written apart."""
    assert {code for page in PAGES.values() for code in page.causes} <= CAUSES.keys()


def test_every_cause_of_a_refused_login_is_on_the_page_of_401() -> None:
    """Likeliest first, none forgotten; what lets in and then refuses stands under 403."""
    assert {it.code for it in LOGINS} - {"ticket-needed"} <= set(PAGES["401"].causes)
    assert {it.code for it in PERMISSIONS} <= set(PAGES["403"].causes)


@pytest.mark.parametrize("code", CAUSES)
def test_a_cause_says_all_that_helps(code: str) -> None:
    """How it is told apart, what follows, what mends it; and no variable is left unfilled."""
    found = CAUSES[code].about()
    assert found.tell
    assert found.consequence
    assert found.commands
    assert not re.search(r"\{\w", f"{found}")


def test_a_cause_speaks_of_the_case_at_hand() -> None:
    """What is known is filled in; what is not stays a word in capitals."""
    found = cause("token-expired", token="ci@pve!t1", userid="ci@pve", name="")
    assert found.what == "ci@pve!t1 has expired"
    assert found.commands[1] == f"pveum user token modify ci@pve {SHOWN['name']} --expire 0"


def test_it_tells_the_causes_of_a_status_with_what_mends_them() -> None:
    """What the article's table says in a word, and how to find out which it is."""
    told = explain("403").output
    assert "causes, likeliest first:" in told
    assert "privsep-without-acl" in told
    assert "pveum acl modify PATH --tokens 'USER@REALM!NAME' --roles ROLE" in told
    assert "web: Datacenter > Permissions > Add > API Token Permission" in told


def test_a_word_may_be_a_reason_and_a_cause() -> None:
    """Both are told."""
    told = explain("user-disabled").output
    assert "user-disabled  reason" in told
    assert "user-disabled  cause" in told


def test_alone_it_lists_every_word() -> None:
    """The table of contents has all, and nobody is contacted: there is no configuration."""
    result = explain()
    assert result.exit_code == 0
    words = set(re.findall(r"[a-z0-9-]+", result.output))
    assert {word for section in SECTIONS.values() for word in section} <= words


def test_an_unknown_word_is_refused_with_a_guess() -> None:
    """Exit code 2, like every wrong use."""
    result = explain("not-adoptet")
    assert result.exit_code == 2
    assert "did you mean 'not-adopted'?" in result.output


@pytest.mark.parametrize("words", [[], ["401"], ["5"], ["forced"], ["csrf-missing"]], ids=" ".join)
def test_a_script_gets_the_same_in_its_shape(words: list[str]) -> None:
    """As one JSON document."""
    printed = explain(*words, "--json").output
    check_shape("explain", printed, is_dry=False)
    names = [it["name"] for it in json.loads(printed)["results"]]
    assert names == (words or list(PAGES))


def test_the_page_on_errors_is_written_from_the_same_text() -> None:
    """What is read on the web and what a terminal says cannot differ; see `tests.doctor.errors_page`."""
    assert CHECKED_IN.read_text(encoding="utf-8") == page().rstrip("\n") + "\n"
