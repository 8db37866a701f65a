"""``bench baseline``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    add_completion=False, no_args_is_help=True, rich_markup_mode=None, help="Record and list accepted baselines."
)

Baselines = Annotated[Path, typer.Option("--baselines", help="Folder of the accepted baselines.")]


@app.command()
def accept(
    results: Annotated[Path, typer.Argument(help="Results folder whose numbers become the baseline.")],
    reason: Annotated[str, typer.Option("--reason", help="One sentence: why these numbers are right.")],
    baselines: Baselines = Path("results/baseline"),
) -> None:
    """Record a results folder as the next baseline: version, date, reason, commit, and the values compared."""
    from cerebench.compare.accepted import accept as record

    done = record(results, reason, baselines)
    print(f"Baseline {done.version} accepted in {done.folder}: {done.ok} finished cells of {done.cells}.")
    if done.ok < done.cells:
        print(f"{done.cells - done.ok} cells were skipped or failed; they are not watched until they finish.")


@app.command("list")
def list_baselines(
    baselines: Baselines = Path("results/baseline"),
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """List accepted baselines, oldest first."""
    from dataclasses import asdict

    from cerebench.cli.output import print_json, print_table
    from cerebench.compare.accepted import baselines_in

    found = [asdict(item) for item in baselines_in(baselines)]
    if json:
        print_json({"schema_version": 1, "baselines": found})
        return
    rows = [{**item, "commit": _commit(item["origin"]), "date": item["date"][:10]} for item in found]
    print_table(rows, ["version", "date", "commit", "ok", "cells", "reason"], f"no baseline in {baselines}")


def _commit(origin: dict[str, object]) -> str:
    git = origin.get("git")
    if not isinstance(git, dict):
        return ""
    return f"{git['commit'][:8]}{'+' if git['dirty'] else ''}"
