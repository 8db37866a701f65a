"""One rule for the thresholds of every method: chosen on validation, never with a scan of the patient they score."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from cerebench.loop.cases import CaseScores, SliceScore
from cerebench.scoring.balanced import best_mean_dice
from cerebench.scoring.detection import youden_threshold
from cerebench.scoring.sketch import ScoreSketch

FPR_POINTS = (1, 5, 10)
"""Healthy false-positive rates in percent at which sensitivity is reported."""


@dataclass(frozen=True)
class Thresholds:
    """Thresholds for one patient; ``None`` where validation offers nothing to choose them on.

    Attributes:
        dice: post-processing → threshold of the best Dice pooled over the lesion validation cases.
        balanced: post-processing → threshold of the highest mean over kinds of lesion of the Dice pooled over a kind;
            empty where the protocol makes no balanced selection.
        healthy: post-processing → percent → threshold with that false-positive rate on healthy validation voxels.
        subject: case-score threshold by Youden's index over validation cases.
        slice: slice-score threshold by Youden's index over slices of the validation cases.
        percentiles: percent → level (``subject``, ``slice``) → that percentile of the scores of healthy validation
            subjects, or of validation slices without lesion.
    """

    dice: dict[str, float | None] = field(default_factory=dict)
    healthy: dict[str, dict[int, float | None]] = field(default_factory=dict)
    subject: float | None = None
    slice: float | None = None
    percentiles: dict[int, dict[str, float | None]] = field(default_factory=dict)
    balanced: dict[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Scored:
    """The part of a scored case that outlives its map.

    Attributes:
        case: case identifier.
        patient: ``cohort/patient``.
        healthy: subject without pathology.
        label: class of a classification case; for anomaly cases 1 for patients, 0 for healthy subjects.
        score: case score.
        sketches: post-processing → sketch.
        slices: scores of its axial slices.
    """

    case: str
    patient: str
    healthy: bool
    label: int
    score: float | None
    sketches: dict[str, ScoreSketch]
    slices: tuple[SliceScore, ...]

    @classmethod
    def of(cls, scores: CaseScores) -> Scored:
        """Keep counts and scores, drop maps."""
        ref = scores.ref
        return cls(
            case=ref.id,
            patient=ref.patient,
            healthy=ref.healthy,
            label=ref.label if ref.label is not None else int(not ref.healthy),
            score=scores.score,
            sketches=scores.sketches,
            slices=tuple(scores.slices),
        )


class ThresholdRule:
    """Chooses thresholds from validation predictions.

    Args:
        lesion: validation cases with pathology (or labelled validation cases of a classification protocol).
        healthy: healthy validation cases.
        mixed: whether the two differ in provenance; then no subject threshold is chosen between them.
        percentiles: of healthy scores, at which decisions are also made.
        balanced: (kind of lesion, case) pairs of the balanced selection.
    """

    def __init__(
        self,
        lesion: Sequence[Scored],
        healthy: Sequence[Scored],
        mixed: bool = False,
        percentiles: Sequence[int] = (),
        balanced: Sequence[tuple[str, Scored]] = (),
    ) -> None:
        self._lesion = lesion
        self._percentiles = percentiles
        self._healthy = healthy
        self.mixed = mixed
        self._balanced = balanced
        self._patients = {item.patient for item in (*lesion, *healthy, *(item for _, item in balanced))}

    @cached_property
    def common(self) -> Thresholds:
        """Thresholds for every patient who is not among the validation cases."""
        return self._choose(None)

    def for_patient(self, patient: str) -> Thresholds:
        """Thresholds for one patient, whose own validation scans are left out."""
        return self._choose(patient) if patient in self._patients else self.common

    def _choose(self, patient: str | None) -> Thresholds:
        lesion = [item for item in self._lesion if item.patient != patient]
        healthy = [item for item in self._healthy if item.patient != patient]
        subjects = lesion if self.mixed else [*lesion, *healthy]
        balanced = [(kind, item) for kind, item in self._balanced if item.patient != patient]
        posts = sorted({post for item in (*lesion, *healthy) for post in item.sketches})
        return Thresholds(
            dice={post: _best_dice(lesion, post) for post in posts},
            healthy={post: _fpr_points(healthy, post) for post in posts},
            subject=_youden([(item.label, item.score) for item in subjects if item.score is not None]),
            slice=_youden([(int(each.lesion), each.score) for item in lesion for each in item.slices]),
            percentiles={
                percent: {
                    "subject": _percentile([item.score for item in healthy if item.score is not None], percent),
                    "slice": _percentile(
                        [each.score for item in subjects for each in item.slices if not each.lesion], percent
                    ),
                }
                for percent in self._percentiles
            },
            balanced={post: _best_mean_dice(balanced, post) for post in posts} if self._balanced else {},
        )


def _best_dice(cases: Sequence[Scored], post: str) -> float | None:
    pooled = ScoreSketch.merge(item.sketches[post] for item in cases if post in item.sketches)
    threshold = pooled.best_dice()[1] if pooled.n_positive else math.nan
    return threshold if math.isfinite(threshold) else None


def _best_mean_dice(cases: Sequence[tuple[str, Scored]], post: str) -> float | None:
    kinds: dict[str, list[ScoreSketch]] = {}
    for kind, item in cases:
        if post in item.sketches:
            kinds.setdefault(kind, []).append(item.sketches[post])
    threshold = best_mean_dice([ScoreSketch.merge(sketches) for sketches in kinds.values()])[1]
    return threshold if math.isfinite(threshold) else None


def _fpr_points(cases: Sequence[Scored], post: str) -> dict[int, float | None]:
    pooled = ScoreSketch.merge(item.sketches[post] for item in cases if post in item.sketches)
    if not pooled.n_negative:
        return dict.fromkeys(FPR_POINTS)
    return {percent: pooled.threshold_at_fpr(percent / 100) for percent in FPR_POINTS}


def _percentile(scores: Sequence[float], percent: int) -> float | None:
    """The lowest score that at least this share of the scores stays below or at, moved up so that equal is negative."""
    import numpy as np

    if not scores:
        return None
    return float(np.nextafter(np.quantile(scores, percent / 100, method="inverted_cdf"), np.inf))


def _youden(pairs: Sequence[tuple[int, float]]) -> float | None:
    labels = [label for label, _ in pairs]
    if len(set(labels)) < 2:
        return None
    return youden_threshold([score for _, score in pairs], labels)
