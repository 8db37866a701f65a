"""Atrophy: graded change of ventricles, hippocampi and cortex, null control, controls, rows of the table."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from cerebench_datasets.insilico import anatomy
from cerebench_datasets.insilico.anatomy import make_anatomy
from cerebench_datasets.insilico.deformation import LATTICE_MM, integrate, jacobian, random_velocity
from cerebench_datasets.insilico.fields import CENTRE_MM, Grid
from cerebench_datasets.insilico.kinds.atrophy import KIND, Atrophy, shape_atrophy
from cerebench_datasets.insilico.parameters import Anatomy, PhantomParameters
from cerebench_datasets.insilico.streams import stream
from cerebench_datasets.insilico.subject import Examination, make_subject
from cerebench_datasets.insilico.template import load_template, template_for

SPACING = 3.0


def tissue_of(patient, **parameters):
    change = shape_atrophy(stream("shape", patient), 1.0, Atrophy(grade_spread=0, **parameters))
    return make_anatomy(stream(patient), Anatomy(), Grid.covering(SPACING), True, change)


def draw(patient=0, affected=True, visit=0, spacing=6.0, lesion="atrophy", contrast=1.0, **parameters):
    chosen = PhantomParameters(lesion=parameters, lesion_contrast=contrast)
    return make_subject(Examination(0, "x", patient, visit, affected), spacing, lesion, chosen)


def regions():
    """Lateral ventricles and hippocampi as soft maps in template space, by other means than the kind's own."""
    template = load_template()
    axes = [start + 2 * np.arange(size) for start, size in zip(template.origin, template.depth.shape, strict=True)]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    csf = (template.brain - template.gm - template.wm)[::2, ::2, ::2]
    box = (np.abs(x) < 36) & (np.abs(y + 15) < 45) & (z > -3) & (z < 31) & ~((np.abs(x) < 1.5) & (np.abs(y + 15) > 40))
    parts, _ = ndimage.label((csf > 0.5) & box)
    ventricles = parts == np.bincount(parts.ravel())[1:].argmax() + 1
    # the hippocampal body as a slanted ellipsoid in MNI coordinates
    along, height = (y + 22) / 18, z + 13 - 0.5 * -(y + 22)
    hippocampi = along**2 + ((np.abs(x) - 25) / 6) ** 2 + (height / 6) ** 2 < 1
    return {name: part.astype(np.float32) for name, part in (("ventricles", ventricles), ("hippocampi", hippocampi))}


@pytest.fixture(scope="module")
def volumes():
    """Millilitres of each region, carried from template to subject, for patients with and without the effect."""
    found: dict[tuple[str, float], list[float]] = {}
    with pytest.MonkeyPatch.context() as patch:
        for name, part in regions().items():
            patch.setattr(anatomy, "template_for", lambda mm, part=part: replace(template_for(mm), depth=part))
            for effect in (0.0, 0.5, 1.0):
                tissues = [tissue_of(patient, effect=effect) for patient in range(4)]
                grey = {"ventricles": [1.0] * 4, "hippocampi": [tissue.gm for tissue in tissues]}[name]
                found[name, effect] = [
                    float((tissue.depth * g).sum()) * SPACING**3 / 1000 for tissue, g in zip(tissues, grey, strict=True)
                ]
    return {key: np.array(values) for key, values in found.items()}


def test_ventricles_enlarge_and_hippocampi_shrink_by_published_amounts(volumes):
    ventricles = volumes["ventricles", 1.0] / volumes["ventricles", 0.0]
    hippocampi = volumes["hippocampi", 1.0] / volumes["hippocampi", 0.0]
    assert 1.4 < ventricles.mean() < 1.65
    assert 0.75 < hippocampi.mean() < 0.86
    assert ventricles.min() > 1.2
    assert hippocampi.max() < 0.92


def test_change_is_graded(volumes):
    for name in ("ventricles", "hippocampi"):
        none, half, full = (volumes[name, effect].mean() for effect in (0.0, 0.5, 1.0))
        assert 0.3 < (half - none) / (full - none) < 0.7


def test_cortex_thins_in_favour_of_fluid_inside_the_same_head():
    healthy, ill = (tissue_of(1, effect=effect) for effect in (0.0, 1.0))
    assert 0.90 < ill.gm.sum() / healthy.gm.sum() < 0.98
    assert 1.15 < ill.csf.sum() / healthy.csf.sum() < 1.5
    assert ill.brain.sum() == pytest.approx(healthy.brain.sum(), rel=0.01)


def test_no_effect_and_null_control_and_controls_are_the_healthy_subject_to_the_byte():
    healthy = draw(lesion="none").tissue
    for other in (draw(effect=0), draw(contrast=0), draw(affected=False)):
        for name in ("brain", "csf", "gm", "wm", "detail", "variation"):
            np.testing.assert_array_equal(getattr(other.tissue, name), getattr(healthy, name), err_msg=name)
    assert np.abs(draw().tissue.csf - healthy.csf).max() > 0.2


def test_change_is_the_same_on_both_sides():
    change = shape_atrophy(stream(0), 1.0, Atrophy())
    mirrored = change.velocity[:, ::-1] * np.array([-1, 1, 1])[:, None, None, None]
    np.testing.assert_allclose(change.velocity, mirrored, atol=1e-3)
    np.testing.assert_allclose(change.fluid_odds, change.fluid_odds[::-1], atol=1e-3)
    peak = np.unravel_index(np.abs(change.velocity[0]).argmax(), change.fluid_odds.shape)
    where = [axis[at] for axis, at in zip(Grid.covering(LATTICE_MM).axes, peak, strict=True)]
    assert np.abs(np.array(where) - CENTRE_MM).max() < 60


@pytest.mark.parametrize("seed", range(3))
def test_the_strongest_usual_atrophy_does_not_fold(seed):
    velocity = random_velocity(stream(seed), Anatomy(ventricles_mm=3), age=2.0)
    change = shape_atrophy(stream(seed), 1.0, Atrophy(effect=1.6, grade_spread=0))
    assert jacobian(integrate(velocity + change.velocity, LATTICE_MM), LATTICE_MM).min() > 0.02


def test_grade_varies_between_patients_and_only_progresses():
    sizes = np.array([np.abs(shape_atrophy(stream(seed), 1.0, Atrophy()).velocity).max() for seed in range(30)])
    assert 0.2 < sizes.std() / sizes.mean() < 0.6
    for growth in (0.7, 1.4):
        later = np.abs(shape_atrophy(stream(3), growth, Atrophy()).velocity).max()
        assert later > 1.3 * sizes[3]


def test_rows_say_the_diagnosis_and_covariates_do_not():
    patients, controls = (
        [draw(patient, affected=affected, spacing=8.0) for patient in range(9)] for affected in (True, False)
    )
    rows, others = ([row for subject in group for row in subject.lesion.findings] for group in (patients, controls))
    assert [row.outcome for row in rows] == [1] * 9
    assert [row.outcome for row in others] == [0] * 9
    assert [row.covariates for row in rows] == [row.covariates for row in others]
    ages = [float(row.covariates["age"]) for row in rows]
    assert 55 <= min(ages) < 74 < max(ages) <= 92
    assert {row.covariates["sex"] for row in rows} == {"F", "M"}
    assert KIND.parts == ()
    # the older, the larger the share of fluid, among controls
    shares = [float(subject.tissue.csf.sum() / subject.tissue.brain.sum()) for subject in controls]
    assert np.corrcoef(shares, ages)[0, 1] > 0.3
