"""Entry point of ``bench``.

Each command is one line in ``COMMANDS``: its name, where it lives (``module:object``) and its help. ``bench --help``
prints these lines; a command's module is imported only when that command is called. The object is a function with typer
annotations (it becomes the command) or a ``typer.Typer`` (it becomes a group). A command raises ``BenchError`` for what
the user has to know and ``typer.Exit(code)`` for its exit code.

Exit codes: 0 all fine; 1 finished, but something in it failed; 2 usage or configuration, or an error of the harness;
130 interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from cerebench.errors import BenchError
from cerebench.text import did_you_mean

COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("cerebench.cli.run:run", "Evaluate methods on cohorts under a protocol, and print the leaderboard."),
    "leaderboard": ("cerebench.cli.leaderboard:leaderboard", "Print the leaderboard of what has been run."),
    "list": ("cerebench.cli.listing:app", "List methods, cohorts, protocols or metrics."),
    "show": ("cerebench.cli.show:app", "Show one method, cohort or protocol in full."),
    "data": ("cerebench.cli.data:app", "Show which cohorts are there; write in-silico twins."),
    "plugins": ("cerebench.cli.plugins:app", "List plugins with their state; check one against the contract."),
    "doctor": ("cerebench.cli.doctor:doctor", "Check the installation: versions, devices, folders, plugins."),
}


class LazyGroup(TyperGroup):
    """A group that knows its commands' help without importing them."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names, in the order of ``COMMANDS``."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """What help and completion need of a command: its name and its line of help."""
        return TyperCommand(cmd_name, help=COMMANDS[cmd_name][1]) if cmd_name in COMMANDS else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Import the command that is called."""
        name = args[0]
        if name not in COMMANDS:
            ctx.fail(f"unknown command {name!r}: {did_you_mean(name, COMMANDS)}")
        return name, load_command(name), args[1:]

    def invoke(self, ctx: Any) -> Any:
        """Run the command; Ctrl-C ends with 130 under every version of typer."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            print("Interrupted", file=sys.stderr)
            raise typer.Exit(130) from None


def load_command(name: str) -> Any:
    """Import a command's module and build the command."""
    target, text = COMMANDS[name]
    module_name, _, attribute = target.partition(":")
    found = getattr(import_module(module_name), attribute)
    if isinstance(found, typer.Typer):
        group = typer.main.get_group(found)
        group.name = name
        return group
    single = typer.Typer(add_completion=False)
    single.command(name, help=text if not found.__doc__ else None)(found)
    return typer.main.get_command(single)


app = typer.Typer(cls=LazyGroup, add_completion=True, no_args_is_help=True, pretty_exceptions_enable=False)


def _version(wanted: bool) -> None:
    if wanted:
        from cerebench import __version__

        typer.echo(f"cerebench {__version__}")
        raise typer.Exit


@app.callback()
def bench(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks; may stand anywhere on the line.")] = False,
) -> None:
    """A benchmark for brain MRI: one evaluation loop, many cohorts, tables with confidence intervals."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run ``bench``; ends the process with one of the exit codes above."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    command = typer.main.get_command(app)
    try:
        command.main(args=[word for word in given if word != "--debug"], prog_name="bench")
    except Exception as error:
        expected = isinstance(error, BenchError)
        if debug or not expected:
            import traceback

            traceback.print_exc()
        fault = "" if expected else f"this is a fault of cerebench, please report it: {type(error).__name__}: "
        print(f"Error: {fault}{' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)
