"""Lesions: volumes, places, null control, values in the mask."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from cerebench.errors import UsageError
from cerebench_datasets.insilico.anatomy import make_anatomy
from cerebench_datasets.insilico.fields import Grid
from cerebench_datasets.insilico.kinds.glioma import Glioma, grow_glioma
from cerebench_datasets.insilico.kinds.kind import Draw
from cerebench_datasets.insilico.kinds.plaques import Plaques, grow_plaques
from cerebench_datasets.insilico.kinds.table import kind_named
from cerebench_datasets.insilico.lesion import label_map, label_values
from cerebench_datasets.insilico.parameters import Anatomy, PhantomParameters
from cerebench_datasets.insilico.streams import stream
from cerebench_datasets.insilico.subject import Examination, make_subject

SPACING = 3.0


@pytest.fixture
def tissue():
    return make_anatomy(stream(0), Anatomy(), Grid.covering(SPACING))


def millilitres(fraction: np.ndarray) -> float:
    return float(fraction.sum()) * SPACING**3 / 1000


def test_glioma_volumes_follow_the_parameters(tissue):
    parts = grow_glioma(Draw(stream(1), tissue, stream(0)), Glioma(volume_ml=60, volume_spread=0, mass_effect=0)).extent
    assert sum(map(millilitres, parts.values())) == pytest.approx(60, rel=0.2)
    assert np.sum(list(parts.values()), axis=0).max() <= 1 + 1e-5


@pytest.mark.parametrize("seed", range(4))
def test_rim_encloses_the_necrosis_and_oedema_the_rim(tissue, seed):
    extent = grow_glioma(Draw(stream(seed), tissue, stream(0)), Glioma(volume_spread=0.2)).extent
    necrosis, core = extent["ncr"] > 0.5, extent["ncr"] + extent["et"] > 0.5
    assert ndimage.label(core)[1] == 1
    for inner, outer in ((necrosis, extent["et"]), (core, extent["ed"])):
        shell = ndimage.binary_dilation(inner) & ~inner & (tissue.brain > 0.9)
        assert outer[shell].mean() > 0.25


def test_mass_effect_moves_tissue_but_not_the_head(tissue):
    before = {name: getattr(tissue, name).copy() for name in ("brain", "wm", "csf", "gm")}
    grow_glioma(Draw(stream(2), tissue, stream(0)), Glioma(mass_effect=0.4))
    np.testing.assert_array_equal(tissue.brain, before["brain"])
    assert np.abs(tissue.wm - before["wm"]).max() > 0.3
    total = tissue.csf + tissue.gm + tissue.wm
    np.testing.assert_allclose(total, tissue.brain, atol=0.02)


def test_zero_mass_effect_moves_nothing(tissue):
    before = tissue.wm.copy()
    grow_glioma(Draw(stream(2), tissue, stream(0)), Glioma(mass_effect=0))
    np.testing.assert_array_equal(tissue.wm, before)


def test_plaques_lie_where_they_should(tissue):
    tight = Plaques(count=150, count_spread=0, volume_ml=0.03, volume_spread=0)
    near = grow_plaques(
        Draw(stream(4), tissue, stream(0)), tight.model_copy(update={"periventricular": 1.0, "juxtacortical": 0.0})
    )
    cortical = grow_plaques(
        Draw(stream(4), tissue, stream(0)), tight.model_copy(update={"periventricular": 0.0, "juxtacortical": 1.0})
    )

    def weighted(parts, values):
        return float((parts.extent["plaque"] * values).sum() / parts.extent["plaque"].sum())

    assert weighted(near, tissue.ventricle_distance) < 8
    assert weighted(cortical, tissue.ventricle_distance) > 18
    assert weighted(cortical, tissue.depth) < 14 < weighted(near, tissue.depth)


def test_plaque_volume_and_count_follow_the_parameters(tissue):
    load = Plaques(count=40, count_spread=0, volume_ml=0.3, volume_spread=0, periventricular=0, juxtacortical=0)
    plaques = grow_plaques(Draw(stream(5), tissue, stream(0)), load)
    assert millilitres(plaques.extent["plaque"]) == pytest.approx(40 * 0.3, rel=0.25)
    severity = millilitres(plaques.shown["plaque"]) / millilitres(plaques.extent["plaque"])
    assert severity == pytest.approx(0.8, abs=0.07)
    assert 20 <= ndimage.label(plaques.extent["plaque"] > 0)[1] <= 40


@pytest.mark.parametrize(
    ("lesion", "modality"), [("glioma", "flair"), ("glioma", "t1c"), ("ms", "flair"), ("ms", "t2")]
)
def test_lesions_show_and_the_null_control_does_not(lesion, modality):
    from cerebench_datasets.insilico.centres import make_centre
    from cerebench_datasets.insilico.parameters import Scanner

    shown, hidden = PhantomParameters(), PhantomParameters(lesion_contrast=0)
    centre = make_centre("x", "A", Scanner(blur_mm=0, slice_mm=0), None)
    subjects = [
        make_subject(Examination(0, "x", 1), 4.0, kind, p)
        for p, kind in ((shown, lesion), (hidden, lesion), (hidden, "none"))
    ]
    lesioned, null, healthy = (
        subject.scan(modality, centre, p.lesion_contrast)
        for subject, p in zip(subjects, (shown, hidden, hidden), strict=True)
    )
    np.testing.assert_array_equal(null, healthy)
    extents = [np.sum(list(subject.lesion.extent.values()), axis=0) for subject in subjects[:2]]
    np.testing.assert_array_equal(*extents)
    part = subjects[0].lesion.extent["et"] if modality == "t1c" else extents[0]
    assert lesioned[part > 0.7].mean() > 1.15 * null[part > 0.7].mean()
    if lesion == "ms":
        untouched = extents[0] == 0
        np.testing.assert_array_equal(lesioned[untouched], null[untouched])


def test_default_label_values_by_number_of_labels():
    parts = kind_named("glioma").parts
    assert label_values("glioma", parts, [4, 1, 2], [4, 1, 2], None, "c") == {"ncr": 1, "ed": 2, "et": 4}
    assert label_values("glioma", parts, [1], [1], None, "c") == {"ncr": 1, "ed": 1, "et": 1}
    assert label_values("ms", kind_named("ms").parts, [7], [7], None, "c") == {"plaque": 7}
    chosen = {"ncr": 2, "ed": 4, "et": 1}
    assert label_values("glioma", parts, [1, 2, 3, 4], [1, 2, 3, 4], chosen, "c") == chosen


@pytest.mark.parametrize("chosen", [None, {"ncr": 1, "ed": 2}, {"ncr": 1, "ed": 2, "et": 9}])
def test_labels_that_do_not_fit_are_one_clear_sentence(chosen):
    with pytest.raises(UsageError, match=r"card 'c'.*tissue_labels"):
        label_values("glioma", kind_named("glioma").parts, [1, 2, 3, 4], [1, 2, 3, 4], chosen, "c")


def test_a_lesion_smaller_than_a_voxel_marks_one_voxel():
    fraction = np.zeros((4, 4, 4), np.float32)
    fraction[1, 2, 3], fraction[0, 0, 0] = 0.2, 0.4
    brain = np.ones((4, 4, 4), bool)
    brain[0, 0, 0] = False
    mask = label_map({"plaque": fraction}, brain, {"plaque": 1})
    assert np.argwhere(mask).tolist() == [[1, 2, 3]]
