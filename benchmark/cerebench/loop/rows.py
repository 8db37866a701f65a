"""Per-case rows: the primary data of every table, long form, full precision."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from cerebench.loop.cases import CaseScores
from cerebench.loop.thresholds import FPR_POINTS, Scored, Thresholds
from cerebench.scoring.postprocess import remove_small
from cerebench.scoring.sketch import ScoreSketch

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("case", "patient", "centre", "level", "post", "metric", "value")
COUNTS = ("tp", "fp", "fn", "tn")
"""Voxel counts at the transferred threshold, after small components are removed."""
BALANCED_COUNTS = tuple(f"{name}_at_balanced" for name in COUNTS)
"""The same at the threshold of the balanced selection."""
BALANCED = ("dice", "sensitivity", "fpr")
"""Metrics that are also given at that threshold, as ``dice_at_balanced`` and so on."""

Row = tuple[str, str, str, str, str, str, float]


def case_rows(scores: CaseScores, thresholds: Thresholds, spacing: tuple[float, float, float]) -> list[Row]:
    """All rows of one case; undefined metrics are left out.

    Levels: ``voxel`` (metrics and the counts behind them), ``subject``/``lesion`` (``score``, ``label``), ``case``
    (facts: voxels, lesion volume in ml).
    """
    ref = scores.ref
    head = (ref.id, ref.patient, ref.centre or "")
    facts: dict[str, float] = {"voxels": int(scores.region.sum())}
    if scores.labelled:
        lesion_voxels = int(scores.anomaly.sum())
        facts |= {
            "lesion_voxels": lesion_voxels,
            "lesion_ml": lesion_voxels * math.prod(spacing) / 1000,
            "lesion_voxels_outside_brain": scores.outside,
        }
    rows: list[Row] = [(*head, "case", "", name, float(value)) for name, value in facts.items()]
    level = "lesion" if ref.label is not None else "subject"
    label = ref.label if ref.label is not None else int(not ref.healthy)
    if scores.score is not None:
        rows += [(*head, level, "", "score", scores.score), (*head, level, "", "label", float(label))]
    for post, sketch in sorted(scores.sketches.items()):
        for name, value in _voxel_metrics(scores, sketch, post, thresholds, spacing):
            if math.isfinite(value):
                rows.append((*head, "voxel", post, name, float(value)))
    return rows


def _voxel_metrics(
    scores: CaseScores, sketch: ScoreSketch, post: str, thresholds: Thresholds, spacing: tuple[float, float, float]
) -> Iterator[tuple[str, float]]:
    lesion = sketch.n_positive > 0
    if lesion:
        yield "ap", sketch.average_precision()
        yield "auroc", sketch.auroc()
        yield "best_dice", sketch.best_dice()[0]
        yield "fpr_at_95tpr", sketch.fpr_at_tpr(0.95)
    transferred = thresholds.dice.get(post)
    if transferred is not None:
        counts = _counts_at(transferred, scores, sketch, post, spacing)
        yield from zip(COUNTS, counts, strict=True)
        yield from ratios(*counts).items()
    balanced = thresholds.balanced.get(post)
    if balanced is not None:
        counts = _counts_at(balanced, scores, sketch, post, spacing)
        yield from zip(BALANCED_COUNTS, counts, strict=True)
        found_ratios = ratios(*counts)
        yield from ((f"{name}_at_balanced", found_ratios[name]) for name in BALANCED)
    for percent in FPR_POINTS:
        threshold = thresholds.healthy.get(post, {}).get(percent)
        if threshold is None or not lesion:
            continue
        found = sketch.counts_at(threshold)
        yield f"tp_at_{percent}fpr", float(found.tp)
        yield f"sensitivity_at_{percent}fpr", found.tp / sketch.n_positive


def _counts_at(
    threshold: float, scores: CaseScores, sketch: ScoreSketch, post: str, spacing: tuple[float, float, float]
) -> tuple[float, float, float, float]:
    """tp, fp, fn, tn of the voxels at or above a threshold, without small components."""
    above = ((scores.maps[post] >= threshold) & scores.region).cpu().numpy()
    decision = remove_small(above, spacing)
    tp = int((decision & scores.anomaly.cpu().numpy()).sum())
    fp = int(decision.sum()) - tp
    return float(tp), float(fp), float(sketch.n_positive - tp), float(sketch.n_negative - fp)


def ratios(tp: float, fp: float, fn: float, tn: float) -> dict[str, float]:
    """Dice, sensitivity, specificity and false-positive rate of a confusion table; NaN where undefined."""
    positives, negatives = tp + fn, fp + tn
    return {
        "dice": 2 * tp / (2 * tp + fp + fn) if positives else math.nan,
        "sensitivity": tp / positives if positives else math.nan,
        "specificity": tn / negatives if negatives else math.nan,
        "fpr": fp / negatives if negatives else math.nan,
    }


def case_table(rows: list[Row]) -> pd.DataFrame:
    """Rows as a table with fixed columns, sorted, so that equal results give equal bytes."""
    import pandas as pd

    table = pd.DataFrame(rows, columns=list(COLUMNS)).astype({"value": "float64"})
    return table.sort_values(["case", "level", "post", "metric"], kind="stable", ignore_index=True)


def slice_table(scored: Sequence[Scored]) -> pd.DataFrame:
    """One row a slice: case, patient, index, lesion (0/1), score."""
    import pandas as pd

    rows = [
        (item.case, item.patient, each.index, int(each.lesion), each.score) for item in scored for each in item.slices
    ]
    table = pd.DataFrame(rows, columns=["case", "patient", "index", "lesion", "score"])
    return table.astype({"index": "int64", "lesion": "int64", "score": "float64"})
