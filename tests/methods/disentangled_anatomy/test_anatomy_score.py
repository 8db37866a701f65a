"""The hybrid score: SSIM against scikit-image, its three forms by hand, smoothing."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, median_filter
from skimage.metrics import structural_similarity

from cerebench_methods.disentangled_anatomy.score import dissimilarity, hybrid_score


def volumes() -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(0)
    image = gaussian_filter(rng.random((24, 26, 22)), 1.0)
    return tuple(torch.from_numpy(one).float()[None, None] for one in (image, image + 0.1 * rng.random(image.shape)))


def settings(**changed: object) -> SimpleNamespace:
    return SimpleNamespace(**{"score": "product", "ssim_window": 5, "smoothing_mm": 0.0, "median": 1, **changed})


def test_dissimilarity_is_one_minus_scikit_images_ssim() -> None:
    image, other = volumes()

    mine = dissimilarity(image, other, 11)[0, 0].numpy()

    _, reference = structural_similarity(
        image[0, 0].numpy().astype(float),
        other[0, 0].numpy().astype(float),
        data_range=1.0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
        win_size=11,
    )
    inside = (slice(6, -6),) * 3
    assert mine[inside] == pytest.approx(1 - reference[inside], abs=1e-3)


def test_forms_of_the_score() -> None:
    image, other = volumes()
    difference = (image - other).abs()
    unlike = dissimilarity(image, other, 5)

    torch.testing.assert_close(hybrid_score(image, other, settings(score="difference"), (1, 1, 1)), difference)
    torch.testing.assert_close(hybrid_score(image, other, settings(score="ssim"), (1, 1, 1)), unlike)
    torch.testing.assert_close(hybrid_score(image, other, settings(), (1, 1, 1)), difference * unlike)
    assert hybrid_score(image, image, settings(), (1, 1, 1)).abs().max() < 1e-6


def test_smoothing_is_scipys() -> None:
    image, other = volumes()
    given = settings(score="difference", smoothing_mm=2.0, median=3)

    mine = hybrid_score(image, other, given, (2.0, 2.0, 2.0))[0, 0].numpy()

    smooth = gaussian_filter((image - other).abs()[0, 0].numpy().astype(float), 1.0, mode="constant", truncate=4.0)
    inside = (slice(5, -5),) * 3
    # the library integrates the Gaussian over each voxel, scipy samples it
    assert mine[inside] == pytest.approx(median_filter(smooth, 3)[inside], abs=1e-3)
