"""prometheus-pve-exporter, started as a unit of systemd says: its environment, its file of variables, its command."""

from __future__ import annotations

import configparser
import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.system.guides.terminal import OURS, Terminal

SERVED = "127.0.0.1:9221"


def command(unit: str) -> tuple[list[str], dict[str, str]]:
    """Read a unit: what it starts, and with which variables."""
    parser = configparser.RawConfigParser()
    parser.optionxform = str  # type: ignore[assignment,method-assign] # configparser's own way to keep case
    parser.read_string(unit)
    service = parser["Service"]
    lines = [service["Environment"], *Path(service["EnvironmentFile"]).read_text(encoding="utf-8").split()]
    return shlex.split(service["ExecStart"]), dict(line.split("=", 1) for line in lines)


@contextmanager
def running(terminal: Terminal, unit: str) -> Iterator[str]:
    """Start it on a free port; yields where it listens."""
    (program, *arguments), variables = command(terminal.here(unit))
    words = [str(OURS / program), *arguments, "--web.listen-address", "127.0.0.1:0"]
    environ = {"PATH": terminal.variables["PATH"], "HOME": str(terminal.home), **variables}
    with subprocess.Popen(words, env=environ, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603 - the page's
        try:
            assert process.stderr
            yield next(found[1] for line in process.stderr if (found := re.search(r"Listening at: http://(\S+)", line)))
        finally:
            process.terminate()
            process.communicate()


@contextmanager
def exporting(terminal: Terminal, unit: str) -> Iterator[None]:
    """Restart it before each block that is typed: the page has systemd do that when the token is replaced."""
    with ExitStack() as stack:

        def restart() -> None:
            stack.close()
            terminal.names[SERVED] = stack.enter_context(running(terminal, unit))

        terminal.before = restart
        yield
