"""Paired tests between the methods of a lesion-classification table: areas under ROC curves of the same lesions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, groupby
from pathlib import Path
from typing import Any

from cerebench.manifest import Cell, read_cells
from cerebench.store import Store

FEW_LESIONS = 60
"""Below this many lesions p-values come from exchanging ranks instead of DeLong's normal approximation."""

_TABLE = ("protocol", "protocol_version", "preset", "provenance", "preparation")
_COLUMN = ("cohort", "modality")


@dataclass(frozen=True)
class Comparison:
    """Two methods on one column.

    Attributes:
        table: protocol, version, preset, provenance and preparation.
        cohort, modality: of the column.
        first, second: methods, with their variants.
        areas: mean over seeds of each one's area.
        difference: first minus second, with DeLong's limits ``low`` and ``high``; ``None`` where they are undefined.
        p: two-sided.
        p_holm: adjusted for all pairs of the table that have a p-value.
        test: ``permutation`` or ``delong``; ``none`` where a class is absent.
        n_lesions, n_patients, seeds: what it rests on.
    """

    table: tuple[Any, ...]
    cohort: str
    modality: str
    first: str
    second: str
    areas: tuple[float, float]
    difference: float
    low: float | None
    high: float | None
    p: float | None
    p_holm: float | None
    test: str
    n_lesions: int
    n_patients: int
    seeds: int


def compare(results: Path, protocol: str | None = None, preset: str | None = None) -> list[Comparison]:
    """All pairs of methods that classified the same lesions, with the seeds that both have.

    Args:
        results: results folder.
        protocol, preset: only this one.
    """
    store = Store(results)
    chosen = [
        cell
        for cell in read_cells(store)
        if cell.status == "ok"
        and cell.path is not None
        and cell.table["task"] == "lesion-classification"
        and protocol in (None, cell.identity["protocol"])
        and preset in (None, cell.identity["preset"])
    ]
    found: list[Comparison] = []
    for table, cells in _grouped(chosen, lambda cell: tuple(_about(cell)[name] for name in _TABLE)):
        pairs: list[Comparison] = []
        for column, members in _grouped(cells, lambda cell: tuple(_about(cell)[name] for name in _COLUMN)):
            pairs += _pairs(store, table, column, members)
        found += _adjusted(pairs)
    return found


def _about(cell: Cell) -> Mapping[str, Any]:
    return {**cell.identity, "preparation": cell.table["preparation"]}


def _grouped(cells: Sequence[Cell], key: Any) -> Iterator[tuple[tuple[Any, ...], list[Cell]]]:
    for value, members in groupby(sorted(cells, key=lambda cell: tuple(map(str, key(cell)))), key):
        yield value, list(members)


def _pairs(
    store: Store, table: tuple[Any, ...], column: tuple[Any, ...], cells: Sequence[Cell]
) -> Iterator[Comparison]:
    """Comparisons of one column; rows are held against each other lesion by lesion."""
    scores: dict[str, dict[int, Any]] = {}
    for cell in cells:
        about = cell.identity
        name = f"{about['method']}[{about['variant']}]" if about["variant"] else str(about["method"])
        scores.setdefault(name, {})[int(about["seed"])] = _lesions(store, cell)
    for first, second in combinations(sorted(scores), 2):
        seeds = sorted(set(scores[first]) & set(scores[second]))
        same = [seed for seed in seeds if _same(scores[first][seed], scores[second][seed], scores[first][seeds[0]])]
        if same:
            yield _comparison(
                table, column, (first, second), [[scores[name][seed] for seed in same] for name in (first, second)]
            )


def _lesions(store: Store, cell: Cell) -> Any:
    """Score and label by (patient, case), in order."""
    import pandas as pd

    rows = pd.read_parquet(store.path(str(cell.path)) / "cases.parquet")
    rows = rows[(rows["level"] == "lesion") & rows["metric"].isin(["score", "label"])]
    return rows.pivot(index=["patient", "case"], columns="metric", values="value").sort_index()


def _same(first: Any, second: Any, other: Any) -> bool:
    """Whether the tables are about the same lesions with the same classes."""
    return all(
        one.index.equals(other.index) and len(one) > 0 and bool((one["label"] == other["label"]).all())
        for one in (first, second)
    )


def _comparison(
    table: tuple[Any, ...], column: tuple[Any, ...], names: tuple[str, str], sides: Sequence[Sequence[Any]]
) -> Comparison:
    import math

    import numpy as np

    from cerebench.scoring.delong import areas, paired_test
    from cerebench.scoring.permutation import permutation_p

    first, second = (np.stack([one["score"].to_numpy() for one in side]) for side in sides)
    lesions = sides[0][0]
    labels = lesions["label"].to_numpy().astype(bool)
    patients = [str(patient) for patient, _ in lesions.index]
    known: dict[str, Any] = {
        "table": table,
        **dict(zip(_COLUMN, column, strict=True)),
        "first": names[0],
        "second": names[1],
        "n_lesions": len(labels),
        "n_patients": len(set(patients)),
        "seeds": len(first),
        "p_holm": None,
    }
    if not 0 < labels.sum() < labels.size:
        blank: dict[str, Any] = {
            "areas": (math.nan, math.nan),
            "difference": math.nan,
            "low": None,
            "high": None,
            "p": None,
        }
        return Comparison(**known, **blank, test="none")
    found = paired_test(first, second, labels, patients)
    small = labels.size < FEW_LESIONS
    p = permutation_p(first, second, labels, patients) if small else found.p
    values = areas([first, second], labels, patients).values
    return Comparison(
        **known,
        areas=(float(values[0]), float(values[1])),
        difference=found.difference,
        low=_known(found.low),
        high=_known(found.high),
        p=_known(p),
        test="permutation" if small else "delong",
    )


def _known(value: float) -> float | None:
    return value if value == value else None


def _adjusted(pairs: Sequence[Comparison]) -> list[Comparison]:
    """Holm's adjustment over the pairs of one table."""
    from cerebench.scoring.permutation import holm

    tested = [pair.p for pair in pairs if pair.p is not None]
    adjusted = iter(holm(tested))
    return [pair if pair.p is None else replace(pair, p_holm=next(adjusted)) for pair in pairs]


def render_comparisons(found: Sequence[Comparison], style: str = "simple") -> str:
    """The comparisons as text, one table for each protocol version, preset, provenance and preparation.

    Args:
        found: as :func:`compare` gives them.
        style: a format of ``tabulate``.
    """
    from tabulate import tabulate

    blocks = []
    for table, members in groupby(found, lambda one: one.table):
        rows = [
            [
                f"{one.cohort} {one.modality}",
                one.first,
                one.second,
                f"{one.areas[0]:.3f}",
                f"{one.areas[1]:.3f}",
                f"{one.difference:+.3f}" + ("" if one.low is None else f" [{one.low:+.2f}, {one.high:+.2f}]"),
                "–" if one.p is None else f"{one.p:.3f}",
                "–" if one.p_holm is None else f"{one.p_holm:.3f}",
                one.test,
                f"{one.n_lesions} ({one.n_patients})",
            ]
            for one in members
        ]
        heads = [
            "column",
            "first",
            "second",
            "auroc",
            "auroc",
            "difference",
            "p",
            "p (Holm)",
            "test",
            "lesions (patients)",
        ]
        title = f"{table[0]} v{table[1]} · preset {table[2]} · {table[3]} data · paired tests of auroc (lesion):"
        blocks.append(f"{title}\n\n{tabulate(rows, headers=heads, tablefmt=style, disable_numparse=True)}")
    return "\n\n".join(blocks)
