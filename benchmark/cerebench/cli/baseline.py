"""``bench baseline``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cerebench.cli.baseline_list import DEFAULT, print_baselines

app = typer.Typer(
    add_completion=False, no_args_is_help=True, rich_markup_mode=None, help="Record and list accepted baselines."
)

Baselines = Annotated[Path, typer.Option("--baselines", help="Folder of the accepted baselines.")]


@app.command()
def accept(
    results: Annotated[Path, typer.Argument(help="Results folder whose numbers become the baseline.")],
    reason: Annotated[str, typer.Option("--reason", help="One sentence: why these numbers are right.")],
    baselines: Baselines = DEFAULT,
) -> None:
    """Record a results folder as the next baseline: version, date, reason, commit, and the values compared."""
    from cerebench.compare.accepted import accept as record

    done = record(results, reason, baselines)
    print(f"Baseline {done.version} accepted in {done.folder}: {done.ok} finished cells of {done.cells}.")
    if done.ok < done.cells:
        print(f"{done.cells - done.ok} cells were skipped or failed; they are not watched until they finish.")


@app.command("list")
def list_baselines(
    baselines: Baselines = DEFAULT,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """List accepted baselines, oldest first."""
    print_baselines(baselines, json)
