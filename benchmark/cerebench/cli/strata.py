"""``bench leaderboard --by``: metrics by strata."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import cast

from cerebench.errors import BenchError, UsageError
from cerebench.plugins.registry import Registry


def print_strata(
    results: Path, by: str, output: str, protocol: str | None, preset: str | None, metric: str | None, post: str
) -> None:
    """Print voxel metrics by strata in one of the leaderboard's formats.

    Raises:
        UsageError: an unknown word, or nothing to divide.
    """
    from dataclasses import asdict

    from cerebench.cli.bar import Bar
    from cerebench.cli.leaderboard import FORMATS, known
    from cerebench.strata.cases import BY, By
    from cerebench.strata.rows import METRICS, stratified

    known("--by", by, BY)
    known("--format", output, FORMATS)
    known("--metric", metric, METRICS)
    known("--post", post, ("raw", "median"))
    wanted = (metric,) if metric else ("ap", "best_dice", "fpr")
    with Bar("strata") as bar:
        rows = stratified(results, cast(By, by), wanted, lesion_kind, protocol, preset, post, bar.show)
    if not rows:
        raise UsageError(f"no finished cell in {results} tells its cases' {by}; run it again, or divide otherwise")
    if output == "json":
        from cerebench.cli.output import print_json

        print_json({"schema_version": 1, "rows": [asdict(row) for row in rows]})
    elif output == "csv":
        import pandas as pd

        sys.stdout.write(pd.DataFrame([asdict(row) for row in rows]).to_csv(index=False))
    else:
        from cerebench.strata.table import render_strata
        from cerebench.tables import TABULATE

        print(render_strata(rows, by, TABULATE[output]))


@cache
def lesion_kind(cohort: str) -> str:
    """The kind of a cohort's lesions as its card names it; ``other`` for a card that is not installed or names none."""
    try:
        plan = _registry().card(cohort).simulate
    except BenchError:
        return "other"
    return "other" if plan is None or plan.lesion == "none" else plan.lesion


@cache
def _registry() -> Registry:
    return Registry.discover()
