"""Strata as text: one table for each metric and modality, methods by strata."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from statistics import fmean

from cerebench.strata.cases import SEEN, UNSEEN
from cerebench.strata.rows import GAP, StratumRow

_ORDER = {name: place for place, name in enumerate(("< 1 ml", "1-10 ml", ">= 10 ml", SEEN, UNSEEN, GAP))}


def render_strata(rows: Sequence[StratumRow], by: str, style: str = "simple") -> str:
    """All rows as text.

    Args:
        rows: as :func:`cerebench.strata.rows.stratified` gives them.
        by: what divides them, for the titles.
        style: a format of ``tabulate``.
    """

    def section(row: StratumRow) -> tuple[str, ...]:
        head = (row.protocol, str(row.protocol_version), row.preset, row.provenance, row.preparation)
        return (*head, row.metric, row.modality)

    return "\n\n".join(
        _table(list(members), by, style) for _, members in groupby(sorted(rows, key=section), key=section)
    )


def _table(rows: Sequence[StratumRow], by: str, style: str) -> str:
    from tabulate import tabulate

    first = rows[0]
    strata = sorted({row.stratum for row in rows}, key=lambda name: (_ORDER.get(name, -1), name))
    methods = sorted({(row.method, row.variant) for row in rows})
    body = []
    for method, variant in methods:
        mine = [row for row in rows if (row.method, row.variant) == (method, variant)]
        cells = [_entry([row for row in mine if row.stratum == stratum]) for stratum in strata]
        body.append([f"{method}[{variant}]" if variant else method, *cells])
    behind = []
    for stratum in strata:
        of = [row for row in rows if row.stratum == stratum]
        most = max(of, key=lambda row: row.n_patients)
        behind.append(f"{stratum}: {most.n_patients} patients of {most.n_cohorts} cohorts, {most.prevalence:.2%}")
    title = (
        f"{first.protocol} v{first.protocol_version} · preset {first.preset} · {first.provenance} data · "
        f"{first.metric} (voxel) by {by}, {first.modality}, patients pooled:"
    )
    table = tabulate(body, headers=["method", *strata], tablefmt=style, disable_numparse=True)
    notes = [f"Behind it (with the share of lesion voxels): {'; '.join(behind)}."]
    if any(row.flagged for row in rows):
        notes.append("† fewer than 100 patients: the interval may be too narrow")
    if GAP in strata:
        notes.append("gap: unseen minus seen centres")
    return "\n".join([title, "", table, "", *notes])


def _entry(rows: Sequence[StratumRow]) -> str:
    """Mean over seeds."""
    if not rows:
        return "–"
    text = f"{fmean(row.value for row in rows):.3f}"
    low, high = ([getattr(row, name) for row in rows if getattr(row, name) is not None] for name in ("low", "high"))
    if low and high:
        text += f" [{fmean(low):.2f}, {fmean(high):.2f}]"
    return text + "†" * any(row.flagged for row in rows)
