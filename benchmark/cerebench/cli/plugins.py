"""``bench plugins``: which plugins are installed, in which state, and whether one keeps to the contract."""

from __future__ import annotations

from typing import Annotated

import typer

from cerebench.cli.output import print_json, print_table
from cerebench.plugins.registry import Registry

app = typer.Typer(
    help="List plugins with their state; check one against the contract.", no_args_is_help=True, rich_markup_mode=None
)

Json = Annotated[bool, typer.Option("--json", help="Print a list of objects.")]


@app.command("list")
def list_plugins(
    as_json: Json = False,
    load: Annotated[bool, typer.Option("--load", help="Also import each plugin's hooks.")] = False,
) -> None:
    """List plugins: distribution, version, state, what each provides, and what is wrong with it in one line."""
    registry = Registry.discover()
    states = registry.load_all() if load else registry.plugins()
    rows = [
        {
            "name": state.name,
            "distribution": state.distribution,
            "version": state.version,
            "state": state.state,
            "provides": dict(state.provides),
            "error": state.error,
        }
        for state in states
    ]
    if as_json:
        print_json(rows)
        return
    print_table(rows, ("name", "distribution", "version", "state", "provides", "error"), "no plugin is installed")


@app.command()
def check(
    name: Annotated[str, typer.Argument(metavar="METHOD", help="Public name of the method.")],
    as_json: Json = False,
    preset: Annotated[str, typer.Option("--preset", help="Preset whose settings are checked.")] = "quick",
    device: Annotated[str, typer.Option("--device", help="Device to check on: cpu, cuda, cuda:1.")] = "cpu",
) -> None:
    """Check a method against the contract on mock volumes. Ends with exit code 1 if a check fails."""
    registry = Registry.discover()
    method = registry.load_method(name)
    differences = registry.method_disagreements(name)
    from cerebench.testing.conformance import check_method

    rows = [
        {
            "check": "manifest and class agree",
            "result": "failed" if differences else "ok",
            "detail": "; ".join(differences),
        }
    ]
    for result in check_method(method, preset=preset, device=device):
        state = "skipped" if result.skipped else "ok" if result.ok else "failed"
        rows.append({"check": result.name, "result": state, "detail": result.detail})
    if as_json:
        print_json(rows)
    else:
        print_table(rows, ("check", "result", "detail"), "no check ran")
    if any(row["result"] == "failed" for row in rows):
        raise typer.Exit(1)
