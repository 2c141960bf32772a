"""``rotate completion``: the shell's completion script, made by click."""

from __future__ import annotations

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

from rotator.cli.invocation import Command
from rotator.cli.main import COMPLETE_VARIABLE
from rotator.cli.output import Report
from rotator.cli.shapes import Script

SHELLS: dict[str, type[ShellComplete]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


@click.command(cls=Command)
@click.argument("shell", type=click.Choice(list(SHELLS)))
@click.pass_context
def completion(context: click.Context, *, shell: str) -> Report:
    """Print the completion script of a shell; names of credentials complete from the configuration.

    Example: rotate completion bash > ~/.local/share/bash-completion/completions/rotate
    """
    script = SHELLS[shell](context.find_root().command, {}, "rotate", COMPLETE_VARIABLE).source()
    return Report([Script(shell=shell, script=script)], [script])
