"""``bench diagnose``: signatures of failure of one method, and what it says about itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer


def diagnose(
    method: Annotated[str, typer.Argument(metavar="METHOD", help="Public name, with settings if any: 'x[width=16]'.")],
    cohort: Annotated[
        list[str] | None,
        typer.Option("--cohort", metavar="NAME", help="Only this cohort, computed if missing; may be repeated."),
    ] = None,
    modality: Annotated[str | None, typer.Option("--modality", metavar="NAME", help="Only this modality.")] = None,
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
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Write figures and pictures to a folder below DIR.")
    ] = None,
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
    """Look for known failures of a method: false positives, missed lesions, new centres, and its own checks.

    Without --cohort everything counts that the results folder has of the method. A cohort that is named is trained on
    and evaluated first if it has not been, as `bench run` would.
    """
    from cerebench.cli.display import make_display
    from cerebench.cli.output import print_json
    from cerebench.diagnose.run import diagnose as diagnose_method
    from cerebench.diagnose.subject import Complaint

    complaint = Complaint(
        method=method,
        cohorts=tuple(cohort or ()),
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
        report = diagnose_method(complaint, out, force, display)
    finally:
        display.close()
    files = [str(path) for path in report.files]
    if as_json:
        print_json({**report.content, "files": files})
        return
    _print(report.content)
    for path in files:
        print(path)


def _print(content: Mapping[str, Any]) -> None:
    from cerebench.cli.output import print_table

    findings = [
        {
            "finding": " ".join(filter(None, (item["part"], item["name"]))),
            "there": {True: "YES", False: "no", None: "?"}[item["triggered"]],
            "figure": "" if item["value"] is None else f"{item['value']:.4g}",
            "limit": f"{item['beyond']} {item['threshold']:g}",
            "of": item["figure"] if item["value"] is not None else item["text"],
        }
        for item in content["findings"]
    ]
    print_table(findings, ["finding", "there", "figure", "limit", "of"], "no finding is known for this method")
    print()
    figures = [
        {
            "figure": " ".join(filter(None, (item["part"], item["name"]))),
            "value": f"{item['value']:.4g} {item['unit']}".strip(),
            "what": item["text"],
        }
        for item in content["figures"]
    ]
    print_table(figures, ["figure", "value", "what"], "no figure")
