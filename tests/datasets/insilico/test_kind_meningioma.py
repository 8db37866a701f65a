"""Meningioma: broad-based on the surface or the falx, volumes, core and oedema, cortex pushed in, visits, controls."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from cerebench_datasets.insilico.anatomy import make_anatomy
from cerebench_datasets.insilico.centres import make_centre
from cerebench_datasets.insilico.fields import Grid
from cerebench_datasets.insilico.kinds.kind import Draw
from cerebench_datasets.insilico.kinds.meningioma import KIND, Meningioma, grow_meningioma
from cerebench_datasets.insilico.lesion import label_map
from cerebench_datasets.insilico.parameters import Anatomy, PhantomParameters, Scanner
from cerebench_datasets.insilico.streams import stream
from cerebench_datasets.insilico.subject import Examination, make_subject

SPACING = 3.0


@pytest.fixture(scope="module")
def anatomy():
    return make_anatomy(stream(0), Anatomy(), Grid.covering(SPACING))


def fresh(anatomy):
    return replace(anatomy, **{name: getattr(anatomy, name).copy() for name in ("csf", "gm", "wm", "detail")})


def grow(tissue, seed=1, growth=1.0, affected=True, displace=True, **parameters):
    draw = Draw(stream(seed), tissue, stream("visit"), growth=growth, affected=affected, displace=displace)
    return grow_meningioma(draw, Meningioma(**{"mass_effect": 0, **parameters}))


def ml(*maps):
    return float(np.sum(maps)) * SPACING**3 / 1000


@pytest.mark.parametrize("seed", range(4))
def test_volumes_follow_the_parameters(anatomy, seed):
    extent = grow(anatomy, seed, volume_ml=20, volume_spread=0, oedema=1, oedema_ml=30, oedema_spread=0, core=1).extent
    assert ml(extent["et"], extent["netc"]) == pytest.approx(20, rel=0.2)
    assert ml(extent["snfh"]) == pytest.approx(30, rel=0.3)
    assert 0 < ml(extent["netc"]) <= 8
    assert np.sum(list(extent.values()), axis=0).max() <= 1 + 1e-5


def test_default_volumes_are_those_of_the_cohort(anatomy):
    # enhancing part of 1,000 cases: median 9 ml; core in 34 %, oedema in 54 % of patients
    found = [grow(anatomy, seed).extent for seed in range(40)]
    assert 6 < np.median([ml(extent["et"]) for extent in found]) < 13
    assert 0.18 < np.mean([extent["netc"].max() > 0 for extent in found]) < 0.5
    assert 0.36 < np.mean([extent["snfh"].max() > 0 for extent in found]) < 0.72


def test_most_touch_the_edge_of_the_brain_and_all_lie_in_it(anatomy):
    brain = anatomy.brain > 0.5
    edge = brain & ~ndimage.binary_erosion(brain)
    masks = [label_map(grow(anatomy, seed).extent, brain, {"netc": 1, "snfh": 2, "et": 3}) for seed in range(40)]
    touching = [bool((mask[edge] > 0).any()) for mask in masks]
    assert 0.8 < np.mean(touching) <= 1
    assert not any((mask[~brain] > 0).any() for mask in masks)


@pytest.mark.parametrize("seed", range(5))
def test_broad_based_compact_and_on_one_side_of_the_falx(anatomy, seed):
    extent = grow(anatomy, seed, volume_ml=25, volume_spread=0, oedema=0, core=0).extent["et"]
    tumour = extent > 0.5
    assert ndimage.label(tumour)[1] == 1
    # a tumour on the surface is shallower than a ball of its volume beneath it
    assert anatomy.depth[tumour].min() < 12
    hull = ndimage.binary_closing(np.pad(tumour, 4), iterations=3)[4:-4, 4:-4, 4:-4] & (anatomy.brain > 0.5)
    assert tumour.sum() / hull.sum() > 0.85


def test_sites_are_those_of_meningiomas(anatomy):
    lateral, height, fissure = [], [], []
    x, _, z = np.meshgrid(*anatomy.grid.axes, indexing="ij")
    for seed in range(40):
        tumour = grow(anatomy, seed, volume_ml=5, volume_spread=0, oedema=0).extent["et"]
        lateral.append(abs(float(np.average(x, weights=tumour))))
        height.append(float(np.average(z, weights=tumour)))
        fissure.append(lateral[-1] < 16 and height[-1] > 30)
    assert 0.12 < np.mean(fissure) < 0.42  # parasagittal and falx: 26 %
    assert 0.28 < np.mean(np.array(height) < 0) < 0.6  # the base and the posterior fossa: 42 %
    assert 0.15 < np.mean((np.array(lateral) > 30) & (np.array(height) > 0)) < 0.5  # convexity: 32 %


def test_core_lies_within_enhancing_tumour(anatomy):
    for seed in range(4):
        extent = grow(anatomy, seed, volume_ml=30, volume_spread=0, core=1, oedema=0).extent
        core = extent["netc"] > 0.5
        shell = ndimage.binary_dilation(extent["netc"] > 0.1) & ~core & (anatomy.brain > 0.9)
        assert (extent["et"] + extent["netc"])[shell].mean() > 0.8


def test_oedema_prefers_white_matter_and_surrounds_the_tumour(anatomy):
    extent = grow(anatomy, 3, volume_ml=10, volume_spread=0, oedema=1, oedema_ml=25, oedema_spread=0).extent
    oedema = extent["snfh"]
    assert np.average(anatomy.wm, weights=oedema) > 1.2 * anatomy.wm[anatomy.brain > 0.9].mean()
    assert np.average(anatomy.csf, weights=oedema) < 0.1
    tumour = extent["et"] > 0.5
    assert (oedema[ndimage.binary_dilation(tumour) & ~tumour] > 0.2).any()


def test_cortex_is_pushed_in_and_the_head_stays(anatomy):
    tissue = fresh(anatomy)
    tissue.detail[:] = anatomy.depth  # a map that moves along shows where tissue came from
    lesion = grow(tissue, 5, volume_ml=30, volume_spread=0, oedema=0, mass_effect=0.6)
    np.testing.assert_array_equal(tissue.brain, anatomy.brain)
    np.testing.assert_allclose(tissue.csf + tissue.gm + tissue.wm, tissue.brain, atol=0.02)
    shell = ndimage.binary_dilation(lesion.extent["et"] > 0.5, iterations=2) & (lesion.extent["et"] < 0.2)
    deep = shell & (anatomy.depth > 15)
    assert deep.sum() > 20
    assert tissue.detail[deep].mean() < 0.7 * anatomy.depth[deep].mean()
    far = (np.abs(tissue.detail - anatomy.depth) < 0.5) & (anatomy.brain > 0.9)
    assert far.sum() > 0.6 * (anatomy.brain > 0.9).sum()


def test_a_null_control_has_the_same_mask_and_untouched_tissue(anatomy):
    moved, kept = fresh(anatomy), fresh(anatomy)
    shown = grow(moved, 2, mass_effect=0.6, displace=True)
    null = grow(kept, 2, mass_effect=0.6, displace=False)
    for part in KIND.parts:
        np.testing.assert_array_equal(shown.extent[part], null.extent[part])
    np.testing.assert_array_equal(kept.wm, anatomy.wm)
    assert np.abs(moved.wm - anatomy.wm).max() > 0.3


def test_later_visits_grow_at_the_same_site(anatomy):
    now, later = (grow(anatomy, 7, growth=growth, volume_ml=10, volume_spread=0, oedema=0) for growth in (1.0, 1.6))
    first, second = (lesion.extent["et"] + lesion.extent["netc"] for lesion in (now, later))
    assert ml(second) / ml(first) == pytest.approx(1.6, rel=0.1)
    assert np.minimum(first, second).sum() > 0.9 * first.sum()


def test_controls_have_none(anatomy):
    extent = grow(anatomy, affected=False).extent
    assert set(extent) == set(KIND.parts)
    assert max(values.max() for values in extent.values()) == 0


def test_enhances_brightly_and_is_near_grey_matter_without_contrast():
    parameters = PhantomParameters(lesion={"volume_ml": 30, "volume_spread": 0, "core": 0})
    subject = make_subject(Examination(0, "x", 1), 4.0, "meningioma", parameters)
    where = make_centre("x", "A", Scanner(blur_mm=0, slice_mm=0, bias=0), None)
    inside, grey = subject.lesion.extent["et"] > 0.95, subject.tissue.gm > 0.9
    grey &= np.sum(list(subject.lesion.extent.values()), axis=0) == 0
    ratio = {m: np.median((s := subject.scan(m, where))[inside]) / np.median(s[grey]) for m in ("t1", "t1c")}
    assert ratio["t1"] == pytest.approx(1, abs=0.12)
    assert ratio["t1c"] > 1.9


def test_the_same_tumour_at_every_voxel_size():
    coarse, fine = (make_subject(Examination(0, "x", 4), mm, "meningioma", PhantomParameters()) for mm in (4.0, 2.0))
    volumes = [float(s.lesion.extent["et"].sum()) * s.tissue.grid.spacing**3 / 1000 for s in (coarse, fine)]
    assert volumes[0] == pytest.approx(volumes[1], rel=0.02)
