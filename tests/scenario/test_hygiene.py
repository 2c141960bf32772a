"""I7: what else could carry a secret out of a running rotation: tracebacks with locals, objects, a core file, /proc."""

from __future__ import annotations

import gc
import itertools
import pickle
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rotator.events import Event
from rotator.testing.exchange import Request
from tests.cli.lab import OPERATOR, Lab
from tests.world import World

BUG = "a mistake of ours"


def secrets(w: World) -> tuple[str, ...]:
    """Tell every secret that there is: of tokens that live or lived, and as a header shows them."""
    users = w.pve.cluster.newest().users.values()
    return tuple(token.secret for user in users for token in user.tokens.values())


def frames_of_ours(error: BaseException) -> int:
    """Count the frames of the product in a traceback."""
    return sum("rotator" in frame.filename for frame in traceback.extract_tb(error.__traceback__))


@pytest.mark.stores("file", because="no store is on the way from an event up")
def test_a_traceback_that_shows_all_locals_shows_no_secret(w: World) -> None:
    """A bug at each event of a rotation, told the way error trackers tell it: with the values of all variables."""
    w.run(w.due())
    moments = len(w.events)
    assert moments > 10
    for number in range(1, moments + 1):
        w.wipe()
        ci = w.due()
        heard = itertools.count(1)

        def stumble(_: Event, heard: Iterator[int] = heard, number: int = number) -> None:
            if next(heard) == number:
                raise LookupError(BUG)

        with pytest.raises(LookupError, match=BUG) as caught:
            w.run(ci, ports=replace(w.ports(), listen=stumble))
        shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
        assert frames_of_ours(caught.value) >= 3
        where = [line.split("=")[0] for line in shown.splitlines() if any(secret in line for secret in secrets(w))]
        assert where == [], number


def shown_by(thing: object) -> bytes:
    """Show an object in every way that comes by itself; what refuses to be pickled shows nothing."""
    texts = [repr(thing), str(thing), f"{thing}"]
    with suppress(Exception):  # whatever an object says against it
        return "".join(texts).encode() + pickle.dumps(thing)
    return "".join(texts).encode()


def is_ours(thing: object) -> bool:
    """Whether it is an object of a class of the product, but for what stands in for the world in tests."""
    module = getattr(type(thing), "__module__", "")
    return isinstance(module, str) and module.startswith("rotator") and not module.startswith("rotator.testing")


def test_no_object_of_ours_shows_a_secret_whenever_it_is_looked_at(w: World) -> None:
    """Every object of the product's classes, at every third event: its repr, its text, its pickle."""
    found: set[str] = set()
    seen: set[type] = set()
    events = itertools.count()

    def look(_: Event) -> None:
        for thing in () if next(events) % 3 else gc.get_objects():
            if is_ours(thing):
                seen.add(type(thing))
                shown = shown_by(thing)
                found.update(type(thing).__name__ for secret in secrets(w) if secret.encode() in shown)

    w.run(w.due(), ports=replace(w.ports(), listen=look))
    assert found == set()
    assert {"Act", "Observation", "ProxmoxCluster", "Token"} <= {it.__name__ for it in seen}


@pytest.fixture
def lab(tmp_path: Path, watch: Callable[[str], None]) -> Any:  # noqa: ANN401 - a generator's
    """Return a laboratory whose operator's secret is in a file."""
    from tests.cli.lab import Time  # noqa: PLC0415 - its only use

    made = Lab(tmp_path, Time(), watch)
    made.add_cluster("one")
    operator = tmp_path / "operator"
    operator.touch(mode=0o600)
    operator.write_text(made.environ.pop("ROTATE_TEST_OPERATOR_ONE"), encoding="utf-8")
    made.operators["one"] = {"token_id": OPERATOR, "token_secret": {"file": str(operator)}}
    yield made
    made.pve.close()


@pytest.mark.stores("file", because="it looks at the process, not at the store")
def test_neither_arguments_nor_environment_of_a_process_hold_a_secret(lab: Lab) -> None:
    """Looked at from outside, at each call that it makes."""
    lab.add("ci")
    looks: list[bool] = []
    process: list[subprocess.Popen[str]] = []

    def look(_: Request) -> None:
        if not process:
            return
        texts = [Path(f"/proc/{process[0].pid}/{name}").read_bytes() for name in ("cmdline", "environ")]
        users = lab.pve.cluster.newest().users.values()
        known = [token.secret for user in users for token in user.tokens.values()]
        looks.append(any(secret.encode() in text for secret in known for text in texts))

    lab.pve.intercept = look
    for command in (("due",), ("now", "ci", "--json"), ("verify", "--verbose")):
        with lab.process(*command) as started:
            process[:] = [started]
            started.communicate(timeout=60)
    assert len(looks) > 15
    assert not any(looks)


@pytest.mark.stores("file", because="it looks at the process, not at the store")
def test_a_crash_writes_no_core_file() -> None:
    """Neither to a file, which the limit forbids, nor to a program, which the flag forbids (core(5))."""
    code = (
        "import ctypes, resource\n"
        "from rotator.cli.memory import keep_private\n"
        "keep_private(); keep_private()\n"
        "print(resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603 - our own
    assert done.stdout == "(0, 0) 0\n"
