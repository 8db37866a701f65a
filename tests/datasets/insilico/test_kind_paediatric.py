"""Paediatric glioma: midline sites, volumes and presence of the parts, nesting, visits, controls."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from cerebench_datasets.insilico.anatomy import make_anatomy
from cerebench_datasets.insilico.centres import make_centre
from cerebench_datasets.insilico.fields import Grid
from cerebench_datasets.insilico.kinds.kind import Draw
from cerebench_datasets.insilico.kinds.paediatric import KIND, PaediatricGlioma, grow_paediatric
from cerebench_datasets.insilico.lesion import label_values
from cerebench_datasets.insilico.parameters import Anatomy, PhantomParameters, Scanner
from cerebench_datasets.insilico.streams import stream
from cerebench_datasets.insilico.subject import Examination, make_subject

SPACING = 3.0
ONLY_PONS, ONLY_THALAMUS = {"pons": 1.0, "thalamus": 0.0}, {"pons": 0.0, "thalamus": 1.0}


@pytest.fixture(scope="module")
def anatomy():
    return make_anatomy(stream(0), Anatomy(), Grid.covering(SPACING))


def grow(tissue, seed=1, growth=1.0, affected=True, displace=True, **parameters):
    draw = Draw(stream(seed), tissue, stream("visit"), growth=growth, affected=affected, displace=displace)
    return grow_paediatric(draw, PaediatricGlioma(**{"mass_effect": 0, **parameters}))


def ml(*maps):
    return float(np.sum(maps)) * SPACING**3 / 1000


def tumour(lesion):
    return lesion.extent["et"] + lesion.extent["net"] + lesion.extent["cyst"]


def middle(anatomy, values):
    axes = np.meshgrid(*anatomy.grid.axes, indexing="ij")
    return np.array([float(np.average(axis, weights=values)) for axis in axes])


@pytest.mark.parametrize("seed", range(4))
def test_volumes_follow_the_parameters(anatomy, seed):
    lesion = grow(anatomy, seed, volume_ml=25, volume_spread=0, oedema=1, oedema_ml=10, oedema_spread=0)
    assert ml(tumour(lesion)) == pytest.approx(25, rel=0.2)
    assert ml(lesion.extent["ed"]) == pytest.approx(10, rel=0.4)
    assert np.sum(list(lesion.extent.values()), axis=0).max() <= 1 + 1e-5


def test_default_parts_are_present_as_often_as_in_the_cohort(anatomy):
    # 99 cases: non-enhancing 100 %, enhancing 89 %, oedema 58 %; medians 30, 6 and 1 ml
    found = [grow(anatomy, seed).extent for seed in range(40)]
    present = {part: np.mean([extent[part].max() > 0.3 for extent in found]) for part in KIND.parts}
    assert present["net"] == 1
    assert 0.75 < present["et"] <= 1
    assert 0.4 < present["ed"] < 0.75
    assert 0.2 < present["cyst"] < 0.55
    assert 20 < np.median([ml(extent["net"], extent["cyst"]) for extent in found]) < 42
    assert 3 < np.median([ml(extent["et"]) for extent in found if extent["et"].max() > 0]) < 10


@pytest.mark.parametrize(("site", "at"), [(ONLY_PONS, (0, -26, -36)), (ONLY_THALAMUS, (13, -18, 8))])
def test_midline_tumours_lie_where_they_should(anatomy, site, at):
    for seed in range(5):
        found = middle(anatomy, tumour(grow(anatomy, seed, volume_ml=20, volume_spread=0, **site)))
        assert np.linalg.norm(np.abs(found) - np.abs(at)) < 14
        assert abs(found[0]) < 22


def test_most_are_of_the_midline(anatomy):
    centres = np.array([middle(anatomy, tumour(grow(anatomy, seed, oedema=0))) for seed in range(40)])
    assert 0.4 < np.mean(centres[:, 2] < -18) < 0.8  # pons: 60 %
    assert 0.04 < np.mean((np.abs(centres[:, 0]) > 22) & (centres[:, 2] > 0)) < 0.35  # hemispheres: 15 %


def test_enhancement_and_cysts_lie_inside_the_tumour(anatomy):
    for seed in range(4):
        lesion = grow(anatomy, seed, enhancing=1, cyst=1, oedema=0, volume_ml=40, volume_spread=0)
        whole, cyst = tumour(lesion) > 0.5, lesion.extent["cyst"] > 0.5
        assert cyst.sum() > 0
        assert ndimage.label(cyst)[1] == 1
        assert ndimage.label(whole)[1] == 1
        for part in ("et", "cyst"):
            assert not (lesion.extent[part] > 0.5)[~whole].any()


def test_zero_shares_leave_the_part_out(anatomy):
    extent = grow(anatomy, enhancing=0, cyst=0, oedema=0).extent
    assert [part for part in KIND.parts if extent[part].max() > 0] == ["net"]


def test_mass_effect_moves_tissue_only_where_asked(anatomy):
    copies = [
        replace(anatomy, **{name: getattr(anatomy, name).copy() for name in ("csf", "gm", "wm", "detail")})
        for _ in range(2)
    ]
    moved = grow(copies[0], 3, mass_effect=0.35)
    null = grow(copies[1], 3, mass_effect=0.35, displace=False)
    for part in KIND.parts:
        np.testing.assert_array_equal(moved.extent[part], null.extent[part])
    np.testing.assert_array_equal(copies[1].wm, anatomy.wm)
    assert np.abs(copies[0].wm - anatomy.wm).max() > 0.2
    np.testing.assert_allclose(copies[0].csf + copies[0].gm + copies[0].wm, anatomy.brain, atol=0.02)


def test_later_visits_grow_at_the_same_site(anatomy):
    first, second = (
        tumour(grow(anatomy, 4, growth=growth, volume_ml=15, volume_spread=0, oedema=0)) for growth in (1.0, 1.5)
    )
    assert ml(second) / ml(first) == pytest.approx(1.5, rel=0.1)
    assert np.minimum(first, second).sum() > 0.9 * first.sum()


def test_controls_have_none(anatomy):
    extent = grow(anatomy, affected=False).extent
    assert set(extent) == set(KIND.parts)
    assert max(values.max() for values in extent.values()) == 0


def test_parts_show_as_they_should():
    parameters = PhantomParameters(lesion={"volume_ml": 50, "volume_spread": 0, "cyst": 1, "enhancing": 1, "pons": 0})
    subject = make_subject(Examination(0, "x", 3), 4.0, "paediatric-glioma", parameters)
    where = make_centre("x", "A", Scanner(blur_mm=0, slice_mm=0, bias=0), None)
    lesioned = np.sum(list(subject.lesion.extent.values()), axis=0) > 0
    grey = (subject.tissue.gm > 0.9) & ~lesioned

    def ratio(modality, part):
        values = subject.scan(modality, where)
        return float(np.median(values[subject.lesion.extent[part] > 0.9]) / np.median(values[grey]))

    assert ratio("t2", "net") > 1.3
    assert ratio("flair", "net") > 1.15 > 0.9 > ratio("flair", "cyst")
    assert ratio("t1", "net") < 0.95
    assert ratio("t1", "cyst") < 0.6
    assert ratio("t1c", "et") > 1.4


def test_labels_of_the_pediatric_release_are_the_default_order():
    found = label_values("paediatric-glioma", KIND.parts, [1, 2, 3, 4], [1, 2, 3, 4], None, "c")
    assert found == {"et": 1, "net": 2, "cyst": 3, "ed": 4}
