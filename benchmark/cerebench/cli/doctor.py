"""``bench doctor``: whether this installation can run the benchmark, and what is in the way."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from cerebench.cli.output import print_json, print_table


def doctor(
    results: Annotated[Path, typer.Option("--results", metavar="DIR", help="Folder for results.")] = Path("results"),
    data_root: Annotated[
        Path | None,
        typer.Option("--data-root", metavar="DIR", help="Folder that holds the cohorts' folders [CEREBENCH_DATA]."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a list of objects.")] = False,
) -> None:
    """Check the installation: versions, devices, folders, plugins. Ends with exit code 1 if something is broken."""
    from cerebench.cli.checkup import checkup

    findings = checkup(results, data_root)
    rows = [asdict(found) for found in findings]
    if as_json:
        print_json(rows)
    else:
        print_table(rows, ("area", "name", "state", "detail"), "nothing was checked")
    if any(found.state == "failed" for found in findings):
        raise typer.Exit(1)
