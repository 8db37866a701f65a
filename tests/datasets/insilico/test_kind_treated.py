"""Treated glioma: cavity like fluid, enhancement at its margin, hyperintensity around, visits, controls."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from cerebench_datasets.insilico.anatomy import make_anatomy
from cerebench_datasets.insilico.centres import make_centre
from cerebench_datasets.insilico.fields import Grid
from cerebench_datasets.insilico.kinds.kind import Draw
from cerebench_datasets.insilico.kinds.treated import KIND, TreatedGlioma, grow_treated
from cerebench_datasets.insilico.lesion import label_map, label_values
from cerebench_datasets.insilico.parameters import Anatomy, PhantomParameters, Scanner
from cerebench_datasets.insilico.streams import stream
from cerebench_datasets.insilico.subject import Examination, make_subject

SPACING = 3.0
LABELS = {"netc": 1, "snfh": 2, "et": 3, "rc": 4}
FIXED = {"cavity_ml": 15, "cavity_spread": 0, "tumour_ml": 8, "tumour_spread": 0, "around_ml": 40, "around_spread": 0}


@pytest.fixture(scope="module")
def anatomy():
    return make_anatomy(stream(0), Anatomy(), Grid.covering(SPACING))


def grow(tissue, seed=1, growth=1.0, affected=True, **parameters):
    draw = Draw(stream(seed), tissue, stream("visit"), growth=growth, affected=affected)
    return grow_treated(draw, TreatedGlioma(**parameters))


def ml(*maps):
    return float(np.sum(maps)) * SPACING**3 / 1000


@pytest.mark.parametrize("seed", range(5))
def test_volumes_follow_the_parameters(anatomy, seed):
    extent = grow(anatomy, seed, resected=1, residual=1, necrosis=1, **FIXED).extent
    assert ml(extent["rc"]) == pytest.approx(15, rel=0.15)
    assert ml(extent["et"], extent["netc"]) == pytest.approx(8, rel=0.35)
    assert ml(extent["snfh"]) == pytest.approx(40, rel=0.25)
    assert np.sum(list(extent.values()), axis=0).max() <= 1 + 1e-5


@pytest.mark.parametrize("seed", range(5))
def test_enhancement_lies_at_the_cavity_margin_and_not_all_around(anatomy, seed):
    extent = grow(anatomy, seed, resected=1, residual=1, necrosis=0, **FIXED | {"tumour_ml": 4}).extent
    cavity, enhancing = extent["rc"] > 0.5, extent["et"] > 0.5
    distance = ndimage.distance_transform_edt(~cavity, sampling=SPACING)
    assert np.median(distance[enhancing]) < 8
    shell = ndimage.binary_dilation(cavity) & ~cavity & (anatomy.brain > 0.9)
    assert 0.05 < enhancing[shell].mean() < 0.8


def test_hyperintensity_surrounds_cavity_and_tumour_in_white_matter(anatomy):
    extent = grow(anatomy, 3, resected=1, **FIXED).extent
    inner = extent["rc"] + extent["et"] + extent["netc"] > 0.5
    shell = ndimage.binary_dilation(inner) & ~inner & (anatomy.wm > 0.7)
    assert extent["snfh"][shell].mean() > 0.6
    assert np.average(anatomy.csf, weights=extent["snfh"]) < 0.1


def test_shares_decide_which_parts_there_are(anatomy):
    assert max(grow(anatomy, seed, resected=0).extent["rc"].max() for seed in range(5)) == 0
    # without a resection there is always tumour
    assert min(grow(anatomy, seed, resected=0, residual=0, necrosis=0).extent["et"].max() for seed in range(5)) > 0.5
    scar = grow(anatomy, resected=1, residual=0).extent
    assert scar["et"].max() == scar["netc"].max() == 0 < scar["rc"].max()
    assert grow(anatomy, necrosis=0).extent["netc"].max() == 0


def test_cavities_lie_in_a_hemisphere_beneath_the_surface(anatomy):
    x, _, z = np.meshgrid(*anatomy.grid.axes, indexing="ij")
    for seed in range(8):
        cavity = grow(anatomy, seed, resected=1, **FIXED).extent["rc"]
        assert abs(np.average(x, weights=cavity)) > 10
        assert np.average(z, weights=cavity) > -32
        assert anatomy.depth[cavity > 0.5].min() < 15
        assert (cavity[np.sign(x) != np.sign(np.average(x, weights=cavity))].sum()) < 0.05 * cavity.sum()


def test_the_cavity_stays_while_the_tumour_grows(anatomy):
    sizes = FIXED | {"necrosis": 0}
    first, second = (grow(anatomy, 6, growth, resected=1, residual=1, **sizes).extent for growth in (1.0, 1.8))
    np.testing.assert_array_equal(first["rc"], second["rc"])
    assert ml(second["et"]) / ml(first["et"]) == pytest.approx(1.8, rel=0.2)
    assert np.minimum(first["et"], second["et"]).sum() > 0.8 * first["et"].sum()


def test_controls_have_none(anatomy):
    extent = grow(anatomy, affected=False).extent
    assert set(extent) == set(KIND.parts)
    assert max(values.max() for values in extent.values()) == 0


def test_the_cavity_shows_as_fluid_and_the_null_control_shows_nothing():
    block = {"resected": 1, "residual": 1, **FIXED, "cavity_ml": 30}
    where = make_centre("x", "A", Scanner(blur_mm=0, slice_mm=0, bias=0), None)
    shown, hidden, healthy = (
        make_subject(Examination(0, "x", 2), 4.0, kind, PhantomParameters(lesion=lesion, lesion_contrast=contrast))
        for kind, lesion, contrast in (("treated-glioma", block, 1), ("treated-glioma", block, 0), ("none", {}, 1))
    )
    masks = [label_map(subject.lesion.extent, subject.brain, LABELS) for subject in (shown, hidden)]
    np.testing.assert_array_equal(*masks)
    assert {1, 2, 3, 4} >= set(np.unique(masks[0])) - {0} >= {2, 3, 4}
    fluid = (shown.tissue.csf > 0.95) & (masks[0] == 0)
    for modality in ("t1", "t1c", "t2", "flair"):
        values = shown.scan(modality, where)
        cavity = np.median(values[shown.lesion.extent["rc"] > 0.95])
        if modality == "flair":
            assert cavity < 0.5 * np.median(values[(shown.tissue.wm > 0.9) & (masks[0] == 0)])
        else:
            assert cavity == pytest.approx(np.median(values[fluid]), rel=0.2)
        np.testing.assert_array_equal(hidden.scan(modality, where, 0.0), healthy.scan(modality, where))
    flair = shown.scan("flair", where)
    rim = np.median(flair[shown.lesion.extent["snfh"] > 0.8])
    assert rim > 1.15 * np.median(flair[(shown.tissue.gm > 0.9) & (masks[0] == 0)])


def test_the_cavity_has_a_label_that_need_not_be_an_anomaly():
    assert label_values("treated-glioma", KIND.parts, [1, 2, 3], [1, 2, 3, 4], LABELS, "c") == LABELS
