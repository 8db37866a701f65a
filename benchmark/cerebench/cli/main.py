"""Entry point of ``bench``.

Each command is one line in ``COMMANDS``. ``bench --help`` prints these lines; a command's module is imported only when
that command is called, and it is one of:

* a function with typer annotations, or a ``typer.Typer`` for a group of commands;
* a light command (``light=True``): a function that takes the rest of the words and parses them with argparse. typer
  imports pydantic as soon as it parses anything, which alone would use up the half second that listings may take.

A command raises ``BenchError`` for what the user has to know and ``typer.Exit(code)`` (light ones: ``SystemExit``) for
its exit code: 0 all fine; 1 finished, but something in it failed or got worse; 2 usage or configuration, or a fault of
the harness; 3 nothing or too little was measured to compare; 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NamedTuple

from cerebench import __version__
from cerebench.errors import BenchError, UsageError
from cerebench.text import did_you_mean


class Command(NamedTuple):
    """Where a command lives (``module:object``), its line of help, and whether it parses its words itself."""

    target: str
    help: str
    light: bool = False


COMMANDS: dict[str, Command] = {
    "run": Command("cerebench.cli.run:run", "Evaluate methods on cohorts under a protocol; print the leaderboard."),
    "leaderboard": Command("cerebench.cli.leaderboard:leaderboard", "Print the leaderboard of what has been run."),
    "explain": Command("cerebench.cli.explain:explain", "Show what a method makes of one case: pictures and numbers."),
    "diagnose": Command("cerebench.cli.diagnose:diagnose", "Look for known failures of a method in its results."),
    "compare": Command("cerebench.cli.compare:compare", "Hold a run against a baseline: regressions, case by case."),
    "nightly": Command("cerebench.cli.nightly:nightly", "Run, compare, keep history, summarise: one night's work."),
    "baseline": Command("cerebench.cli.baseline:app", "Record and list accepted baselines."),
    "claims": Command("cerebench.cli.claims:claims", "Print the claims ledger: published, measured, verdict."),
    "list": Command("cerebench.cli.listing:main", "List methods, cohorts, protocols, metrics, reporters.", light=True),
    "show": Command("cerebench.cli.show:app", "Show one method, cohort or protocol in full."),
    "data": Command("cerebench.cli.data:app", "Show which cohorts are there; write in-silico twins."),
    "plugins": Command("cerebench.cli.plugins:app", "List plugins with their state; check one; begin a new package."),
    "doctor": Command("cerebench.cli.doctor:doctor", "Check the installation: versions, devices, folders, plugins."),
}

SHORTCUTS = {
    ("baseline", "list"): "cerebench.cli.baseline_list:shortcut",
    ("plugins", "list"): "cerebench.cli.plugins_list:shortcut",
}
"""Listings within a group of typer: they take the words they understand without importing typer."""

OPTIONS = ["--version", "--debug", "--help"]
USAGE = """Usage: bench [OPTIONS] COMMAND [ARGS]...

  A benchmark for brain MRI: one evaluation loop, many cohorts, tables with
  confidence intervals.

Options:
  --version  Show the version and exit.
  --debug    Show tracebacks of errors; may stand anywhere on the line.
  --help     Show this message and exit; 'bench COMMAND --help' shows more.

Commands:
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run ``bench``; ends the process with one of the exit codes above."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    try:
        sys.exit(_run([word for word in words if word != "--debug"]))
    except KeyboardInterrupt:
        print("Interrupted", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        # the reader (head, less) has gone; what Python still holds for it must not raise again at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        expected = isinstance(error, BenchError)
        if debug or not expected or _author(words, error):
            import traceback

            traceback.print_exc()
        fault = "" if expected else f"this is a fault of cerebench, please report it: {type(error).__name__}: "
        print(f"Error: {fault}{' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)


def _author(words: Sequence[str], error: Exception) -> bool:
    """Whether the author of a broken plugin is watching, who wants its traceback."""
    from cerebench.errors import PluginError
    from cerebench.plugins.discovery import STRICT

    return isinstance(error, PluginError) and ("--strict" in words or os.environ.get(STRICT, "") not in ("", "0"))


def _run(words: list[str]) -> int:
    name, *rest = words or ["--help"]
    if name in ("--help", "-h"):
        width = max(map(len, COMMANDS))
        print(USAGE + "\n".join(f"  {name:<{width}}  {command.help}" for name, command in COMMANDS.items()))
        return 0
    if name == "--version":
        print(f"cerebench {__version__}")
        return 0
    if name not in COMMANDS:
        what, known = ("option", OPTIONS) if name.startswith("-") else ("command", list(COMMANDS))
        raise UsageError(f"unknown {what} {name!r}: {did_you_mean(name, known)}")
    if rest and (name, rest[0]) in SHORTCUTS and _target(SHORTCUTS[name, rest[0]])(rest[1:]):
        return 0
    found = _target(COMMANDS[name].target)
    if COMMANDS[name].light:
        found(rest)
        return 0
    return _run_typer(name, found, rest)


def _target(text: str) -> Any:
    """The object that ``module:object`` names."""
    module, _, attribute = text.partition(":")
    return getattr(import_module(module), attribute)


def _run_typer(name: str, found: Any, words: list[str]) -> int:
    import typer

    if isinstance(found, typer.Typer):
        command: Any = typer.main.get_group(found)
    else:
        single = typer.Typer(add_completion=False, rich_markup_mode=None)
        single.command(name)(found)
        command = typer.main.get_command(single)
    # typer carries its own copy of click since 0.26, so the class of its errors has no stable address
    click_error: Any = next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")
    try:
        code = command.main(args=words, prog_name=f"bench {name}", standalone_mode=False)
    except typer.Abort:
        raise KeyboardInterrupt from None
    except click_error as error:
        error.show()
        return int(error.exit_code)
    return code if isinstance(code, int) else 0


if __name__ == "__main__":
    main()
