"""What the page on leaked tokens says of a run that breaks off: the flag is not remembered, and a second run helps."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from rotator.testing.exchange import AnswerInstead, Request
from tests.docs.bench import Bench
from tests.docs.pages import blocks, commands, read

PAGE = "guides/leaked.md"
LEAK = ["rotate", "now", "ci", "--compromised"]
Instant = Callable[[Request, int], bool]
"""Whether everything breaks off at a request, given how many tokens there are."""
INSTANTS: dict[str, Instant] = {
    "before *publish*": lambda request, count: request.method == "GET" and count == 3,
    "between *publish* and *revoke*": lambda request, _: request.method == "DELETE",
    "after *revoke*": lambda request, _: request.method == "PUT",
}


@pytest.fixture
def leaked(bench: Bench) -> Bench:
    """Follow the page until somebody knows a token: there are that one and an older one."""
    for block in blocks(PAGE):
        if block.language == "yaml":
            bench.configure(block.text)
        elif block.language == "console":
            for command in commands(block):
                bench.type(command)
            return bench
    raise AssertionError("the page shows no console")


def serials(bench: Bench) -> list[int]:
    """List the serials of the tokens that are there."""
    return [int(name.split("-")[1]) for name in bench.pve.tokens("ci@pve")]


def break_off(bench: Bench, instant: Instant) -> None:
    """Run the command of the page, and let PVE be gone from an instant on."""
    gone: list[Request] = []

    def intercept(request: Request) -> AnswerInstead | None:
        if gone or instant(request, len(bench.pve.tokens("ci@pve"))):
            gone.append(request)
            return AnswerInstead(595, "no route to host")
        return None

    bench.pve.intercept = intercept
    assert bench.run(LEAK)[1] != 0
    assert gone
    bench.pve.intercept = None


@pytest.mark.parametrize("instant", INSTANTS)
def test_the_same_command_again_ends_the_leak(leaked: Bench, instant: str) -> None:
    """Wherever it broke off: one token is left, it is new, and both records hold it."""
    assert f"| {instant} |" in read(PAGE)
    break_off(leaked, INSTANTS[instant])
    assert leaked.run(LEAK)[1] == 0
    (left,) = serials(leaked)
    assert left > 3
    assert leaked.run(["rotate", "verify"])[1] == 0


@pytest.mark.parametrize(("instant", "is_live"), [*zip(INSTANTS, (True, True, False), strict=True)])
def test_a_later_run_without_the_flag_lets_the_leaked_token_live(leaked: Bench, instant: str, *, is_live: bool) -> None:
    """As the page warns; it is over only once the tokens were revoked."""
    break_off(leaked, INSTANTS[instant])
    leaked.run(["rotate", "due"])
    assert (2 in serials(leaked)) is is_live


def test_the_numbered_steps_are_those_of_the_plan(leaked: Bench) -> None:
    """In the plan's order, with nothing left out; granting and restarting are told with what they follow."""
    told = [word.lower() for word in re.findall(r"^\d\. \*\*(\w+)", read(PAGE), re.MULTILINE)]
    planned = re.findall(r"^    \d+\. (\w+)", leaked.run([*LEAK, "--dry-run"])[0], re.MULTILINE)
    assert told == list(dict.fromkeys(planned))
