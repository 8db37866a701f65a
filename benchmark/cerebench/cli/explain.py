"""``bench explain``: pictures and numbers of one case."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def explain(
    method: Annotated[str, typer.Argument(metavar="METHOD", help="Public name, with settings if any: 'x[width=16]'.")],
    cohort: Annotated[str, typer.Option("--cohort", metavar="NAME", help="Cohort of the case.")],
    case: Annotated[str, typer.Option("--case", metavar="ID", help="One of the cohort's tested cases.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Files go into a folder of their own below DIR.")],
    modality: Annotated[
        str | None, typer.Option("--modality", metavar="NAME", help="Default: the cohort's first tested one.")
    ] = None,
    variant: Annotated[
        str | None, typer.Option("--variant", metavar="TEXT", help="As in the leaderboard: 'adapted', 'key=value,…'.")
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option("--protocol", "-p", metavar="NAME", help="Default: what has been run, else the one that fits."),
    ] = None,
    preset: Annotated[
        str | None, typer.Option(metavar="NAME", help="Default: what has been run, else the protocol's.")
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Repetition.")] = 0,
    results: Annotated[Path, typer.Option(metavar="DIR", help="Results folder.")] = Path("results"),
    data_root: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder that holds the cohorts' folders [CEREBENCH_DATA].")
    ] = None,
    cards: Annotated[
        list[Path] | None, typer.Option("--cards", metavar="DIR", help="Folder with further cards; may be repeated.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print an object.")] = False,
) -> None:
    """Show what a method makes of one tested case: a sheet of pictures, a plot of slice scores, and the numbers.

    If the method has not been trained or evaluated on the column yet, that is done first, as `bench run` would, for
    this column only, and kept in the results folder.
    """
    from cerebench.cli.display import make_display
    from cerebench.cli.output import print_json
    from cerebench.explain.run import explain as explain_case
    from cerebench.explain.target import Question

    question = Question(
        method=method,
        cohort=cohort,
        case=case,
        modality=modality,
        variant=variant or "",
        protocol=protocol,
        preset=preset,
        seed=seed,
        data_root=data_root,
        results=results,
        cards=tuple(cards or ()),
        device=device,
    )
    display = make_display()
    try:
        found = explain_case(question, out, force, display)
    finally:
        display.close()
    if as_json:
        print_json({"schema_version": 1, "files": [str(path) for path in found.files], "numbers": found.numbers})
        return
    for path in found.files:
        print(path)
