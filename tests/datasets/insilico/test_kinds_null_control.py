"""Null control of the kinds: no contrast draws the healthy image below the same mask; with it the lesion shows."""

from __future__ import annotations

import numpy as np
import pytest

from cerebench_datasets.insilico.centres import make_centre
from cerebench_datasets.insilico.parameters import PhantomParameters, Scanner
from cerebench_datasets.insilico.subject import Examination, make_subject

SPACING = 6.0


@pytest.mark.parametrize(
    ("kind", "modality", "part", "brighter"),
    [
        ("metastases", "t1c", "et", 1.15),
        ("metastases", "flair", "snfh", 1.1),
        ("wmh", "flair", "wmh", 1.1),
        ("necrosis", "t1c", "et", 1.1),
        ("necrosis", "t2", "ed", 1.1),
    ],
)
def test_zero_contrast_leaves_the_healthy_image_and_the_mask(kind, modality, part, brighter):
    centre = make_centre("x", "A", Scanner(blur_mm=0, slice_mm=0), None)
    large = {"metastases": {"diameter_mm": 22, "oedema": 1, "count": 6}, "wmh": {"volume_ml": 40}, "necrosis": {}}
    on, off = (PhantomParameters(lesion=large[kind], lesion_contrast=contrast) for contrast in (1, 0))
    person = Examination(0, "x", 2)
    subjects = [make_subject(person, SPACING, kind, parameters) for parameters in (on, off)]
    healthy = make_subject(person, SPACING, "none", PhantomParameters()).scan(modality, centre)
    shown, hidden = (
        subject.scan(modality, centre, contrast) for subject, contrast in zip(subjects, (1.0, 0.0), strict=True)
    )
    np.testing.assert_array_equal(hidden, healthy)
    for name, values in subjects[0].lesion.extent.items():
        np.testing.assert_array_equal(values, subjects[1].lesion.extent[name])
    share = subjects[0].lesion.extent[part]
    much = share >= np.sort(share, axis=None)[-8]
    assert shown[much].mean() > brighter * healthy[much].mean()
    assert not (share[~subjects[0].brain] > 0.5).any()
