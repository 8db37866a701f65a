"""``bench leaderboard``."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from cerebench.errors import UsageError

FORMATS = ("table", "markdown", "csv", "latex", "json")
PERCENTILE = re.compile(r"p\d\d")
"""Names of decision rules at a percentile of healthy validation scores."""


def leaderboard(
    results: Annotated[Path, typer.Option(help="Results folder.")] = Path("results"),
    protocol: Annotated[str | None, typer.Option("--protocol", "-p", help="Only this protocol.")] = None,
    preset: Annotated[str | None, typer.Option(help="Only this preset.")] = None,
    output: Annotated[str, typer.Option("--format", "-f", help="table, markdown, csv, latex or json.")] = "table",
    metric: Annotated[str | None, typer.Option(help="Metric to show instead of the protocol's headline ones.")] = None,
    level: Annotated[str | None, typer.Option(help="voxel, slice, subject or lesion.")] = None,
    post: Annotated[
        str | None,
        typer.Option(
            help="Map that is scored (raw, median), or percentile rule of slice and subject decisions (p95 …). "
            "Default: raw in tables, all in csv and json."
        ),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(
            help="Voxel metrics by kind (of lesion), size (of the lesion load), centre, modality or seen (centres that "
            "training saw and others, with the gap between them), patients of all cohorts pooled."
        ),
    ] = None,
    chosen: Annotated[
        bool,
        typer.Option("--chosen", help="Which settings of each method the validation cases of either selection choose."),
    ] = False,
) -> None:
    """Print the leaderboard of what has been run: methods by columns, best in bold, intervals, mean rank."""
    if chosen:
        if by or metric or level:
            raise UsageError("--chosen takes no --by, --metric or --level: leave them out")
        from cerebench.cli.chosen import print_choices

        print_choices(results, output, protocol, preset, post or "raw")
        return
    if by is not None:
        from cerebench.cli.strata import print_strata

        print_strata(results, by, output, protocol, preset, metric, post or "raw")
        return
    if output not in ("csv", "json"):
        print(table_text(results, output, protocol, preset, metric, level, post or "raw"))
        return
    from cerebench.boards import COLUMNS, SCHEMA_VERSION, leaderboard_rows

    _check(output, metric, level, post)
    rows = [
        row
        for row in _kept(leaderboard_rows(results, protocol), preset)
        if (metric is None or row["metric"] == metric)
        and (row["value"] is None or (level in (None, row["level"]) and post in (None, row["post"])))
    ]
    if output == "json":
        from cerebench.cli.output import print_json

        print_json({"schema_version": SCHEMA_VERSION, "rows": rows})
        return
    import pandas as pd

    sys.stdout.write(pd.DataFrame(rows, columns=list(COLUMNS)).to_csv(index=False))


def table_text(
    results: Path,
    style: str,
    protocol: str | None = None,
    preset: str | None = None,
    metric: str | None = None,
    level: str | None = None,
    post: str = "raw",
) -> str:
    """The leaderboard as text.

    Raises:
        UsageError: unknown format, metric, level or post-processing, or no results.
    """
    from cerebench.boards import leaderboard_rows, tables_about
    from cerebench.scoring.metrics import METRICS
    from cerebench.tables import TABULATE, render

    _check(style, metric, level, post)
    rows = _kept(leaderboard_rows(results, protocol), preset)
    banners, headlines, levels = tables_about(results)
    better = {name: item.higher_is_better for name, item in METRICS.items()}
    tables = render(
        rows,
        banners,
        headlines,
        better,
        style=style,  # type: ignore[arg-type]
        metric=metric,
        level=level,
        levels=levels,
        post=post,
        bold=sys.stdout.isatty(),
    )
    if (metric or "auroc", level or "lesion") != ("auroc", "lesion"):
        return tables
    from cerebench.comparisons import compare, render_comparisons

    tests = render_comparisons(compare(results, protocol, preset), TABULATE[style])
    return f"{tables}\n\n{tests}" if tests else tables


def _kept(rows: list[dict[str, Any]], preset: str | None) -> list[dict[str, Any]]:
    found = [row for row in rows if preset in (None, row["preset"])]
    if not found:
        from cerebench.text import did_you_mean

        raise UsageError(
            f"no results of preset {preset!r}: {did_you_mean(str(preset), {row['preset'] for row in rows})}"
        )
    return found


def _check(style: str, metric: str | None, level: str | None, post: str | None) -> None:
    from cerebench.scoring.metrics import ALL_LEVELS, METRICS

    known("--format", style, FORMATS)
    known("--metric", metric, METRICS)
    known("--level", level, ALL_LEVELS)
    if not PERCENTILE.fullmatch(post or "p95"):
        known("--post", post, ("raw", "median", "p95", "p98", "p99"))


def known(option: str, value: str | None, words: Mapping[str, Any] | tuple[str, ...]) -> None:
    """Refuse a value that is not among the words, with the nearest of them."""
    if value is not None and value not in words:
        from cerebench.text import did_you_mean

        raise UsageError(f"{option} {value!r} is unknown: {did_you_mean(value, words)}")
