"""``bench plugins``: which plugins are installed and in which state; check one; begin a new one."""

from __future__ import annotations

from typing import Annotated

import typer

from cerebench.cli.plugins_check import check
from cerebench.cli.plugins_list import print_plugins
from cerebench.cli.plugins_new import new

app = typer.Typer(
    help="List plugins with their state; check one against the contract; begin a new package.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("list")
def list_plugins(
    as_json: Annotated[bool, typer.Option("--json", help="Print a list of objects.")] = False,
    load: Annotated[bool, typer.Option("--load", help="Also import each plugin's hooks.")] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Import each plugin's hooks; end with the traceback of the first fault.")
    ] = False,
) -> None:
    """List plugins: distribution, version, state, what each provides, and what is wrong with it in one line."""
    print_plugins(as_json, load, strict)


app.command()(check)
app.command()(new)
