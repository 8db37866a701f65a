"""What a cell's stored rows say about one metric: counts by patient, from which value and replicates follow."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cerebench.errors import DataError
from cerebench.jsonio import read_json
from cerebench.loop.rows import COUNTS

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from cerebench.claims.ledger import Contrast
    from cerebench.scoring.pooled import Statistic
    from cerebench.scoring.sketch import ScoreSketch

RANKING = ("ap", "auroc", "best_dice", "fpr_at_95tpr")
"""Metrics of scores; every other one is of decisions at a threshold."""
TOLERANCE = 5e-3
"""Scores rounded to sketches may move a metric by this much; more means that the cell's files disagree."""


class NoValue(Exception):
    """The cell has no value of the metric; the message says why."""


@dataclass(frozen=True)
class Table:
    """One metric of one cell.

    Attributes:
        patients: ``cohort/patient``, sorted.
        positives, negatives: ``[n_patients, K]`` counts, bins from the highest scores down.
        strata: ``[n_patients]`` kind of each patient, at least 1: which classes its items have (voxels: all alike).
        statistic: the metric of summed counts.
        value, low, high: the stored row: full resolution, with its own interval (``None`` where there is none).
        certain: no patient contradicts the value (0 or 1), so that nothing varies between replicates.
    """

    patients: tuple[str, ...]
    positives: npt.NDArray[np.float64]
    negatives: npt.NDArray[np.float64]
    strata: npt.NDArray[np.int64]
    statistic: Statistic
    value: float
    low: float | None
    high: float | None
    certain: bool


def read_table(folder: Path, contrast: Contrast) -> Table:
    """The contrast's metric in a finished cell.

    Raises:
        NoValue: the metric is not defined there.
        DataError: a file is unreadable, or rows and metrics of the cell disagree.
    """
    import numpy as np

    row = _row(folder, contrast)
    try:
        if contrast.level == "voxel":
            found, patients, positives, negatives, statistic = _voxels(folder, contrast)
        else:
            found, patients, positives, negatives, statistic = _items(folder, contrast)
    except (OSError, KeyError, ValueError) as error:
        raise DataError(f"{folder}: its rows cannot be read ({error}); delete the folder and run it again") from None
    if not abs(found - row["value"]) < TOLERANCE:
        raise DataError(
            f"{folder}: its rows give {contrast.metric} {found:.4f}, its metrics.json says {row['value']:.4f}; "
            "delete the folder and run it again"
        )
    strata = np.ones(len(patients), np.int64)
    if contrast.level != "voxel":
        strata += 2 * (positives.sum(axis=1) > 0) + (negatives.sum(axis=1) > 0)
    limits = (row["value"], row["low"], row["high"], row["interval"] == "binomial")
    return Table(patients, positives, negatives, strata, statistic, *limits)


def _row(folder: Path, contrast: Contrast) -> dict[str, Any]:
    try:
        rows = read_json(folder / "metrics.json")["rows"]
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{folder}/metrics.json cannot be read ({error}): run the same command again") from None
    wanted = {"level": contrast.level, "post": contrast.post, "metric": contrast.metric, "stratum": "all"}
    found = [row for row in rows if all(row[name] == value for name, value in wanted.items())]
    if not found:
        raise NoValue(f"it has no {contrast.metric} at {contrast.level} level ({contrast.post})")
    if found[0]["value"] is None:
        raise NoValue(f"{contrast.metric} has no value: {found[0]['reason']}")
    return dict(found[0])


Counts = tuple[float, tuple[str, ...], "npt.NDArray[np.float64]", "npt.NDArray[np.float64]", "Statistic"]


def _voxels(folder: Path, contrast: Contrast) -> Counts:
    import pandas as pd

    from cerebench.scoring.storage import load_sketches

    cases = pd.read_parquet(folder / "cases.parquet")
    owners = cases.drop_duplicates("case").set_index("case")["patient"]
    if contrast.metric in RANKING:
        stored = load_sketches(folder / "sketches.npz")
        mine = {key.rpartition("/")[0]: item for key, item in stored.items() if key.endswith(f"/{contrast.post}")}
        return _of_sketches(list(mine.values()), [str(owners[case]) for case in mine], contrast.metric)
    voxel = cases[(cases["level"] == "voxel") & (cases["post"] == contrast.post)]
    table = voxel.pivot(index="case", columns="metric", values="value")
    if contrast.metric.startswith("sensitivity_at_"):
        hits = table[contrast.metric.replace("sensitivity", "tp")].dropna()
        totals = cases[cases["metric"] == "lesion_voxels"].set_index("case")["value"].reindex(hits.index)
        counts = [(hit, 0.0, total - hit, 0.0) for hit, total in zip(hits, totals, strict=True)]
        return _of_confusions(counts, [str(owners[case]) for case in hits.index], "sensitivity")
    patients = [str(owners[case]) for case in table.index]
    return _of_confusions(table[list(COUNTS)].to_numpy().tolist(), patients, contrast.metric)


def _items(folder: Path, contrast: Contrast) -> Counts:
    """Slices, subjects or lesions."""
    from cerebench.scoring.sketch import ScoreSketch

    table = _slices(folder) if contrast.level == "slice" else _cases(folder, contrast.level)
    patients = [str(patient) for patient in table["patient"]]
    labels = [int(label) for label in table["label"]]
    if contrast.metric in RANKING:
        from scipy.stats import rankdata

        # sketches round scores that lie close together; ranks of a few items lie far enough apart
        ranks = rankdata(table["score"].to_numpy(), "dense").astype("float64")
        groups = table.assign(patient=patients, rank=ranks).groupby("patient", sort=True)
        sketches = [ScoreSketch().update(part["rank"].to_numpy(), part["label"].to_numpy()) for _, part in groups]
        return _of_sketches(sketches, sorted(set(patients)), contrast.metric)
    thresholds = read_json(folder / "thresholds.json")
    kind = "slice" if contrast.level == "slice" else "subject"
    counts = []
    for patient, score, label in zip(patients, table["score"], labels, strict=True):
        mine = thresholds[patient] if contrast.post == "raw" else thresholds[patient]["percentiles"][contrast.post]
        positive = float(score) >= float(mine[kind])
        counts.append((positive * label, positive * (1 - label), (not positive) * label, (not positive) * (1 - label)))
    return _of_confusions(counts, patients, contrast.metric)


def _slices(folder: Path) -> pd.DataFrame:
    import pandas as pd

    return pd.read_parquet(folder / "slices.parquet").rename(columns={"lesion": "label"})


def _cases(folder: Path, level: str) -> pd.DataFrame:
    """Score and label of every case, with the healthy controls that the cell's own metrics use."""
    import pandas as pd

    from cerebench.loop.summary import _subjects

    return _subjects(pd.read_parquet(folder / "cases.parquet"), level, read_json(folder / "controls.json"))


def _of_sketches(sketches: Sequence[ScoreSketch], patients: Sequence[str], metric: str) -> Counts:
    from cerebench.scoring.binning import choose_starts, reduce_sketches
    from cerebench.scoring.intervals import PooledMetric, patient_groups
    from cerebench.scoring.sketch import ScoreSketch

    groups, names = patient_groups(patients, len(sketches))
    merged, wanted = ScoreSketch.merge(sketches), PooledMetric(metric)
    starts = choose_starts(merged, [])
    positives, negatives = reduce_sketches(sketches, groups, len(names), starts)
    return wanted.value(merged), tuple(names), positives, negatives, wanted.statistic(0)


def _of_confusions(counts: Iterable[Sequence[float]], patients: Sequence[str], metric: str) -> Counts:
    import numpy as np

    from cerebench.scoring.intervals import AT_THRESHOLD, patient_groups

    table = np.asarray(list(counts), dtype=np.float64).reshape(-1, 4)
    groups, names = patient_groups(patients, len(table))
    sums = np.zeros((len(names), 4))
    np.add.at(sums, groups, table)
    # what is predicted positive is the first bin, the rest the second
    positives, negatives, statistic = sums[:, [0, 2]], sums[:, [1, 3]], AT_THRESHOLD[metric](1)
    with np.errstate(all="ignore"):
        value = float(statistic(positives.sum(0), negatives.sum(0))[0])
    return value, tuple(names), positives, negatives, statistic
