"""Stroke: territories, wedges and lacunes, volumes, stages and how they show, visits, controls."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from cerebench_datasets.insilico.anatomy import make_anatomy
from cerebench_datasets.insilico.centres import make_centre
from cerebench_datasets.insilico.fields import Grid
from cerebench_datasets.insilico.kinds.kind import Draw
from cerebench_datasets.insilico.kinds.stroke import KIND, Stroke, grow_stroke
from cerebench_datasets.insilico.kinds.territories import TERRITORIES, margin
from cerebench_datasets.insilico.lesion import label_map, label_values
from cerebench_datasets.insilico.parameters import Anatomy, PhantomParameters, Scanner
from cerebench_datasets.insilico.streams import stream
from cerebench_datasets.insilico.subject import Examination, make_subject

SPACING = 3.0
WEDGE = {"lacunar": 0.0, "scattered": 0.0, "satellites": 0.0, "old_lacunes": 0.0}
SCATTERED = WEDGE | {"scattered": 1.0}
LACUNE = WEDGE | {"lacunar": 1.0}


@pytest.fixture(scope="module")
def anatomy():
    return make_anatomy(stream(0), Anatomy(), Grid.covering(SPACING))


def grow(tissue, seed=1, growth=1.0, affected=True, **parameters):
    draw = Draw(stream(seed), tissue, stream("visit"), growth=growth, affected=affected)
    return grow_stroke(draw, Stroke(**parameters))


def total(lesion):
    return np.sum(list(lesion.extent.values()), axis=0)


def ml(values):
    return float(values.sum()) * SPACING**3 / 1000


def at(grid, values, point):
    index = tuple(int(np.abs(axis - where).argmin()) for axis, where in zip(grid.axes, point, strict=True))
    return values[index]


@pytest.mark.parametrize(
    ("point", "name"),
    [
        ((50, 10, 15), "mca-superior"),  # inferior frontal gyrus
        ((45, -20, 50), "mca-superior"),  # hand area
        ((60, -25, 0), "mca-inferior"),  # superior temporal gyrus
        ((5, 20, 50), "aca"),  # medial frontal
        ((10, -80, 5), "pca"),  # calcarine cortex
        ((25, 4, 2), "mca-deep"),  # putamen
        ((10, -18, 8), "pca-deep"),  # thalamus
        ((25, -60, -38), "cerebellum"),
        ((4, -26, -35), "brainstem"),  # pons
    ],
)
def test_landmarks_lie_in_their_territory_on_both_sides(point, name):
    grid = Grid.covering(4.0)
    for side in (1, -1):
        where = (point[0] * side, *point[1:])
        margins = {each: float(at(grid, margin(each, side, grid), where)) for each in TERRITORIES}
        assert max(margins, key=margins.__getitem__) == name
        assert margins[name] > 0
        assert at(grid, margin(name, -side, grid), where) < 0


def test_territories_do_not_overlap():
    grid = Grid.covering(4.0)
    inside = sum((margin(name, side, grid) > 1).astype(int) for name in TERRITORIES for side in (1, -1))
    assert inside.max() == 1


@pytest.mark.parametrize("stage", ["acute", "chronic"])
@pytest.mark.parametrize("seed", range(4))
def test_wedge_volume_follows_the_parameter_on_one_side(anatomy, seed, stage):
    extent = total(grow(anatomy, seed, stage=stage, volume_ml=20, volume_spread=0, **WEDGE))
    assert ml(extent) == pytest.approx(20, rel=0.3)
    assert extent.max() <= 1 + 1e-5
    x = np.broadcast_to(anatomy.grid.axes[0][:, None, None], extent.shape)
    side = np.sign(np.average(x, weights=extent))
    assert extent[x * side < -3].sum() < 0.02 * extent.sum()


def test_volumes_are_skewed_as_in_a_cohort(anatomy):
    # 655 chronic cases: median 5 ml, from 0.01 to 497 ml
    volumes = [ml(total(grow(anatomy, seed))) for seed in range(40)]
    assert 1.5 < np.median(volumes) < 9
    assert np.mean(volumes) > 2 * np.median(volumes)
    assert min(volumes) < 0.5
    assert max(volumes) > 60


def test_wedges_reach_the_cortex_and_narrow_inwards(anatomy):
    shallow, deep = [], []
    for seed in range(12):
        extent = total(grow(anatomy, seed, stage="acute", volume_ml=15, volume_spread=0, **WEDGE)) > 0.5
        depth = anatomy.depth[extent]
        if depth.min() > 12:
            continue  # striatocapsular
        shallow.append((depth < 14).mean())
        deep.append((depth > 24).mean())
    assert len(shallow) >= 8
    assert np.mean(shallow) > 0.5 > 0.2 > np.mean(deep)


def test_large_infarcts_stay_in_the_territory(anatomy):
    inside = []
    for seed in range(6):
        extent = total(grow(anatomy, seed, volume_ml=60, volume_spread=0, **WEDGE)) > 0.5
        margins = [margin(name, side, anatomy.grid)[extent] for name in TERRITORIES for side in (1, -1)]
        counts = np.sort([(each > -6).mean() for each in margins])
        inside.append(counts[-1])
    assert np.mean(inside) > 0.85


def test_lacunes_are_small_and_deep(anatomy):
    for seed in range(6):
        extent = total(grow(anatomy, seed, stage="acute", **LACUNE))
        assert 0.05 < ml(extent) < 2.5
        x, y, z = (np.average(axis, weights=extent) for axis in np.meshgrid(*anatomy.grid.axes, indexing="ij"))
        assert 0 < abs(x) < 40
        assert -60 < y < 32
        assert z < 45


def test_scattered_infarcts_have_many_components(anatomy):
    components = [
        ndimage.label(total(grow(anatomy, seed, stage="acute", volume_ml=5, volume_spread=0, **SCATTERED)) > 0.2)[1]
        for seed in range(6)
    ]
    assert 4 <= np.median(components) <= 25
    volume = ml(total(grow(anatomy, 2, stage="acute", volume_ml=5, volume_spread=0, **SCATTERED)))
    assert volume == pytest.approx(5, rel=0.5)


def test_stages_have_their_own_parts(anatomy):
    def parts(**parameters):
        lesion = grow(anatomy, 3, volume_ml=20, volume_spread=0, **WEDGE, **parameters)
        return [part for part in KIND.parts if lesion.extent[part].max() > 0.5]

    assert parts(stage="acute", early=0) == ["infarct"]
    assert parts(stage="acute", early=1) == ["early"]
    assert parts(stage="chronic") == ["cavity", "gliosis"]


def test_the_cavity_lies_within_the_scar(anatomy):
    shares = []
    for seed in range(6):
        lesion = grow(anatomy, seed, volume_ml=30, volume_spread=0, cavitation=0.4, **WEDGE)
        cavity, scar = (lesion.extent[part] for part in ("cavity", "gliosis"))
        shares.append(cavity.sum() / total(lesion).sum())
        # no cavity without a scar beside it, but for the brain's surface and fluid
        shell = ndimage.binary_dilation(cavity > 0.5) & (cavity < 0.5) & (anatomy.wm > 0.5)
        assert (scar + cavity)[shell].mean() > 0.4
    assert 0.2 < np.mean(shares) < 0.6


def test_later_visits_keep_site_and_pattern(anatomy):
    for pattern in (WEDGE, SCATTERED, LACUNE):
        first, second = (
            total(grow(anatomy, 8, growth=growth, stage="acute", volume_ml=10, volume_spread=0, **pattern))
            for growth in (1.0, 1.4)
        )
        assert second.sum() > 1.1 * first.sum()
        assert np.minimum(first, second).sum() > 0.85 * first.sum()


def test_controls_have_none(anatomy):
    extent = grow(anatomy, affected=False).extent
    assert set(extent) == set(KIND.parts)
    assert max(values.max() for values in extent.values()) == 0


@pytest.fixture(scope="module")
def scanned():
    """Stage → subject and its scans, with a large infarct and a perfect scanner."""
    where = make_centre("x", "A", Scanner(blur_mm=0, slice_mm=0, bias=0, snr=1000), None)
    found = {}
    for stage, early in (("acute", 0), ("acute", 1), ("chronic", 0)):
        block = {"stage": stage, "early": early, "volume_ml": 60, "volume_spread": 0, **WEDGE}
        subject = make_subject(Examination(0, "x", 2), 4.0, "stroke", PhantomParameters(lesion=block))
        found[stage if not early else "early"] = (
            subject,
            {modality: subject.scan(modality, where) for modality in ("t1", "flair", "dwi", "adc")},
        )
    return found


def test_each_stage_shows_as_it_should(scanned):
    def ratio(stage, modality, part):
        subject, scans = scanned[stage]
        healthy = (subject.tissue.wm > 0.9) & (total(subject.lesion) == 0)
        inside = subject.lesion.extent[part] > 0.9
        return float(np.median(scans[modality][inside]) / np.median(scans[modality][healthy]))

    assert ratio("acute", "dwi", "infarct") > 1.5
    assert ratio("acute", "adc", "infarct") < 0.85
    assert ratio("acute", "flair", "infarct") > 1.2
    assert ratio("early", "dwi", "early") > 1.25
    assert ratio("early", "flair", "early") < 1.2
    assert ratio("chronic", "t1", "cavity") < 0.6 < ratio("chronic", "t1", "gliosis") < 0.9
    assert ratio("chronic", "flair", "cavity") < 0.7 < 1.1 < ratio("chronic", "flair", "gliosis")
    assert ratio("chronic", "adc", "cavity") > 2


@pytest.mark.parametrize("stage", ["acute", "chronic"])
def test_the_null_control_keeps_the_mask_and_shows_nothing(scanned, stage):
    block = {"stage": stage, "early": 0, "volume_ml": 60, "volume_spread": 0, **WEDGE}
    hidden = make_subject(Examination(0, "x", 2), 4.0, "stroke", PhantomParameters(lesion=block, lesion_contrast=0))
    healthy = make_subject(Examination(0, "x", 2), 4.0, "none", PhantomParameters())
    where = make_centre("x", "A", Scanner(), None)
    for modality in ("t1", "dwi", "adc"):
        np.testing.assert_array_equal(hidden.scan(modality, where, 0.0), healthy.scan(modality, where))
    labels = label_values("stroke", KIND.parts, [1], [1], None, "c")
    shown = scanned[stage][0]
    masks = [label_map(each.lesion.extent, each.brain, labels) for each in (shown, hidden)]
    np.testing.assert_array_equal(*masks)
    assert set(np.unique(masks[0])) == {0, 1}
