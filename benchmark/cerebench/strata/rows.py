"""Metrics of strata: patients of all columns that share a stratum, pooled, with patient-bootstrap intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cerebench.errors import UsageError
from cerebench.manifest import Cell, read_cells
from cerebench.scoring.intervals import Interval, bootstrap_confusions, bootstrap_sketches
from cerebench.store import Store
from cerebench.strata.cases import SEEN, UNSEEN, By, StratumCase, stratum_cases

RANKED = ("ap", "auroc", "best_dice")
DECIDED = ("dice", "sensitivity", "fpr")
METRICS = (*RANKED, *DECIDED)
GAP = "gap"
"""Unseen minus seen: the generalisation gap."""

_TABLE = ("protocol", "protocol_version", "preset", "provenance")
_SIDE = ("method", "variant", "seed")
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class StratumRow:
    """One metric of one method in one stratum.

    Attributes:
        protocol, protocol_version, preset, provenance, preparation: the table.
        method, variant, seed, modality: whose; ``modality`` names several, joined by ``+``, where they are pooled.
        stratum: its name.
        metric: its name.
        value, low, high: all patients pooled, with limits; ``None`` where there are none.
        n_patients, n_cohorts: behind the value.
        prevalence: share of lesion voxels, on which average precision depends.
        flagged: fewer than 100 patients.
    """

    protocol: str
    protocol_version: int
    preset: str
    provenance: str
    preparation: str
    method: str
    variant: str
    seed: int
    modality: str
    stratum: str
    metric: str
    value: float
    low: float | None
    high: float | None
    n_patients: int
    n_cohorts: int
    prevalence: float
    flagged: bool


def stratified(
    results: Path,
    by: By,
    metrics: Sequence[str],
    kinds: Callable[[str], str],
    protocol: str | None = None,
    preset: str | None = None,
    post: str = "raw",
    progress: Progress = lambda done, total, text: None,
) -> list[StratumRow]:
    """Rows for each method × modality × stratum × metric that is defined there.

    Args:
        results: results folder.
        by: what divides the cases.
        metrics: of :data:`METRICS`.
        kinds: cohort → kind of its lesions.
        protocol, preset: only this one.
        post: map that was scored.
        progress: told after each method and modality.

    Raises:
        UsageError: a metric is not one of voxels, or no cell with voxel scores has finished.
    """
    unknown = next((name for name in metrics if name not in METRICS), None)
    if unknown:
        raise UsageError(f"metric {unknown!r} has no strata: expected one of {', '.join(METRICS)}")
    store = Store(results)
    cells = [
        cell
        for cell in read_cells(store)
        if cell.status == "ok"
        and cell.table["task"] == "anomaly"
        and protocol in (None, cell.identity["protocol"])
        and preset in (None, cell.identity["preset"])
    ]
    if not cells:
        raise UsageError(f"no finished anomaly cell in {results} to divide by {by}: run `bench run` first")
    groups: dict[tuple[Any, ...], list[Cell]] = {}
    for cell in cells:
        side = [cell.identity[name] for name in (*_TABLE, *_SIDE)]
        modality = "" if by == "modality" else cell.identity["modality"]
        groups.setdefault((*side, cell.table["preparation"], modality), []).append(cell)
    found: list[StratumRow] = []
    for done, (key, members) in enumerate(sorted(groups.items(), key=lambda item: tuple(map(str, item[0])))):
        progress(done, len(groups), str(key[len(_TABLE)]))
        about = dict(zip((*_TABLE, *_SIDE, "preparation"), key[:-1], strict=True))
        modality = key[-1] or "+".join(sorted({str(cell.identity["modality"]) for cell in members}))
        cases = [case for cell in members for case in stratum_cases(store, cell, by, post, kinds)]
        for stratum, metric, interval, mine in _pooled(cases, metrics, gap=by == "seen"):
            found.append(
                StratumRow(
                    **about,
                    modality=modality,
                    stratum=stratum,
                    metric=metric,
                    value=interval.value,
                    low=interval.low,
                    high=interval.high,
                    n_patients=interval.n_patients,
                    n_cohorts=len({case.cohort for case in mine}),
                    prevalence=_prevalence(mine),
                    flagged=interval.flagged,
                )
            )
    return found


def _pooled(
    cases: Sequence[StratumCase], metrics: Sequence[str], gap: bool
) -> Iterator[tuple[str, str, Interval, list[StratumCase]]]:
    """(stratum, metric, interval, cases behind it); a metric is taken over the cases on which it is defined."""
    sides: dict[str, dict[str, tuple[Interval, list[StratumCase]]]] = {}
    for stratum in sorted({case.stratum for case in cases}):
        mine = [case for case in cases if case.stratum == stratum]
        with_lesion = [case for case in mine if case.sketch.n_positive]
        without = [case for case in mine if not case.sketch.n_positive]
        for metric in metrics:
            # false positives of healthy subjects say more than those beside a lesion; where there are none, all count
            behind = (without or mine) if metric == "fpr" else with_lesion
            interval = _interval(metric, behind)
            if interval is not None and math.isfinite(interval.value):
                sides.setdefault(metric, {})[stratum] = interval, behind
                yield stratum, metric, interval, behind
    for metric, found in sides.items():
        if gap and {SEEN, UNSEEN} <= set(found):
            yield GAP, metric, difference(found[UNSEEN][0], found[SEEN][0]), found[UNSEEN][1] + found[SEEN][1]


def _interval(metric: str, cases: Sequence[StratumCase]) -> Interval | None:
    if not cases:
        return None
    patients = [case.patient for case in cases]
    if metric in RANKED:
        return bootstrap_sketches([case.sketch for case in cases], patients, [metric])[metric]
    if any(case.counts is None for case in cases):
        return None
    return bootstrap_confusions([case.counts or () for case in cases], patients, [metric])[metric]


def difference(first: Interval, second: Interval) -> Interval:
    """First minus second for different patients: both intervals combined (square-and-add, Zou and Donner 2008)."""
    value = first.value - second.value
    limits: tuple[float | None, float | None] = (None, None)
    if first.low is not None and first.high is not None and second.low is not None and second.high is not None:
        limits = (
            value - math.hypot(first.value - first.low, second.high - second.value),
            value + math.hypot(first.high - first.value, second.value - second.low),
        )
    flagged = first.flagged or second.flagged
    patients = first.n_patients + second.n_patients
    return Interval(value, *limits, "square-and-add" if limits[0] is not None else "none", flagged, patients)


def _prevalence(cases: Sequence[StratumCase]) -> float:
    positives = sum(case.sketch.n_positive for case in cases)
    total = positives + sum(case.sketch.n_negative for case in cases)
    return positives / total if total else 0.0
