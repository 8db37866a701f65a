"""Pairs for which equal code has to give equal bits: every difference is a change, one beyond tolerance is judged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from cerebench.compare.pairs import Pair
from cerebench.compare.report import Finding, Kind

if TYPE_CHECKING:
    import pandas as pd


def exact_findings(table: pd.DataFrame, pairs: Sequence[Pair]) -> Iterator[Finding]:
    """Differences of exact pairs, one finding a cell × metric × map.

    Differences up to the metric's tolerance are changes. The others are summed: a gated metric whose cases lose more
    than they gain is a regression, one whose cases gain more an improvement. A case that lost its value, or a lost
    case, is a regression.

    Args:
        table: of :func:`cerebench.compare.values.side_by_side`.
        pairs: all pairs; those that are not exact are left out.
    """
    exact = {number for number, pair in enumerate(pairs) if pair.exact}
    mine = table[table["pair"].isin(exact)]
    same = (mine["baseline"] == mine["current"]).to_numpy()
    if same.all():
        return
    keys = ["pair", "level", "post", "metric"]
    touched = mine[~same][keys].drop_duplicates()
    mine = mine.merge(touched, on=keys)
    for key, rows in mine.groupby(keys, observed=True):
        found = _judge(rows, pairs[int(str(key[0]))], str(key[1]), str(key[2]), str(key[3]))
        if found is not None:
            yield found


def _judge(rows: pd.DataFrame, pair: Pair, level: str, post: str, metric: str) -> Finding | None:
    cases = rows[~rows["pooled"]]
    mine = cases if len(cases) else rows
    different = mine[mine["baseline"] != mine["current"]]
    if not len(different):  # pooled values follow from cases; alone they differ where cells of other cases do
        mine = different = rows[rows["baseline"] != rows["current"]]
    lost = int(different["current"].isna().sum())
    beyond = different[different["gain"].abs() > different["tolerance"]]
    net = float(beyond["gain"].sum())
    kind: Kind = "change"
    if bool(mine["gated"].any()):
        kind = "regression" if lost or net < 0 else "improvement" if net > 0 else "change"
    both = mine.dropna(subset=["baseline", "current"])
    means = [float(both[side].mean()) if len(both) else None for side in ("baseline", "current")]
    where = f"{pair.cell.column} seed {pair.cell.identity['seed']}"
    what = f"{metric} ({level}{', ' + post if post else ''})"
    parts = [f"{len(different)} of {len(mine)} {'cases differ' if len(cases) else 'values differ'}"]
    if lost:
        parts.append(f"{lost} have no value any more")
    worst = _worst(beyond)
    if worst:
        parts.append(worst)
    text = f"{pair.cell.method} on {where}: {what} {_move(means)}, {', '.join(parts)}"
    before, after = means
    return Finding(
        kind=kind,
        subject="metric",
        section=pair.cell.section,
        method=pair.cell.method,
        cells=(where,),
        what=what,
        baseline=before,
        current=after,
        difference=None if before is None or after is None else after - before,
        p=None,
        n=len(mine),
        text=text,
    )


def _move(means: Sequence[float | None]) -> str:
    before, after = means
    return "undefined" if before is None or after is None else f"{before:.4f} → {after:.4f}"


def _worst(beyond: pd.DataFrame) -> str:
    """The case that loses most."""
    losers: Any = beyond[beyond["gain"] < 0]
    if not len(losers):
        return ""
    row = losers.loc[losers["gain"].idxmin()]
    case = f"case {row['case']}" if row["case"] else "all cases pooled"
    return f"most in {case}: {row['baseline']:.4f} → {row['current']:.4f}"
