"""Write docs/cli.md: every command with its options, read from the commands themselves.

``python docs/make_cli.py`` writes the page; a test fails while page and commands differ. Names, defaults and help
texts are taken from the parsers, not from rendered help, so that the page does not depend on typer's or rich's version.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from cerebench.cli.main import COMMANDS

PAGE = Path(__file__).with_name("cli.md")
KINDS = ("methods", "cohorts", "protocols", "metrics", "reporters")

HEAD = """# Command line

Written by `python docs/make_cli.py` from the commands themselves; do not edit it by hand.

| command | what it does |
|---|---|
"""

TAIL = """
## Everywhere

`bench --version` shows the version. `--debug` may stand anywhere on a line and shows the traceback of an error.
Errors are one sentence on the error stream; warnings go there too, so that standard output stays clean for scripts.

| exit code | meaning |
|---|---|
| 0 | all fine; for `bench run` every cell is there or was rightly skipped |
| 1 | finished, but something in it failed: cells of a run, a check of `bench plugins check` or `bench doctor` |
| 2 | usage or configuration, or a fault of cerebench itself |
| 130 | interrupted |

| variable | effect |
|---|---|
| `CEREBENCH_DATA` | the data root where no `--data-root` is given |
| `CEREBENCH_CACHE` | folder of prepared volumes and in-silico twins; default: the platform's cache folder |
| `CEREBENCH_PLUGINS`, `CEREBENCH_BLOCK_PLUGINS`, `CEREBENCH_STRICT_PLUGINS` | [which plugins are used](plugins.md) |
| `CEREBENCH_WRITABLE` | further folders that [methods may write to](reporters.md#what-contains-a-plugin) |

JSON: `bench list … --json`, `bench show … --json`, `bench data status --json`, `bench plugins … --json`,
`bench doctor --json` and `bench leaderboard --format json` ([its fields](results.md#leaderboard-json)).
"""


def page() -> str:
    """The whole page as Markdown."""
    rows = "".join(f"| [`bench {name}`](#bench-{name}) | {command.help} |\n" for name, command in COMMANDS.items())
    sections = "".join(f"\n## bench {name}\n\n{_section(name)}" for name in COMMANDS)
    return HEAD + rows + sections + TAIL


def _section(name: str) -> str:
    module, _, attribute = COMMANDS[name].target.partition(":")
    found = getattr(import_module(module), attribute)
    if COMMANDS[name].light:
        helps = [_words(found, words) for words in ([], *([kind] for kind in KINDS))]
        return "\n".join(f"```\n{text}\n```\n" for text in helps)
    command = _typer_command(name, found)
    if not hasattr(command, "commands"):
        return _command(f"bench {name}", command)
    parts = [f"{command.help}\n"]
    for sub, item in command.commands.items():
        parts.append(f"### bench {name} {sub}\n\n{_command(f'bench {name} {sub}', item)}")
    return "\n".join(parts)


def _words(light: Any, words: list[str]) -> str:
    """Help of a light command, as argparse prints it 80 columns wide without colour."""
    text = io.StringIO()
    os.environ.update(COLUMNS="80", NO_COLOR="1")
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(text):
        light([*words, "--help"])
    return text.getvalue().strip()


def _typer_command(name: str, found: Any) -> Any:
    import typer

    if isinstance(found, typer.Typer):
        return typer.main.get_group(found)
    single = typer.Typer(add_completion=False)
    single.command(name)(found)
    return typer.main.get_command(single)


def _command(usage: str, command: Any) -> str:
    arguments = [param for param in command.params if param.param_type_name == "argument"]
    options = [param for param in command.params if param.param_type_name == "option" and param.name != "help"]
    line = " ".join([usage, *(param.metavar or param.name.upper() for param in arguments), "[OPTIONS]"])
    lines = [f"`{line}`", "", " ".join((command.help or "").split()), ""]
    rows = [*_rows(arguments), *_rows(options)]
    return "\n".join([*lines, "| option | default | meaning |", "|---|---|---|", *rows]) + "\n"


def _rows(params: list[Any]) -> Iterator[str]:
    for param in params:
        argument = param.param_type_name == "argument"
        flag = bool(getattr(param, "is_flag", False))
        names = [param.metavar or param.name.upper()] if argument else sorted(param.opts, key=len, reverse=True)
        value = "" if argument or flag else f" {param.metavar or names[0].lstrip('-').upper()}"
        shown = ", ".join(f"`{name}{value if name == names[0] else ''}`" for name in names)
        default = "required" if param.required else ""
        if not flag and isinstance(param.default, (str, int, float, Path)):
            default = f"`{param.default}`"
        yield f"| {shown} | {default} | {_cell(param.help or '')} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
