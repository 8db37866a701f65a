"""``bench compare``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cerebench.compare.snapshot import Snapshot

FORMATS = ("table", "markdown", "json")


def compare(
    baseline: Annotated[
        Path, typer.Argument(help="Results folder, accepted baseline, or folder of baselines (the newest counts).")
    ],
    current: Annotated[Path, typer.Argument(help="The same, of the run to be judged.")],
    methods: Annotated[str, typer.Option("--methods", "-m", help="all, globs or names: only these on both sides.")] = (
        "all"
    ),
    cohorts: Annotated[str, typer.Option("--cohorts", "-c", help="all, globs or names: only these on both sides.")] = (
        "all"
    ),
    alpha: Annotated[float, typer.Option(help="Family-wise error rate of the tests of all methods.")] = 0.05,
    slower: Annotated[float, typer.Option(help="Ratio of seconds beyond which a method is slower.")] = 1.3,
    output: Annotated[str, typer.Option("--format", "-f", help="table, markdown or json.")] = "table",
    json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> None:
    """Hold a run against a baseline, case by case: what got worse, better, slower or lost.

    Exit codes: 0 fine, 1 regression, 2 configuration, or a run that must not be compared with this baseline (another
    version, preset or provenance), 3 nothing or too little measured.
    """
    from cerebench.cli.output import print_json
    from cerebench.compare.accepted import load
    from cerebench.compare.engine import compare as hold
    from cerebench.compare.render import render
    from cerebench.compare.report import Limits
    from cerebench.errors import UsageError
    from cerebench.text import did_you_mean

    if output not in FORMATS:
        raise UsageError(f"--format {output!r} is unknown: {did_you_mean(output, FORMATS)}")
    if not 0 < alpha < 1:
        raise UsageError(f"--alpha {alpha:g}: expected a number between 0 and 1")
    if not slower > 1:
        raise UsageError(f"--slower {slower:g}: expected a ratio above 1")
    sides = [_narrowed(load(path), methods, cohorts) for path in (baseline, current)]
    report = hold(sides[0], sides[1], Limits(alpha=alpha, slower=slower))
    if json or output == "json":
        print_json(report.to_json())
    else:
        print(render(report, "markdown" if output == "markdown" else "table"))
    raise typer.Exit(report.exit_code)


def _narrowed(snapshot: Snapshot, methods: str, cohorts: str) -> Snapshot:
    """Only the cells of the named methods and cohorts."""
    from cerebench.errors import UsageError
    from cerebench.plugins.patterns import matches
    from cerebench.text import did_you_mean, split_list

    wanted = {"method": split_list(methods), "cohort": split_list(cohorts)}
    for field, patterns in wanted.items():
        known = {str(cell.identity[field]) for cell in snapshot.cells}
        for pattern in patterns:
            if pattern != "all" and known and not any(matches(name, pattern) for name in known):
                raise UsageError(f"no {field} of {snapshot.label} matches {pattern!r}: {did_you_mean(pattern, known)}")
    return snapshot.only(
        lambda cell: all(
            any(pattern == "all" or matches(str(cell.identity[field]), pattern) for pattern in patterns)
            for field, patterns in wanted.items()
        )
    )
