"""Signatures of failure that any anomaly method's stored results can show, as findings with their figures."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from cerebench.contract.diagnosis import Diagnosis, Figure, Finding

if TYPE_CHECKING:
    import pandas as pd

NORMAL_FPR = 0.05
"""Share of normal voxels above the transferred threshold that is too many."""
LEAST_SENSITIVITY = 0.2
"""Sensitivity at 5 % healthy false positives that is too low: a random map has 5 %."""
FPR_RATIO = 2.0
"""False-positive rate of new centres, in multiples of that of trained ones, that is too much."""
AP_DROP = 0.05
"""Loss of average precision from trained to new centres that is too much."""


def signatures(cases: pd.DataFrame) -> Diagnosis:
    """Three signatures of the cases of :func:`cerebench.diagnose.rows.case_table`.

    * False positives in normal regions: pooled rate on healthy subjects, and on the normal voxels of patients.
    * Low sensitivity to lesions: pooled by kind of lesion, at 5 % healthy false positives; the worst kind decides.
    * Drop on new centres: false-positive rate on healthy subjects, and average precision within each kind of lesion.
    """
    figures: list[Figure] = []
    findings: list[Finding] = []
    for part in (_normal_regions(cases), _sensitivity(cases), _new_centres(cases)):
        for item in part:
            if isinstance(item, Figure):
                figures.append(item)
            else:
                findings.append(item)
    return Diagnosis(tuple(figures), tuple(findings))


def _normal_regions(cases: pd.DataFrame) -> Iterator[Figure | Finding]:
    for who, healthy in (("healthy subjects", True), ("patients", False)):
        name = f"FPR in normal tissue of {who}"
        fault = f"false positives in normal regions of {who}"
        # where nothing is outlined, nothing is known to be normal
        part = cases[(cases["healthy"] == healthy) & cases["lesion_voxels"].notna()]
        value = pooled_fpr(part)
        if value is None:
            yield Finding(fault, name, None, NORMAL_FPR, text=_why_no_rate(part, who))
            continue
        for place, rows in part.groupby(["cohort", "modality"], sort=True):
            rate = pooled_fpr(rows)
            if rate is not None:
                text = f"normal voxels above the validation threshold, {len(rows)} {who}"
                yield Figure(f"FPR {' '.join(map(str, place))}", rate, text=text)
        yield Figure(name, value, text=f"pooled over {len(part)} scans")
        yield Finding(fault, name, value, NORMAL_FPR, text="share of normal voxels above the validation threshold")


def _why_no_rate(part: pd.DataFrame, who: str) -> str:
    if not len(part):
        return f"no result on {who} with a reference of voxels"
    return "no lesion validation case to choose a threshold on"


def _sensitivity(cases: pd.DataFrame) -> Iterator[Figure | Finding]:
    fault, name = "low sensitivity to lesions", "sensitivity at 5 % healthy FPR, worst kind"
    known = cases[(cases["lesion_voxels"] > 0) & cases["tp_at_5fpr"].notna()]
    found: dict[str, float] = {}
    for kind, rows in known.groupby("kind", sort=True):
        found[str(kind)] = float(rows["tp_at_5fpr"].sum() / rows["lesion_voxels"].sum())
        yield Figure(f"sensitivity to {kind}", found[str(kind)], text=f"of lesion voxels, {len(rows)} scans")
    if not found:
        why = "no lesion scan with a threshold from healthy validation scans"
        yield Finding(fault, name, None, LEAST_SENSITIVITY, "below", why)
        return
    worst = min(found, key=lambda kind: found[kind])
    yield Figure(name, found[worst], text=worst)
    yield Finding(fault, name, found[worst], LEAST_SENSITIVITY, "below", f"share of lesion voxels found; {worst}")


def _new_centres(cases: pd.DataFrame) -> Iterator[Figure | Finding]:
    fault, name = "more false positives on new centres", "FPR on new centres over trained ones"
    healthy = cases[cases["healthy"] & cases["lesion_voxels"].notna()]
    rates = {seen: pooled_fpr(healthy[healthy["seen"] == seen]) for seen in (True, False)}
    trained, new = rates[True], rates[False]
    if trained is None or new is None:
        missing = "trained" if trained is None else "new"
        yield Finding(fault, name, None, FPR_RATIO, text=f"no rate on healthy subjects of {missing} centres")
    else:
        # one voxel in a million keeps the ratio finite where trained centres have no false positive at all
        ratio = new / max(trained, 1e-6)
        yield Figure(name, ratio, text=f"{new:.4f} against {trained:.4f} on healthy subjects")
        yield Finding(fault, name, ratio, FPR_RATIO, text=f"{new:.4f} against {trained:.4f} on healthy subjects")
    fault, name = "drop of average precision on new centres", "AP on trained centres minus new ones"
    drops = []
    for kind, rows in cases[cases["ap"].notna()].groupby("kind", sort=True):
        means = [float(rows.loc[rows["seen"] == seen, "ap"].mean()) for seen in (True, False)]
        if all(map(math.isfinite, means)):
            drops.append(means[0] - means[1])
            yield Figure(f"AP drop, {kind}", drops[-1], text="mean over scans, trained minus new centres")
    if not drops:
        why = "no kind of lesion has scans of both trained and new centres"
        yield Finding(fault, name, None, AP_DROP, text=why)
        return
    drop = sum(drops) / len(drops)
    yield Figure(name, drop, text=f"mean over {len(drops)} kinds of lesion")
    yield Finding(fault, name, drop, AP_DROP, text=f"within a kind of lesion, mean over {len(drops)}")


def pooled_fpr(rows: pd.DataFrame) -> float | None:
    """False positives over normal voxels of all scans; ``None`` where a scan has no decision or there is no voxel."""
    if not len(rows) or bool(rows[["fp", "tn"]].isna().any(axis=None)):
        return None
    negatives = float(rows["fp"].sum() + rows["tn"].sum())
    return float(rows["fp"].sum()) / negatives if negatives else None
