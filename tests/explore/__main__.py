"""``python -m tests.explore crash|race|fault|kill|all``: look for a way to break the promise; 1 when there is one.

Each part is a module ``<part>_command`` of this folder with a click command named ``command``, which is imported when
it is called, and returns the rows of what it covered (``tests.explore.report.Row``).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec

import click

from tests.explore.report import Row, spelled, table, told, total

PARTS = ("crash", "race", "fault", "kill")


class Parts(click.Group):
    """The parts that are there, each imported when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the parts, then what belongs to all of them."""
        return [*(part for part in PARTS if find_spec(module(part))), *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a part."""
        if cmd_name not in PARTS:
            return super().get_command(ctx, cmd_name)
        if not find_spec(module(cmd_name)):
            return None
        command = import_module(module(cmd_name)).command
        return command if isinstance(command, click.Command) else None


def module(part: str) -> str:
    """Name the module of a part."""
    return f"tests.explore.{part}_command"


@click.group(cls=Parts)
def explore() -> None:
    """Look for a way to break what the product promises."""


@explore.command("all")
@click.pass_context
def everything(ctx: click.Context) -> tuple[Row, ...]:
    """Explore with every part, as far as each goes by itself."""
    sums = []
    for part in PARTS:
        if command := explore.get_command(ctx, part):
            begun = time.monotonic()
            rows = ctx.invoke(command)
            tell(part, rows, time.monotonic() - begun)
            sums.append(total(part, rows))
    return tuple(sums)


def tell(part: str, rows: Sequence[Row], seconds: float) -> None:
    """Print what a part covered and found."""
    click.echo(f"\n{part}, {spelled(seconds)}:")
    click.echo("\n".join(table(rows)))
    click.echo("".join(f"{line}\n" for line in told(rows)), nl=False)


def main(arguments: Sequence[str]) -> int:
    """Explore; return 1 when something was violated, 0 when nothing was, 2 for a wrong command."""
    begun = time.monotonic()
    try:
        rows = explore.main(list(arguments), "python -m tests.explore", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    if not isinstance(rows, tuple):  # it was asked for help
        return 0
    tell(" ".join(arguments), rows, time.monotonic() - begun)
    return int(any(row.violations for row in rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
