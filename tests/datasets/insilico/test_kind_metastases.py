"""Metastases: counts, sizes, places, numbers that last, growth of each, masks that lose none."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from cerebench.errors import UsageError
from cerebench_datasets.insilico.anatomy import make_anatomy
from cerebench_datasets.insilico.fields import Grid
from cerebench_datasets.insilico.kinds.kind import Draw
from cerebench_datasets.insilico.kinds.metastases import KIND, Metastases, grow_metastases
from cerebench_datasets.insilico.lesion import label_map, label_values
from cerebench_datasets.insilico.parameters import Anatomy, PhantomParameters
from cerebench_datasets.insilico.streams import stream
from cerebench_datasets.insilico.subject import Examination, make_subject

SPACING = 3.0
ENHANCING_AND_CORE = {"et": 1, "netc": 2, "snfh": 0}


@pytest.fixture(scope="module")
def tissue():
    return make_anatomy(stream(0), Anatomy(), Grid.covering(SPACING))


def grow(tissue, seed=1, growth=1.0, visit=0, affected=True, **parameters):
    draw = Draw(stream(seed), tissue, stream("visit", visit), growth=growth, affected=affected)
    return grow_metastases(draw, Metastases(**parameters))


def solid_ml(lesion, spacing=SPACING):
    return float((lesion.extent["et"] + lesion.extent["netc"]).sum()) * spacing**3 / 1000


def test_count_and_volume_follow_the_parameters(tissue):
    lesion = grow(tissue, count=6, count_spread=0, diameter_mm=16, diameter_spread=0, oedema=0)
    assert np.unique(lesion.numbers).tolist() == [0, 1, 2, 3, 4, 5, 6]
    # the surface and random bulges take a little of the six balls
    assert solid_ml(lesion) == pytest.approx(6 * np.pi / 6 * 1.6**3, rel=0.2)
    assert lesion.extent["snfh"].sum() == 0


def test_counts_are_skewed_as_in_cohorts(tissue):
    # 9.2 a scan in UCSF-BMSR, where many have one to three and some dozens
    counts = np.array([grow(tissue, seed, diameter_mm=4, oedema=0).numbers.max() for seed in range(40)])
    assert 0.25 < (counts <= 3).mean() < 0.55
    assert 0.12 < (counts > 10).mean() < 0.42
    assert np.mean(counts) > 1.3 * np.median(counts)


def test_large_ones_are_rings_and_small_ones_solid(tissue):
    large = grow(tissue, count=3, count_spread=0, diameter_mm=26, diameter_spread=0, oedema=0)
    core = large.extent["netc"] > 0.5
    assert core.sum() * SPACING**3 / 1000 > 1
    shell = ndimage.binary_dilation(core) & ~core & (tissue.brain > 0.9)
    assert large.extent["et"][shell].mean() > 0.5
    assert grow(tissue, count=8, count_spread=0, diameter_mm=6, diameter_spread=0).extent["netc"].max() == 0


def test_oedema_prefers_white_matter_and_parts_never_exceed_the_voxel(tissue):
    lesion = grow(tissue, count=4, count_spread=0, diameter_mm=15, oedema=1, oedema_ratio=6)
    snfh = lesion.extent["snfh"]
    assert snfh.sum() * SPACING**3 / 1000 > 2 * solid_ml(lesion)
    assert (snfh * tissue.wm).sum() / snfh.sum() > 1.3 * tissue.wm.sum() / tissue.brain.sum()
    assert (snfh * tissue.csf).sum() / snfh.sum() < 0.1
    assert np.sum(list(lesion.extent.values()), axis=0).max() <= 1 + 1e-5
    for part, values in lesion.shown.items():
        assert (values <= lesion.extent[part] + 1e-5).all()


def test_places_are_the_junction_or_the_cerebellum(tissue):
    _, y, _ = np.meshgrid(*tissue.grid.axes, indexing="ij")
    small = {"count": 40, "count_spread": 0, "diameter_mm": 4, "diameter_spread": 0, "oedema": 0}
    cerebral, cerebellar = (grow(tissue, cerebellar=share, **small).extent["et"] for share in (0.0, 1.0))
    low = (tissue.template_z < -18) & (y < -35)
    assert cerebellar[low].sum() > 0.95 * cerebellar.sum()
    assert cerebral[low].sum() < 0.1 * cerebral.sum()
    mean_depth = float((cerebral * tissue.depth).sum() / cerebral.sum())
    assert 6 < mean_depth < 20
    grey, white = ((cerebral * values).sum() / cerebral.sum() for values in (tissue.gm, tissue.wm))
    assert min(grey, white) > 0.25


def test_metastases_keep_their_number_and_grow_each_at_its_own_rate():
    parameters = PhantomParameters(lesion={"count": 6, "count_spread": 0, "diameter_mm": 14, "oedema": 0})
    visits = [make_subject(Examination(0, "x", 3, visit), 5.0, "metastases", parameters).lesion for visit in (0, 1)]
    centres, volumes = [], []
    for lesion in visits:
        solid = lesion.extent["et"] + lesion.extent["netc"]
        centres.append(np.array(ndimage.center_of_mass(solid, lesion.numbers, range(1, 7))))
        volumes.append(ndimage.sum(solid, lesion.numbers, range(1, 7)))
    assert np.abs(centres[0] - centres[1]).max() * 5.0 < 5
    ratio = volumes[1] / volumes[0]
    assert ratio.std() > 0.1
    assert volumes[0].argmax() == 0


def test_every_numbered_lesion_is_in_the_mask_even_where_voxels_are_coarse():
    parameters = PhantomParameters(lesion={"count": 12, "count_spread": 0, "diameter_mm": 4, "diameter_spread": 0.1})
    subject = make_subject(Examination(0, "x", 5), 6.0, "metastases", parameters)
    mask = label_map(subject.lesion.extent, subject.brain, ENHANCING_AND_CORE, subject.lesion.numbers)
    assert mask.dtype == np.uint16
    assert sorted({int(value) // 10 for value in np.unique(mask[mask > 0])}) == list(range(1, 13))
    assert set(np.unique(mask % 10)) <= {0, 1, 2}


def test_a_part_may_be_shown_without_a_label(tissue):
    lesion = grow(tissue, count=2, count_spread=0, diameter_mm=20, oedema=1)
    brain = tissue.brain > 0.5
    marked = label_map(lesion.extent, brain, ENHANCING_AND_CORE, lesion.numbers) > 0
    oedema_alone = lesion.extent["snfh"] > 0.99
    assert oedema_alone.any()
    assert not (marked & oedema_alone).any()
    assert label_values("metastases", KIND.parts, [1, 2], {1, 2}, ENHANCING_AND_CORE, "c") == ENHANCING_AND_CORE
    with pytest.raises(UsageError, match="to 0 for none"):
        label_values("metastases", KIND.parts, [1, 2], {1, 2}, None, "c")


def test_controls_have_none(tissue):
    lesion = grow(tissue, affected=False)
    assert all(values.max() == 0 for values in lesion.extent.values())
    assert set(lesion.extent) == set(KIND.parts)


def test_the_same_patient_at_two_voxel_sizes():
    parameters = PhantomParameters(lesion={"count": 5, "count_spread": 0.5, "diameter_mm": 15})
    fine, coarse = (make_subject(Examination(0, "x", 8), mm, "metastases", parameters) for mm in (2.0, 4.0))
    assert fine.lesion.numbers.max() == coarse.lesion.numbers.max()
    assert solid_ml(fine.lesion, 2.0) == pytest.approx(solid_ml(coarse.lesion, 4.0), rel=1e-3)
