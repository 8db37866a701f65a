"""Headline figures and seconds of a run, small enough for the history."""

from __future__ import annotations

from statistics import fmean
from typing import Any

from cerebench.compare.gate import gated
from cerebench.compare.snapshot import Snapshot


def headline_figures(snapshot: Snapshot) -> list[dict[str, Any]]:
    """One entry a section × method × gated metric: the mean of the pooled values over columns and seeds, and how many
    columns are behind it.
    """
    import pyarrow.compute as pc

    values = snapshot.values
    pooled = values.filter(pc.and_(pc.equal(values["case"], ""), pc.equal(values["post"], "raw"))).to_pylist()
    by_cell: dict[int, dict[tuple[str, str], float]] = {}
    for row in pooled:
        by_cell.setdefault(row["cell"], {})[row["level"], row["metric"]] = row["value"]
    found: dict[tuple[str, str, str], list[tuple[str, float]]] = {}
    for index, mine in by_cell.items():
        cell = snapshot.cells[index]
        for level, metric in gated(cell, mine.keys()):
            key = (cell.section, cell.method, f"{metric} ({level})")
            found.setdefault(key, []).append((cell.column, mine[level, metric]))
    return [
        {
            **dict(zip(("section", "method", "metric"), key, strict=True)),
            "value": fmean(value for _, value in members),
            "columns": len({column for column, _ in members}),
        }
        for key, members in sorted(found.items())
    ]


def seconds(snapshot: Snapshot) -> dict[str, dict[str, float]]:
    """Method → seconds of prediction and of its distinct trainings, over all its cells."""
    found: dict[str, dict[str, float]] = {}
    trained: set[str] = set()
    for cell in snapshot.cells:
        if cell.status != "ok":
            continue
        mine = found.setdefault(cell.method, {"predict": 0.0, "training": 0.0})
        mine["predict"] += cell.predict_s or 0.0
        fresh = {path: spent for path, spent in cell.training_s.items() if path not in trained}
        mine["training"] += sum(fresh.values())
        trained |= set(fresh)
    return {name: {what: round(spent, 3) for what, spent in mine.items()} for name, mine in sorted(found.items())}
