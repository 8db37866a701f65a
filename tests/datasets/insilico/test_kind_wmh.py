"""White matter hyperintensities: load, places, growth, old infarcts, controls."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from cerebench_datasets.insilico.anatomy import make_anatomy
from cerebench_datasets.insilico.centres import make_centre
from cerebench_datasets.insilico.contrast import tissue_means
from cerebench_datasets.insilico.fields import Grid
from cerebench_datasets.insilico.kinds.kind import Draw
from cerebench_datasets.insilico.kinds.wmh import KIND, Hyperintensities, grow_hyperintensities
from cerebench_datasets.insilico.parameters import Anatomy, Scanner
from cerebench_datasets.insilico.streams import stream

SPACING = 3.0


@pytest.fixture(scope="module")
def tissue():
    return make_anatomy(stream(0), Anatomy(), Grid.covering(SPACING))


def grow(tissue, seed=1, growth=1.0, affected=True, **parameters):
    draw = Draw(stream(seed), tissue, stream("visit", growth), growth=growth, affected=affected)
    return grow_hyperintensities(draw, Hyperintensities(**parameters))


def millilitres(values):
    return float(values.sum()) * SPACING**3 / 1000


@pytest.mark.parametrize("volume", [3.0, 12.0, 35.0])
def test_load_follows_the_parameter(tissue, volume):
    found = [millilitres(grow(tissue, s, volume_ml=volume, volume_spread=0, other=0).extent["wmh"]) for s in range(4)]
    # foci overlap bands and each other
    assert np.mean(found) == pytest.approx(volume, rel=0.2)


def test_caps_and_bands_lie_at_the_lateral_ventricles_on_both_sides(tissue):
    near = grow(tissue, volume_ml=15, volume_spread=0, periventricular=0.99, other=0).extent["wmh"]
    x, y, _ = np.meshgrid(*tissue.grid.axes, indexing="ij")
    assert (near * tissue.ventricle_distance).sum() / near.sum() < 8
    assert (near * tissue.wm).sum() / near.sum() > 0.7
    left, right = near[x < 0].sum(), near[x > 0].sum()
    assert 0.5 < left / right < 2
    # none in the fissure between the hemispheres or the cisterns, caps at both ends
    assert near[np.abs(x) < 4].sum() < 0.02 * near.sum()
    assert near[tissue.template_z < -10].sum() == 0
    assert near[(y > 22)].sum() > 0.05 * near.sum()
    assert near[(y < -45)].sum() > 0.1 * near.sum()


def test_deep_foci_are_many_small_and_away_from_the_ventricles(tissue):
    deep = grow(tissue, volume_ml=4, volume_spread=0, periventricular=0.01, focus_ml=0.08, other=0).extent["wmh"]
    assert ndimage.label(deep > 0.1)[1] > 10
    assert (deep * tissue.ventricle_distance).sum() / deep.sum() > 10
    assert (deep * tissue.wm).sum() / deep.sum() > 0.6


def test_load_grows_at_the_same_places(tissue):
    first, later = (grow(tissue, growth=growth, other=0).extent["wmh"] for growth in (1.0, 1.6))
    assert millilitres(later) > 1.25 * millilitres(first)
    assert (later[first > 0.9] > 0.5).mean() > 0.97


def test_old_infarcts_are_apart_from_hyperintensities(tissue):
    lesions = [grow(tissue, seed, other=1) for seed in range(6)]
    for lesion in lesions:
        other = lesion.extent["other"]
        assert 0 < millilitres(other) < 30
        assert (other + lesion.extent["wmh"]).max() <= 1 + 1e-5
    largest = max(lesions, key=lambda lesion: lesion.extent["other"].sum())
    other = largest.extent["other"]
    # a fluid-filled cavity with a gliotic rim that shows as hyperintensity but carries the other label
    assert largest.shown["other"].sum() < 0.8 * other.sum()
    assert (largest.extent["wmh"] + other)[largest.shown["wmh"] > 0.5].min() > 0.5
    assert largest.shown["wmh"][other > 0.9].sum() > 0
    assert all(grow(tissue, seed, other=0).extent["other"].max() == 0 for seed in range(6))
    share = np.mean([grow(tissue, seed).extent["other"].max() > 0 for seed in range(30)])
    assert 0.05 < share < 0.4


def test_controls_have_none(tissue):
    lesion = grow(tissue, affected=False, other=1)
    assert set(lesion.extent) == set(KIND.parts)
    assert all(values.max() == 0 for values in (*lesion.extent.values(), *lesion.shown.values()))


def test_contrast_is_that_of_small_vessel_disease():
    centre = make_centre("x", "A", Scanner(), None)
    t1, t2, flair = (tissue_means(modality, centre, KIND.signals) for modality in ("t1", "t2", "flair"))
    assert 0.7 < t1["wmh"] < 0.95 < 1 < t2["gm"] < t2["wmh"] < t2["csf"]
    assert flair["wmh"] > 1.15 * flair["gm"]
    assert flair["other"] < flair["wm"]
    assert t1["other"] < t1["gm"]
