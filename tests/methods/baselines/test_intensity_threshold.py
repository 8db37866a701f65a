"""Histogram equalisation against scipy's ranks and scikit-image, and the map built from it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata

from cerebench.api import PredictContext
from cerebench.testing import assert_conforms, mock_case
from cerebench_methods.baselines.intensity_threshold import IntensityThreshold, equalise

SPACING = (4.0, 4.0, 4.0)


def score(images: torch.Tensor, brain: torch.Tensor, **settings: str) -> torch.Tensor:
    method = IntensityThreshold(IntensityThreshold.settings_for("quick", settings))
    context = PredictContext(brain, SPACING, ("flair",), torch.device("cpu"), seed=0)
    maps = method.predict(images, context).maps
    assert maps is not None
    return maps


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=200))
def test_equalised_values_are_scipy_ranks(values: list[float]) -> None:
    array = np.array(values, dtype=np.float32)

    found = equalise(torch.from_numpy(array)).numpy()

    np.testing.assert_allclose(found, rankdata(array, method="max") / len(array), rtol=1e-6)


def test_agrees_with_scikit_image_up_to_its_bins() -> None:
    """scikit-image equalises in bins and interpolates between their centres: one bin's share may differ."""
    exposure = pytest.importorskip("skimage.exposure")
    generator = np.random.default_rng(0)
    image = generator.gamma(3.0, size=(24, 30, 16)).astype(np.float32)
    brain = generator.random(image.shape) < 0.6
    bins = 4096

    ours = score(torch.from_numpy(image)[None, None], torch.from_numpy(brain)[None])[0].numpy()
    reference = exposure.equalize_hist(image, nbins=bins, mask=brain)

    counts, _ = np.histogram(image[brain], bins=bins)
    np.testing.assert_allclose(ours[brain], reference[brain], atol=2 * counts.max() / brain.sum())


def test_outside_the_brain_is_zero_and_has_no_say() -> None:
    image = torch.rand(1, 1, 6, 7, 8, generator=torch.Generator().manual_seed(0))
    brain = torch.zeros(1, 6, 7, 8, dtype=torch.bool)
    brain[:, 2:5, 2:5, 2:6] = True
    other = torch.where(brain[:, None], image, torch.full_like(image, 9.0))

    maps = score(image, brain)

    assert torch.equal(maps, score(other, brain))
    assert maps[~brain].abs().max() == 0
    assert maps[brain].max() == 1
    assert torch.equal(maps[brain].argsort(), image[:, 0][brain].argsort())


@pytest.mark.parametrize(("polarity", "highest"), [("bright", 9), ("dark", 0), ("extreme", 0), ("extreme", 9)])
def test_polarity(polarity: str, highest: int) -> None:
    image = torch.arange(10.0).reshape(1, 1, 10, 1, 1) / 10

    maps = score(image, torch.ones(1, 10, 1, 1, dtype=torch.bool), polarity=polarity).flatten()

    assert maps[highest] == maps.max()
    if polarity == "extreme":
        torch.testing.assert_close(maps, (torch.arange(10) - 4.5).abs() / 5)


def test_case_without_brain_scores_zero() -> None:
    brain = torch.zeros(2, 3, 3, 3, dtype=torch.bool)
    brain[1] = True

    maps = score(torch.rand(2, 1, 3, 3, 3), brain)

    assert maps[0].abs().max() == 0
    assert maps[1].max() == 1


def test_dark_lesions_are_not_found_by_the_bright_polarity() -> None:
    """The method's known limit, and that the setting lifts it."""
    from sklearn.metrics import average_precision_score

    case = mock_case(IntensityThreshold.info, 3, label=1)
    image = torch.from_numpy(case.volume.image)[None]
    brain = torch.from_numpy(case.volume.brain)[None]
    image[0, 0][torch.from_numpy(case.lesion)] = 0.01
    truth = case.lesion[case.volume.brain]

    bright = average_precision_score(truth, score(image, brain)[brain].numpy())
    dark = average_precision_score(truth, score(image, brain, polarity="dark")[brain].numpy())

    assert dark > 0.9 > 0.1 > bright


def test_conforms() -> None:
    assert_conforms(IntensityThreshold)
