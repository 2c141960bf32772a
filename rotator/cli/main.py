"""``rotate``: its commands, each loaded when it is called, and all the ways out of the program.

Exit codes: 0 done or nothing to do; 1 bug; 2 usage; 3 configuration; 4 some credential failed, consumers unaffected;
5 a published record does not work; 6 only in-flight work of somebody else stood in the way; 130 interrupted; 141 the
reader of the output has gone away.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any, NamedTuple, NoReturn

import click

import rotator
from rotator.cli.memory import keep_private
from rotator.cli.streams import failure_of, flushed, keep_streams, let_go, let_go_where_full
from rotator.errors import ExitCode, RotatorError

INTERRUPTED = 130
NO_READER = 141
COMPLETE_VARIABLE = "_ROTATE_COMPLETE"


class Lazy(NamedTuple):
    """Where a command is, and what the list of commands says of it."""

    module: str
    name: str
    help: str


COMMANDS: Mapping[str, Mapping[str, Lazy]] = {
    "Rotate": {
        "now": Lazy("rotator.cli.runs", "now", "Rotate now, due or not."),
        "due": Lazy("rotator.cli.runs", "due", "Rotate what is due, finish what is unfinished."),
        "serve": Lazy("rotator.cli.serving", "serve", "Rotate what is due, and go on doing so until stopped."),
    },
    "Look (nothing is changed)": {
        "plan": Lazy("rotator.cli.looks", "plan", "Say what would happen, step by step, and why."),
        "status": Lazy("rotator.cli.looks", "status", "Say how things stand."),
        "verify": Lazy("rotator.cli.looks", "verify", "Prove that what consumers read works, everywhere."),
        "doctor": Lazy("rotator.cli.doctoring", "doctor", "Say what is wrong, why, and what mends it."),
        "history": Lazy("rotator.cli.history", "history", "Say what was done, by whom; prove that it is all there."),
        "explain": Lazy("rotator.cli.explaining", "explain", "Say what a status, a reason or an exit code means."),
    },
    "Set up": {
        "init": Lazy("rotator.cli.initializing", "init", "Set up a Proxmox VE and a configuration, step by step."),
        "adopt": Lazy("rotator.cli.adopting", "adopt", "Take over tokens that somebody else made."),
        "pause": Lazy("rotator.cli.changes", "pause", "Leave credentials alone until they are resumed."),
        "resume": Lazy("rotator.cli.changes", "resume", "Rotate paused credentials again."),
        "notify": Lazy("rotator.cli.notify", "notify", "Send a test notification."),
        "config": Lazy("rotator.cli.config", "config", "Check the configuration, or print its schema."),
        "completion": Lazy("rotator.cli.completion", "completion", "Print the completion script of a shell."),
    },
    "Try out": {
        "demo": Lazy("rotator.cli.demo", "demo", "The whole job on a simulated Proxmox VE: nothing is needed."),
        "sim": Lazy("rotator.cli.sim", "sim", "Run a simulated Proxmox VE until it is interrupted."),
    },
}


class Rotate(click.Group):
    """The group of all commands. Help is written from the table above, so that it imports none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's
        """List the names, in the order of the help."""
        return [name for section in COMMANDS.values() for name in section]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's
        """Import a command."""
        found = next((section[cmd_name] for section in COMMANDS.values() if cmd_name in section), None)
        command = getattr(import_module(found.module), found.name) if found else None
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        """Write the commands, section by section, all in one column."""
        width = max(len(name) for section in COMMANDS.values() for name in section)
        for title, section in COMMANDS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), lazy.help) for name, lazy in section.items()])

    def main(self, args: Sequence[str] | None = None, **settings: Any) -> NoReturn:  # type: ignore[override] # noqa: ANN401 - one way out, whoever calls
        """Run and exit; ``obj`` may be a clock to go by."""
        code = written(concluded(self, list(sys.argv[1:] if args is None else args), settings.get("obj")))
        let_go_where_full()
        sys.exit(code)


def concluded(group: click.Group, arguments: list[str], clock: object) -> int:
    """Run a command and turn whatever comes out of it into an exit code."""
    try:
        if from_shell := os.environ.get(COMPLETE_VARIABLE):
            return completed(group, from_shell)
        with group.make_context("rotate", arguments.copy(), obj=clock) as context:
            group.invoke(context)
    except click.exceptions.Exit as end:
        return end.exit_code
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - whatever comes out, nothing of it is shown as it is
        return told(error, verbose=not {"-v", "--verbose"}.isdisjoint(arguments))
    return ExitCode.DONE


def completed(group: click.Group, from_shell: str) -> int:
    """Tell a shell how a command line may go on."""
    from click.shell_completion import shell_complete  # noqa: PLC0415 - only a shell needs it

    return shell_complete(group, {}, "rotate", COMPLETE_VARIABLE, from_shell)


def told(error: BaseException, *, verbose: bool) -> int:
    """Say on stderr what ended a command, and return its exit code."""
    from rotator.cli.voice import say  # noqa: PLC0415 - who only wants help needs none

    match error:
        case click.ClickException():
            with suppress(OSError):
                error.show()
            code: int = ExitCode.USAGE if isinstance(error, click.UsageError) else ExitCode.FAILED
        case click.Abort() | KeyboardInterrupt():
            say("rotate: interrupted; nothing more was begun")
            code = INTERRUPTED
        case OSError() if failure_of(sys.stdout):
            code = ExitCode.DONE
        case BrokenPipeError():
            code = NO_READER
        case RotatorError():
            say(f"rotate: {error}" + (f"\n    do: {error.hint}" if error.hint else ""))
            code = error.exit_code
        case _:
            from rotator.cli.bugs import told_of  # noqa: PLC0415 - who only wants help has none

            say("\n".join(told_of(error, verbose=verbose)))
            code = ExitCode.BUG
    return code


def written(code: int) -> int:
    """Say that not all of the output could be written, whatever it was; what went wrong before is graver.

    Nothing more is written then, not even when the interpreter ends.
    """
    failure = flushed(sys.stdout)
    if failure is None:
        return code
    let_go(sys.stdout)
    if isinstance(failure, BrokenPipeError):
        return NO_READER
    from rotator.cli.voice import say  # noqa: PLC0415 - who only wants help needs none

    say(
        f"rotate: the result cannot be written to standard output: {os.strerror(failure.errno or 0).lower()}\n"
        "    live now: what was done is done: rotate status\n"
        "    do: free some space there"
    )
    return code or ExitCode.FAILED


@click.group(cls=Rotate, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(rotator.__version__, prog_name="rotate")
def rotate() -> None:
    """Make Proxmox VE API tokens short-lived without anybody noticing.

    Example: rotate plan, then rotate due
    """


def main() -> NoReturn:
    """Run the command line, in a process whose memory is nobody's business."""
    keep_streams()
    keep_private()
    rotate.main()


if __name__ == "__main__":
    main()
