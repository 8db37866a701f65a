"""PaDiM: Gaussians against numpy, Mahalanobis distance against scipy, features against a plain stack."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.distance import mahalanobis as scipy_mahalanobis

from cerebench.api import MethodError, PredictContext
from cerebench.testing import assert_conforms
from cerebench_methods.baselines.padim import Padim
from cerebench_methods.baselines.padim_gaussians import RunningGaussians, mahalanobis

SHAPE, SPACING = (40, 48), (4.0, 4.0)


def built(**settings: Any) -> Padim:
    torch.manual_seed(0)
    method = Padim(Padim.settings_for("mock", settings))
    method.build(("t2",), SHAPE, SPACING)
    return method


def gaussians(features: np.ndarray, sizes: tuple[int, ...], shrinkage: float) -> tuple[torch.Tensor, torch.Tensor]:
    running = RunningGaussians()
    start = 0
    for size in sizes:
        running.add(torch.from_numpy(features[:, start : start + size]).float())
        start += size
    return running.whitened(shrinkage)


def test_distances_are_those_of_scipy() -> None:
    generator = np.random.default_rng(0)
    features = 100 + generator.normal(size=(3, 50, 6)) @ generator.normal(size=(3, 6, 6))

    mean, whitener = gaussians(features, (8, 30, 12), 0.05)
    found = mahalanobis(torch.from_numpy(features).float(), mean, whitener).numpy()

    covariances = np.stack([np.cov(part, rowvar=False) for part in features])
    scale = 0.05 * np.mean([np.diag(part) for part in covariances])
    for place in range(3):
        inverse = np.linalg.inv(covariances[place] + scale * np.eye(6))
        expected = [scipy_mahalanobis(one, features[place].mean(0), inverse) for one in features[place]]
        np.testing.assert_allclose(found[place], expected, rtol=2e-3)


def test_constant_features_stay_finite() -> None:
    """Background: every slice is the same there."""
    features = np.zeros((2, 5, 3))
    features[1] = np.random.default_rng(0).normal(size=(5, 3))

    mean, whitener = gaussians(features, (5,), 0.01)

    assert torch.isfinite(whitener).all()
    assert mahalanobis(torch.zeros(2, 1, 3), mean, whitener)[0, 0] == 0


def test_one_slice_has_no_covariance() -> None:
    with pytest.raises(MethodError, match=r"at least two training slices \(found 1\)"):
        gaussians(np.ones((2, 1, 3)), (1,), 0.1)


def test_embedding_stacks_levels_at_each_position() -> None:
    method = built(features=10_000)
    images = torch.rand(2, 1, *SHAPE)
    levels = method.levels(images)
    height, width = method.encoder.grid(1)

    found = method.embed(images).reshape(height, width, 2, -1)

    for row, column in [(0, 0), (3, 5), (height - 1, width - 1)]:
        parts = [level[:, :, row // 2**step, column // 2**step] for step, level in enumerate(levels[1:])]
        torch.testing.assert_close(found[row, column], torch.cat(parts, 1))


def test_channels_are_drawn_once_and_kept() -> None:
    method = built(features=7)

    assert len(method.chosen) == 7 == len(set(method.chosen.tolist()))
    assert method.embed(torch.rand(1, 1, *SHAPE)).shape[2] == 7
    assert torch.equal(method.tensors()["chosen"], method.chosen)


def test_the_map_is_high_where_features_deviate() -> None:
    method = built(smooth_mm=0)
    images = torch.rand(1, 1, *SHAPE)
    method.mean = method.embed(images)[:, 0].clone()
    height, width = method.encoder.grid(1)
    place = (height // 2) * width + width // 4
    method.mean[place] += 5
    context = PredictContext(torch.ones(1, *SHAPE, dtype=torch.bool), SPACING, ("t2",), torch.device("cpu"), 0)

    maps = method.predict(images, context).maps

    assert maps is not None
    peak = np.unravel_index(int(maps.argmax()), SHAPE)
    middle = (SHAPE[0] * (height // 2 + 0.5) / height, SHAPE[1] * (width // 4 + 0.5) / width)
    np.testing.assert_allclose(peak, middle, atol=2)


@pytest.mark.parametrize("preset", sorted(set(Padim.presets) - {"paper"}))
def test_presets_build(preset: str) -> None:
    method = Padim(Padim.settings_for(preset))
    method.build(("t1",), SHAPE, SPACING)

    assert method.mean.shape[0] == len(method.whitener) == method.encoder.grid(1)[0] * method.encoder.grid(1)[1]


def test_conforms() -> None:
    assert_conforms(Padim)
