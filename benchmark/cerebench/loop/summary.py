"""From a cell's stored rows and sketches to its metrics with intervals; a new metric version re-runs only this."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cerebench.jsonio import read_json, write_json
from cerebench.loop.rows import BALANCED, BALANCED_COUNTS, COUNTS
from cerebench.loop.thresholds import FPR_POINTS
from cerebench.scoring.detection import bootstrap_detection
from cerebench.scoring.intervals import Interval, bootstrap_confusions, bootstrap_sketches
from cerebench.scoring.metrics import METRIC_VERSION, METRICS
from cerebench.scoring.sketch import ScoreSketch
from cerebench.scoring.storage import load_sketches

if TYPE_CHECKING:
    import pandas as pd

_ORACLE = ("ap", "auroc", "best_dice", "fpr_at_95tpr")
_DECIDED = ("dice", "sensitivity", "specificity", "fpr")


def write_metrics(folder: Path) -> None:
    """Summarise a cell folder into its ``metrics.json``."""
    if read_json(folder / "cell.json")["options"]["task"] == "lesion-classification":
        write_calibration(folder)
    write_json(folder / "metrics.json", {"metric_version": METRIC_VERSION, "rows": list(_rows(folder))})


def write_calibration(folder: Path) -> None:
    """Write the calibration curve of a cell's lesions into its ``calibration.json``, one entry a bin."""
    import pandas as pd

    from cerebench.scoring.calibration import calibration_curve

    table = _subjects(pd.read_parquet(folder / "cases.parquet"), "lesion", ())
    bins = calibration_curve(table["score"], table["label"]) if len(table) else []
    write_json(folder / "calibration.json", [item._asdict() for item in bins])


def current(folder: Path) -> bool:
    """Whether the folder's metrics have today's version."""
    try:
        return bool(read_json(folder / "metrics.json")["metric_version"] == METRIC_VERSION)
    except (OSError, ValueError, KeyError):
        return False


def _rows(folder: Path) -> Iterator[dict[str, Any]]:
    import pandas as pd

    cell = read_json(folder / "cell.json")
    options: Mapping[str, Any] = cell["options"]
    cases = pd.read_parquet(folder / "cases.parquet")
    sketches = load_sketches(folder / "sketches.npz")
    thresholds = read_json(folder / "thresholds.json")
    for post in options["post"]:
        yield from _voxel_rows(cases, sketches, post, options, "in-silico" if cell["mixed"] else "")
    level = "lesion" if options["task"] == "lesion-classification" else "subject"
    yield from _detection(level, _subjects(cases, level, read_json(folder / "controls.json")), thresholds, options)
    if options["task"] == "anomaly":
        slices = pd.read_parquet(folder / "slices.parquet").rename(columns={"lesion": "label"})
        yield from _detection("slice", slices, thresholds, options)


def _voxel_rows(
    cases: pd.DataFrame, sketches: Mapping[str, ScoreSketch], post: str, options: Mapping[str, Any], healthy: str
) -> Iterator[dict[str, Any]]:
    """Pooled voxel metrics; ``healthy`` names the provenance of the healthy validation scans where it differs."""
    import numpy as np

    mine = {key.rpartition("/")[0]: value for key, value in sketches.items() if key.endswith(f"/{post}")}
    if not mine:
        return
    owners = cases.drop_duplicates("case").set_index("case")["patient"]
    patients = [str(owners[case]) for case in mine]
    bootstrap = {"resamples": options["resamples"], "level": options["level"], "seed": 0}
    lesions = any(sketch.n_positive for sketch in mine.values())
    if lesions:
        found = bootstrap_sketches(list(mine.values()), patients, _ORACLE, **bootstrap)
        yield from _interval_rows("voxel", post, found, len(mine))
    voxel = cases[(cases["level"] == "voxel") & (cases["post"] == post)]
    table = voxel.pivot(index="case", columns="metric", values="value").reindex(list(mine))
    if set(COUNTS) <= set(table.columns) and not bool(table[list(COUNTS)].isna().any(axis=None)):
        found = bootstrap_confusions(table[list(COUNTS)].to_numpy(), patients, _DECIDED, **bootstrap)
        yield from _interval_rows("voxel", post, found, len(mine))
    else:
        reason = "no validation case with a lesion to choose a threshold on"
        yield _row("voxel", post, "dice" if lesions else "fpr", None, len(mine), reason)
    counted = table.reindex(columns=list(BALANCED_COUNTS))
    if not bool(counted.isna().any(axis=None)):
        found = bootstrap_confusions(counted.to_numpy(), patients, BALANCED, **bootstrap)
        named = {f"{name}_at_balanced": interval for name, interval in found.items()}
        yield from _interval_rows("voxel", post, named, len(mine))
    totals = [sketch.n_positive for sketch in mine.values()]
    for percent in FPR_POINTS:
        name = f"tp_at_{percent}fpr"
        # a lesion without a hit count had no threshold: it is not a miss
        if name in table.columns and not bool((table[name].isna() & np.greater(totals, 0)).any()):
            hits = table[name].fillna(0).tolist()
            counts = [[hit, 0, total - hit, 0] for hit, total in zip(hits, totals, strict=True)]
            found = bootstrap_confusions(counts, patients, ["sensitivity"], **bootstrap)
            named = {f"sensitivity_at_{percent}fpr": interval for interval in found.values()}
            reason = f"threshold of {healthy} healthy scans" if healthy else ""
            yield from _interval_rows("voxel", post, named, len(mine), reason)


def _subjects(cases: pd.DataFrame, level: str, controls: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Score and label of every case; a cohort without healthy subjects gets the controls as its negatives."""
    import pandas as pd

    rows = cases[(cases["level"] == level) & cases["metric"].isin(["score", "label"])]
    table = rows.pivot(index=["case", "patient"], columns="metric", values="value").reset_index()
    if level == "subject" and len(table) and bool(table["label"].all()):
        known = set(table["patient"])
        extra = [
            {"case": item["case"], "patient": item["patient"], "score": item["score"], "label": 0.0}
            for item in controls
            if item["score"] is not None and item["patient"] not in known
        ]
        table = pd.concat([table, pd.DataFrame(extra)], ignore_index=True) if extra else table
    return table


def _detection(
    level: str, table: pd.DataFrame, thresholds: Mapping[str, Mapping[str, Any]], options: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    if not len(table):
        return
    scores = [float(score) for score in table["score"]]
    labels = [int(label) for label in table["label"]]
    patients = [str(patient) for patient in table["patient"]]
    bootstrap = {"resamples": options["resamples"], "level": options["level"], "seed": 0}
    found = bootstrap_detection(scores, labels, patients, probabilities=level == "lesion", **bootstrap)
    if level == "lesion" and 0 < sum(labels) < len(labels):
        found["auroc"] = _delong(found["auroc"], scores, labels, patients, options["level"])
    kind = "slice" if level == "slice" else "subject"
    rules = {"raw": [thresholds[patient][kind] for patient in patients]}
    for name in next(iter(thresholds.values())).get("percentiles", {}):
        rules[name] = [thresholds[patient]["percentiles"][name][kind] for patient in patients]
    decided = {name: _decided(scores, labels, patients, chosen, bootstrap) for name, chosen in rules.items()}
    found |= decided.pop("raw")
    # without negatives average precision is 1 whatever the scores: no number is better than that one
    present = {1: 1 in labels, 0: 0 in labels}
    n_cases = len(table[["patient", "case"]].drop_duplicates())
    for rule, intervals in {"raw": found, **decided}.items():
        defined = {
            name: interval
            for name, interval in intervals.items()
            if (present[1] or not METRICS[name].needs_positives) and (present[0] or not METRICS[name].needs_negatives)
        }
        yield from _interval_rows(level, rule, defined, n_cases)
    share = Interval(sum(labels) / len(labels), None, None, "none", flagged=False, n_patients=len(set(patients)))
    yield _row(level, "raw", "prevalence", share, n_cases)


def _delong(
    other: Interval, scores: Sequence[float], labels: Sequence[int], patients: Sequence[str], level: float
) -> Interval:
    """The interval of DeLong's variance; the ``other`` one where the area is 0 or 1 or a class has one patient."""
    from cerebench.scoring import delong

    values, covariance = delong.areas([scores], labels, patients)
    limits = delong.interval(float(values[0]), float(covariance[0, 0]), level)
    return other if limits is None else replace(other, low=limits[0], high=limits[1], method="delong")


def _decided(
    scores: Sequence[float],
    labels: Sequence[int],
    patients: Sequence[str],
    chosen: Sequence[Any],
    bootstrap: Mapping[str, Any],
) -> dict[str, Interval]:
    """Metrics of the decisions at each patient's own threshold; empty where somebody has none."""
    if any(threshold is None for threshold in chosen):
        return {}
    # every patient has a threshold chosen without its own scans, so decisions are pooled, not scores
    decisions = [float(score >= float(threshold)) for score, threshold in zip(scores, chosen, strict=True)]
    found = bootstrap_detection(decisions, labels, patients, 0.5, **bootstrap)
    return {name: interval for name, interval in found.items() if name not in ("auroc", "ap")}


def _interval_rows(
    level: str, post: str, found: Mapping[str, Interval], n_cases: int, reason: str = ""
) -> Iterator[dict[str, Any]]:
    for name, interval in found.items():
        if math.isfinite(interval.value):
            yield _row(level, post, name, interval, n_cases, reason)


def _row(
    level: str, post: str, metric: str, interval: Interval | None, n_cases: int, reason: str = ""
) -> dict[str, Any]:
    return {
        "level": level,
        "post": post,
        "stratum": "all",
        "metric": metric,
        "value": None if interval is None else interval.value,
        "low": None if interval is None else interval.low,
        "high": None if interval is None else interval.high,
        "flagged": False if interval is None else interval.flagged,
        "interval": "" if interval is None else interval.method,
        "n_cases": n_cases,
        "reason": reason,
    }
