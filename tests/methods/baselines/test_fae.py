"""Feature autoencoder: SSIM against its definition, spread against numpy, shapes, a frozen encoder, learning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from cerebench.api import FitRun
from cerebench.testing import assert_conforms, mock_volumes
from cerebench_methods.baselines.fae import FeatureAutoencoder
from cerebench_methods.baselines.fae_network import dissimilarity, feature_autoencoder, spread

SHAPE, SPACING = (32, 40), (4.0, 4.0)


def built(preset: str = "mock", **settings: Any) -> FeatureAutoencoder:
    torch.manual_seed(0)
    method = FeatureAutoencoder(FeatureAutoencoder.settings_for(preset, settings))
    method.build(("t2",), SHAPE, SPACING)
    return method


def ssim_by_definition(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Wang et al. 2004 with scipy's Gaussian of 5 x 5 and mirrored borders, range 1."""

    def blur(image: np.ndarray) -> np.ndarray:
        return np.asarray(gaussian_filter(image, 1.5, mode="mirror", truncate=1.4))

    mean, mean_other = blur(one), blur(other)
    variance, variance_other = blur(one**2) - mean**2, blur(other**2) - mean_other**2
    covariance = blur(one * other) - mean * mean_other
    luminance = (2 * mean * mean_other + 0.01**2) / (mean**2 + mean_other**2 + 0.01**2)
    return luminance * (2 * covariance + 0.03**2) / (variance + variance_other + 0.03**2)


def test_dissimilarity_is_one_minus_ssim_by_its_definition() -> None:
    generator = np.random.default_rng(0)
    one = generator.random((2, 3, 18, 20))
    other = 0.6 * one + 0.4 * generator.random((2, 3, 18, 20))

    found = dissimilarity(torch.from_numpy(one).float(), torch.from_numpy(other).float()).numpy()

    assert found.shape == one.shape
    for item, channel in np.ndindex(2, 3):
        expected = 1 - ssim_by_definition(one[item, channel], other[item, channel])
        np.testing.assert_allclose(found[item, channel], expected, atol=1e-4)


def test_equal_features_are_not_dissimilar() -> None:
    features = torch.rand(1, 2, 8, 8)

    assert dissimilarity(features, features).abs().max() < 1e-5


def test_spread_is_the_standard_deviation_of_each_channel() -> None:
    values = 50 + np.random.default_rng(0).normal(size=(7, 4, 5, 6)) * np.array([1, 2, 3, 0])[:, None, None]

    found = spread([torch.from_numpy(values[:3]).float(), torch.from_numpy(values[3:]).float()]).numpy()

    np.testing.assert_allclose(found[:3], values.std((0, 2, 3))[:3], rtol=1e-4)
    assert 0 < found[3] < 1e-3


@pytest.mark.parametrize("size", [(16, 16), (24, 16), (10, 14)])
def test_autoencoder_gives_at_least_the_size(size: tuple[int, int]) -> None:
    network = feature_autoencoder(5, (6, 7, 8), 0.1).eval()

    with torch.no_grad():
        shape = network(torch.rand(2, 5, *size)).shape

    assert shape[:2] == (2, 5)
    assert all(0 <= side - wanted < 8 for side, wanted in zip(shape[2:], size, strict=True))


def test_features_are_stacked_at_the_size_of_level_1() -> None:
    method = built(features=10_000)
    images = torch.rand(2, 1, *SHAPE)

    found = method.embed(images)

    assert found.shape == (2, sum(method.encoder.channels[:3]), *method.encoder.grid(1))
    start = method.encoder.channels[0]
    torch.testing.assert_close(found[:, start : start + 8], method.levels(images)[1])


def test_training_leaves_the_encoder_alone_and_learns(tmp_path: Path) -> None:
    method = built()
    frozen = {key: value.clone() for key, value in method.encoder.state_dict().items()}
    run = FitRun(torch.device("cpu"), "32-true", 0, tmp_path)

    method.fit(mock_volumes(method.info, 4), mock_volumes(method.info, 2, seed=1), run)

    assert all(torch.equal(frozen[key], value) for key, value in method.encoder.state_dict().items())
    assert min(row["validation"] for row in run.curves) < 0.8 * run.curves[0]["validation"]


@pytest.mark.parametrize("preset", sorted(set(FeatureAutoencoder.presets) - {"paper"}))
def test_presets_build(preset: str) -> None:
    method = built(preset)

    with torch.no_grad():
        features, restored = method.restored(torch.rand(1, 1, *SHAPE))

    assert features.shape == restored.shape


def test_conforms() -> None:
    assert_conforms(FeatureAutoencoder)
