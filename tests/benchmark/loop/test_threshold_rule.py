"""Thresholds against brute force, and that no patient's own scan moves the threshold it is scored with."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score

from cerebench.loop.cases import SliceScore
from cerebench.loop.thresholds import FPR_POINTS, Scored, ThresholdRule
from cerebench.scoring.sketch import ScoreSketch


def voxels(seed: int, lesion: bool) -> tuple[np.ndarray, np.ndarray]:
    """Scores on a grid of 1/256 (exact in the sketch) and labels."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(400) < 0.2) & lesion
    return np.round((rng.random(400) + 0.5 * labels) * 256) / 256, labels


def item(patient: str, seed: int, lesion: bool = True, score: float | None = None, shift: float = 0.0) -> Scored:
    scores, labels = voxels(seed, lesion)
    rng = np.random.default_rng(seed + 1000)
    slices = [SliceScore(k, bool(k % 2 and lesion), float(rng.random() + 0.4 * (k % 2))) for k in range(6)]
    sketch = ScoreSketch().update((scores + shift).astype(np.float32), labels)
    score = float(rng.random() + 0.5 * lesion) if score is None else score
    return Scored(f"{patient}-{seed}", patient, not lesion, int(lesion), score, {"raw": sketch}, tuple(slices))


def brute_dice(seeds: list[int]) -> tuple[float, float]:
    scores, labels = (np.concatenate(parts) for parts in zip(*(voxels(seed, True) for seed in seeds), strict=True))
    found = {t: f1_score(labels, scores >= t) for t in np.unique(scores)}
    best = max(found.values())
    return max(t for t, value in found.items() if value == best), best


def brute_youden(pairs: list[tuple[int, float]]) -> float:
    labels, scores = (np.array(part) for part in zip(*pairs, strict=True))
    gains = {t: (scores[labels == 1] >= t).mean() - (scores[labels == 0] >= t).mean() for t in np.unique(scores)}
    return max(t for t, gain in gains.items() if gain == max(gains.values()))


def test_dice_threshold_is_the_best_of_the_pooled_validation_voxels():
    rule = ThresholdRule([item(f"c/{seed}", seed) for seed in range(4)], [item("h/0", 50, False)])
    threshold = rule.common.dice["raw"]
    wanted, best = brute_dice([0, 1, 2, 3])
    assert threshold == wanted
    scores, labels = (np.concatenate(parts) for parts in zip(*(voxels(seed, True) for seed in range(4)), strict=True))
    assert f1_score(labels, scores >= threshold) == best


def test_fpr_points_hold_on_healthy_validation_voxels_and_are_the_lowest_that_do():
    rule = ThresholdRule([item("c/0", 0)], [item(f"h/{seed}", seed, False) for seed in (60, 61)])
    scores = np.concatenate([voxels(seed, False)[0] for seed in (60, 61)])
    for percent in FPR_POINTS:
        threshold = rule.common.healthy["raw"][percent]
        allowed = [t for t in np.unique(scores) if (scores >= t).mean() <= percent / 100]
        assert threshold == min(allowed)


def test_subject_and_slice_thresholds_are_youden():
    lesion = [item(f"c/{seed}", seed) for seed in range(5)]
    healthy = [item(f"h/{seed}", seed, False) for seed in range(60, 65)]
    found = ThresholdRule(lesion, healthy).common
    assert found.subject == brute_youden([(each.label, each.score) for each in (*lesion, *healthy)])
    pairs = [(int(each.lesion), each.score) for case in lesion for each in case.slices]
    assert found.slice == brute_youden(pairs)


def test_a_patients_own_scans_never_move_its_thresholds():
    others = [item(f"c/{seed}", seed) for seed in range(3)]
    healthy = [item(f"h/{seed}", seed, False) for seed in (60, 61)]
    mine = [item("c/me", 7), item("c/me", 8)]  # two examinations
    changed = [item("c/me", 7, score=99.0, shift=3.0), item("c/me", 8, score=-99.0, shift=-3.0)]
    first, second = ThresholdRule([*others, *mine], healthy), ThresholdRule([*others, *changed], healthy)
    assert first.for_patient("c/me") == second.for_patient("c/me") == ThresholdRule(others, healthy).common
    assert first.for_patient("c/0") != second.for_patient("c/0")
    assert first.for_patient("c/new") == first.common


def test_a_healthy_patients_own_scans_never_move_its_points():
    lesion = [item("c/0", 0), item("c/1", 1)]
    rest = [item("h/1", 61, False)]
    first = ThresholdRule(lesion, [item("h/0", 60, False), *rest])
    second = ThresholdRule(lesion, [item("h/0", 60, False, score=9.0, shift=2.0), *rest])
    assert first.for_patient("h/0") == second.for_patient("h/0")
    assert first.common.healthy != second.common.healthy


def test_mixed_provenance_chooses_no_subject_threshold_between_the_two():
    lesion, healthy = [item("c/0", 0), item("c/1", 1)], [item("h/0", 60, False)]
    mixed = ThresholdRule(lesion, healthy, mixed=True).common
    plain = ThresholdRule(lesion, healthy).common
    assert plain.subject is not None
    assert mixed.subject is None
    assert (mixed.dice, mixed.healthy, mixed.slice) == (plain.dice, plain.healthy, plain.slice)


@pytest.mark.parametrize("lesion", [[], ["healthy only"], ["one patient"]])
def test_nothing_to_choose_on_gives_none(lesion):
    cases = {"healthy only": item("c/0", 3, False), "one patient": item("c/me", 0)}
    found = ThresholdRule([cases[name] for name in lesion], []).for_patient("c/me")
    assert (found.dice.get("raw"), found.subject, found.slice) == (None, None, None)
    assert found.healthy.get("raw", {}).get(5) is None


def test_percentiles_are_of_healthy_subjects_and_of_slices_without_lesion():
    lesion, healthy = [item(f"c/{seed}", seed) for seed in range(6)], [item(f"h/{n}", 90 + n, False) for n in range(7)]
    rule = ThresholdRule(lesion, healthy, percentiles=(75, 90))
    clean = np.array([each.score for one in (*lesion, *healthy) for each in one.slices if not each.lesion])
    subjects = np.array([one.score for one in healthy])
    for percent in (75, 90):
        found = rule.common.percentiles[percent]
        for scores, threshold in ((clean, found["slice"]), (subjects, found["subject"])):
            assert np.mean(scores < threshold) >= percent / 100
            below = scores[scores < threshold].max()  # the next lower threshold would not do
            assert np.mean(scores < below) < percent / 100
    assert ThresholdRule(lesion, []).common.percentiles == {}
    assert ThresholdRule(lesion, [], percentiles=(95,)).common.percentiles[95]["subject"] is None


def test_percentiles_leave_the_scored_patient_out():
    healthy = [item(f"h/{number}", number, False, score=float(number)) for number in range(5)]
    rule = ThresholdRule([], healthy, percentiles=(99,))
    assert rule.common.percentiles[99]["subject"] == np.nextafter(4.0, np.inf)
    assert rule.for_patient("h/4").percentiles[99]["subject"] == np.nextafter(3.0, np.inf)


def test_the_balanced_threshold_weighs_kinds_alike_and_leaves_a_patients_own_scans_out():
    many = [("ms", item(f"a/{seed}", seed)) for seed in range(6)]
    few = [("glioma", item("b/me", 20, shift=0.75))]
    rule = ThresholdRule([item("c/0", 30)], [], balanced=[*many, *few])
    pooled = {
        kind: [voxels(int(one.case.rpartition("-")[2]), True) for name, one in (*many, *few) if name == kind]
        for kind in ("ms", "glioma")
    }
    groups = [tuple(np.concatenate(parts) for parts in zip(*pooled[kind], strict=True)) for kind in pooled]
    groups[1] = (groups[1][0] + 0.75, groups[1][1])
    means = {
        t: np.mean([f1_score(labels, scores >= t) for scores, labels in groups])
        for t in np.unique(np.concatenate([scores for scores, _ in groups]))
    }
    assert rule.common.balanced["raw"] == max(t for t, value in means.items() if value == max(means.values()))
    without = ThresholdRule([item("c/0", 30)], [], balanced=many).common
    assert rule.for_patient("b/me").balanced == without.balanced != rule.common.balanced
    assert ThresholdRule([item("c/0", 30)], []).common.balanced == {}
