"""The canary itself: a test that lets a secret out fails, whichever way it got out, and nothing shows it."""

from __future__ import annotations

import base64
import uuid
from pathlib import Path

import pytest

from tests import canary as plugin

LEAKS = (
    ("print('operator is', canary)", "captured stdout call"),
    ("print(canary, file=sys.stderr)", "captured stderr call"),
    ("print(canary); assert capsys.readouterr().out", "output that the test read"),
    ("subprocess.run(['cat'], input=canary, text=True, capture_output=True)", "output of a process"),
    ("subprocess.run(['true', f'--token={canary}'])", "arguments of a process"),
    ("CliRunner().invoke(click.Command('x', callback=lambda: click.echo(canary)))", "output of the command"),
    ("CliRunner().invoke(click.Command('x', callback=lambda: open(canary)))", "output of the command"),
    ("logging.getLogger('urllib3').debug('GET %s', canary)", "log of urllib3"),
    ("logging.getLogger('rotator').info('issued', extra={'token': canary})", "log of rotator"),
    ("logging.getLogger('x').error('no', exc_info=(KeyError, KeyError(canary), None))", "log of x"),
    ("assert canary == 'something else'", "failure report"),
    ("print(base64.b64encode(f'root@pam:{canary}'.encode()))", "captured stdout call"),
    ("print(f'PVEAPIToken=root@pam!ci={canaries[5]}')", "captured stdout call"),
    ("secret = str(uuid.uuid4()); watch(secret); print(secret)", "captured stdout call"),
    ("watch('correct horse'); print('the correct horse battery')", "captured stdout call"),
)


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """Return an empty suite under the canary."""
    package = pytester.mkdir("tests")
    package.joinpath("canary.py").write_text(Path(plugin.__file__).read_text())
    pytester.makeconftest("pytest_plugins = ('tests.canary',)")
    pytester.makeini("[pytest]\npythonpath = .\n")
    return pytester


def write_test(suite: pytest.Pytester, *bodies: str) -> None:
    """Write tests with these bodies."""
    lines = ["import base64, logging, subprocess, sys, uuid", "import click", "from click.testing import CliRunner"]
    lines += [f"def test_{n}(canary, canaries, watch, capsys):\n    {body}" for n, body in enumerate(bodies)]
    suite.makepyfile("\n".join(lines))


def test_a_test_that_lets_a_secret_out_fails(suite: pytest.Pytester) -> None:
    """Each way out is watched, and the report names it."""
    write_test(suite, *(body for body, _ in LEAKS))
    result = suite.runpytest_inprocess("-p", "no:xdist")
    result.assert_outcomes(failed=len(LEAKS))
    assert result.ret == 1
    verdicts = [f"*test_{n} (call) let a secret out: *{source}*" for n, (_, source) in enumerate(LEAKS)]
    result.stdout.fnmatch_lines(verdicts)


def test_a_test_that_keeps_its_secrets_passes(suite: pytest.Pytester) -> None:
    """Using secrets, and talking of other things, is no leak."""
    write_test(suite, "print('issued', uuid.uuid4()); logging.debug('done'); assert canary != canaries[1]")
    suite.runpytest_inprocess("-p", "no:xdist").assert_outcomes(passed=1)


def test_a_leak_while_tearing_down_fails_too(suite: pytest.Pytester) -> None:
    """Fixtures that clean up are searched like tests."""
    fixture = "import pytest\n@pytest.fixture\ndef store(canary):\n    yield\n    print(canary)\n"
    suite.makepyfile(f"{fixture}def test_store(store):\n    pass")
    result = suite.runpytest_inprocess("-p", "no:xdist")
    result.assert_outcomes(passed=1, errors=1)


def test_the_report_of_a_leak_does_not_leak(suite: pytest.Pytester) -> None:
    """What is printed has the secret taken out: a run's log is public."""
    write_test(suite, "open('drawn', 'w').write(canary); print(canary); assert canary == 'x'")
    result = suite.runpytest_inprocess("-p", "no:xdist")
    drawn = Path(suite.path, "drawn").read_text()
    shown = result.stdout.str() + result.stderr.str()
    assert plugin.SCRUBBED in shown
    assert drawn not in shown
    assert drawn[:23] not in shown
    assert drawn[-12:] not in shown


def test_a_leak_on_a_worker_fails_the_run(suite: pytest.Pytester) -> None:
    """Under xdist the worker finds it and the controller hears of it."""
    write_test(suite, "pass", "print(canary)", "pass")
    result = suite.runpytest_subprocess("-n", "2")
    result.assert_outcomes(passed=2, failed=1)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*test_1 (call) let a secret out: captured stdout call*"])


def test_a_leak_is_laid_at_the_door_of_its_own_test(suite: pytest.Pytester) -> None:
    """What one test let out is forgotten before the next one."""
    write_test(suite, "print(canary)", "pass")
    suite.runpytest_inprocess("-p", "no:xdist").assert_outcomes(passed=1, failed=1)


def test_the_canary_is_another_one_in_every_run() -> None:
    """A fixed value could be filtered by accident."""
    assert plugin.Canary().core != plugin.Canary().core


def test_canaries_are_distinct_and_share_the_core(canary: str, canaries: tuple[str, ...]) -> None:
    """Comparing two of them tells them apart, searching for one part finds all."""
    assert len(set(canaries)) == len(canaries) == 8
    assert canary in canaries
    assert {value[-12:] for value in canaries} == {canary[-12:]}
    assert all(str(uuid.UUID(value)) == value for value in canaries)


@pytest.mark.parametrize("shift", range(3))
def test_base64_is_seen_through_at_every_alignment(shift: int) -> None:
    """Kubernetes and basic authentication show values in base64."""
    canary = plugin.Canary()
    encoded = base64.b64encode(b"x" * shift + canary.core.encode() + b"y").decode()
    assert canary.scrub(encoded) != encoded


def test_a_value_too_short_to_search_for_is_refused() -> None:
    """Watching for a few letters would find them everywhere."""
    with pytest.raises(ValueError, match="8 characters"):
        plugin.Canary().watch("hunter2")
