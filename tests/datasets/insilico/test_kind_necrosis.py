"""Necrosis or progression: images and covariates tell them apart modestly, and not at all where effects are zero."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from scipy.stats import rankdata

from cerebench_datasets.insilico.anatomy import make_anatomy
from cerebench_datasets.insilico.centres import make_centre
from cerebench_datasets.insilico.contrast import acquire
from cerebench_datasets.insilico.fields import Grid
from cerebench_datasets.insilico.kinds.clinical import PRIMARIES, draw_history, lesion_row, progression_chance
from cerebench_datasets.insilico.kinds.kind import Draw
from cerebench_datasets.insilico.kinds.necrosis import KIND, Necrosis, grow_necrosis
from cerebench_datasets.insilico.lesion import label_map
from cerebench_datasets.insilico.parameters import Anatomy, PhantomParameters, Scanner
from cerebench_datasets.insilico.streams import stream
from cerebench_datasets.insilico.subject import Examination, make_subject

SPACING = 3.0
LABELS = {"et": 1, "netc": 2, "ed": 0}


@pytest.fixture(scope="module")
def tissue():
    return make_anatomy(stream(0), Anatomy(), Grid.covering(SPACING))


def grow(tissue, seed=1, growth=1.0, affected=True, **parameters):
    draw = Draw(stream("necrosis", seed), tissue, stream("visit"), growth=growth, affected=affected)
    return grow_necrosis(draw, Necrosis(**parameters))


def auroc(values, outcomes):
    """Rank form of the area under the curve, oriented so that progression is high."""
    ranks, positive = rankdata(values), np.asarray(outcomes, bool)
    n = positive.sum()
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * (~positive).sum()))


def features(tissue, seeds, **parameters):
    """One row a lesion: T1c local variation, T1c mean, T2 over T1c; with the outcomes."""
    centre = make_centre("x", "A", Scanner(blur_mm=0, slice_mm=0, bias=0, snr=40), None)
    rows, outcomes = [], []
    for seed in seeds:
        lesion = grow(tissue, seed, **parameters)
        mask = label_map(lesion.extent, tissue.brain > 0.5, LABELS, lesion.numbers)
        t1c, t2 = (acquire(tissue, lesion.shown, KIND.signals, kind, centre, stream(seed)) for kind in ("t1c", "t2"))
        t1c, t2 = (scan / np.median(scan[tissue.wm > 0.9]) for scan in (t1c, t2))
        detail = np.abs(t1c - ndimage.gaussian_filter(t1c, 1.0))
        for finding in lesion.findings:
            inside = mask // 10 == finding.number
            rows.append([detail[inside].mean(), t1c[inside].mean(), -(t2[inside] / t1c[inside]).mean()])
            outcomes.append(finding.outcome)
    return np.array(rows), np.array(outcomes)


def covariate_rows(effect, patients=1500, share=0.5):
    rows, outcomes = [], []
    rng = stream("patients")
    for _ in range(patients):
        history = draw_history(rng)
        outcome = int(rng.random() < progression_chance(history, share, effect))
        row = lesion_row(rng, history, outcome, effect, missing=0)
        clinical = [-float(row[name]) for name in ("months_since_radiotherapy", "dose_gy", "growth_per_month")]
        rows.append([*clinical, -row["age"], PRIMARIES[row["primary"]][1]])
        outcomes.append(outcome)
    return np.array(rows), np.array(outcomes)


def test_images_differ_modestly_by_default(tissue):
    rows, outcomes = features(tissue, range(45), progression=0.5)
    single = [auroc(column, outcomes) for column in rows.T]
    assert min(single) > 0.53
    combined = auroc((rankdata(rows, axis=0)).sum(1), outcomes)
    assert 0.65 < combined < 0.9


def test_without_effect_images_are_the_same_whatever_the_outcome(tissue):
    for seed in range(3):
        lesions = [
            grow(tissue, seed, effect=0, covariate_effect=0, progression=share, missing=0.3) for share in (0.001, 0.999)
        ]
        outcomes = [[finding.outcome for finding in lesion.findings] for lesion in lesions]
        assert outcomes == [[0] * len(outcomes[0]), [1] * len(outcomes[0])]
        for part in KIND.parts:
            np.testing.assert_array_equal(lesions[0].extent[part], lesions[1].extent[part])
            np.testing.assert_array_equal(lesions[0].shown[part], lesions[1].shown[part])
        assert [a.covariates for a in lesions[0].findings] == [b.covariates for b in lesions[1].findings]


def test_without_effect_outcomes_cannot_be_told(tissue):
    rows, outcomes = features(tissue, range(45), effect=0, progression=0.5)
    for column in rows.T:
        assert auroc(column, outcomes) == pytest.approx(0.5, abs=0.14)


def test_covariates_tell_a_little_and_without_effect_nothing():
    rows, outcomes = covariate_rows(1.0)
    single = [auroc(column, outcomes) for column in rows.T]
    assert all(0.52 < value < 0.68 for value in single)
    standard = (rows - rows.mean(0)) / rows.std(0)
    assert 0.64 < auroc(standard.sum(1), outcomes) < 0.74
    rows, outcomes = covariate_rows(0.0)
    assert [auroc(column, outcomes) for column in rows.T] == pytest.approx([0.5] * 5, abs=0.045)


def test_prevalence_and_number_of_lesions(tissue):
    coarse = make_anatomy(stream(0), Anatomy(), Grid.covering(8.0))
    lesions = [grow(coarse, seed, progression=0.6) for seed in range(120)]
    outcomes = [finding.outcome for lesion in lesions for finding in lesion.findings]
    assert np.mean(outcomes) == pytest.approx(0.6, abs=0.1)
    counts = np.array([len(lesion.findings) for lesion in lesions])
    assert counts.min() == 1
    assert counts.max() == 3
    assert (counts == 1).mean() == pytest.approx(0.65, abs=0.12)


def test_size_says_nothing_about_the_outcome(tissue):
    for seed in range(4):
        volumes = [
            float(sum(lesion.extent[part].sum() for part in ("et", "netc")))
            for lesion in (grow(tissue, seed, progression=share, covariate_effect=0) for share in (0.001, 0.999))
        ]
        assert volumes[0] == pytest.approx(volumes[1], rel=1e-4)


def test_every_row_has_its_lesion_in_the_mask_and_none_is_left_over():
    for patient in range(6):
        subject = make_subject(Examination(0, "x", patient), 6.0, "necrosis", PhantomParameters())
        mask = label_map(subject.lesion.extent, subject.brain, LABELS, subject.lesion.numbers)
        numbers = sorted({int(value) // 10 for value in np.unique(mask[mask > 0])})
        assert numbers == [finding.number for finding in subject.lesion.findings]


def test_parts_share_the_voxel_and_oedema_follows_white_matter(tissue):
    lesion = grow(tissue, 3)
    assert np.sum(list(lesion.extent.values()), axis=0).max() <= 1 + 1e-4
    oedema = lesion.extent["ed"]
    assert (oedema * tissue.wm).sum() / oedema.sum() > 1.3 * tissue.wm.sum() / tissue.brain.sum()
    assert all(values.max() <= 1 + 1e-5 for values in lesion.shown.values())


def test_visits_keep_outcome_and_clinical_data_and_change_size(tissue):
    first, later = grow(tissue, 5), grow(tissue, 5, growth=1.5)
    assert first.findings == later.findings
    volumes = [float((lesion.extent["et"] + lesion.extent["netc"]).sum()) for lesion in (first, later)]
    assert volumes[1] == pytest.approx(1.5 * volumes[0], rel=0.15)


def test_missing_values_are_absent_but_age_is_there():
    rows = [lesion_row(stream(i), draw_history(stream("h", i)), 1, 1.0, 0.3) for i in range(200)]
    names = ("primary", "months_since_radiotherapy", "dose_gy", "growth_per_month")
    for name in names:
        assert np.mean([name in row for row in rows]) == pytest.approx(0.7, abs=0.1)
    assert all("age" in row for row in rows)
    complete = lesion_row(stream(0), draw_history(stream(0)), 0, 1.0, 0.0)
    assert set(complete) == {"age", *names}


def test_controls_have_none(tissue):
    lesion = grow(tissue, affected=False)
    assert lesion.findings == ()
    assert all(values.max() == 0 for values in lesion.extent.values())
