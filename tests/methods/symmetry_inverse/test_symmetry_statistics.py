"""Healthy latent statistics against scipy and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import mahalanobis as scipy_mahalanobis
from scipy.stats import chi2, percentileofscore

from cerebench_methods.symmetry_inverse.networks import symmetry_loss
from cerebench_methods.symmetry_inverse.statistics import (
    fit_healthy,
    healthy_percentile,
    mahalanobis,
    subject_score,
)


def correlated(count: int, size: int, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return generator.normal(size=(count, size)) @ generator.normal(size=(size, size)) + generator.normal(size=size)


def shrunk_covariance(codes: np.ndarray) -> np.ndarray:
    """Ledoit & Wolf (2004) written out: towards the mean variance, by an estimate of the optimal amount."""
    count, size = codes.shape
    centred = codes - codes.mean(0)
    sample = centred.T @ centred / count
    target = np.trace(sample) / size * np.eye(size)
    spread = np.sum((sample - target) ** 2) / size
    noise = sum(np.sum((np.outer(row, row) - sample) ** 2) for row in centred) / count**2 / size
    amount = min(noise, spread) / spread
    return amount * target + (1 - amount) * sample


@pytest.mark.parametrize(("count", "size"), [(300, 12), (20, 40)])
def test_distance_is_scipys_with_the_textbook_covariance(count: int, size: int) -> None:
    """Also with fewer slices than dimensions, where the sample covariance has no inverse."""
    codes, others = correlated(count, size), correlated(50, size, seed=1)
    precision = np.linalg.inv(shrunk_covariance(codes))
    expected = [scipy_mahalanobis(code, codes.mean(0), precision) for code in others]

    healthy = fit_healthy(codes)

    found = mahalanobis(torch.from_numpy(others).float(), healthy.mean, healthy.whitener)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-3)


def test_distances_of_gaussian_codes_are_chi_distributed() -> None:
    codes = correlated(20_000, 6)

    healthy = fit_healthy(codes)

    for percent in (5, 50, 95):
        assert healthy.distances[percent].item() == pytest.approx(np.sqrt(chi2.ppf(percent / 100, 6)), rel=0.03)


def test_percentile_is_the_place_among_the_healthy() -> None:
    codes = correlated(1000, 5)
    healthy = fit_healthy(codes)
    own = mahalanobis(torch.from_numpy(codes).float(), healthy.mean, healthy.whitener)

    found = healthy_percentile(own[:200], healthy.distances)

    expected = [percentileofscore(own.numpy(), value) for value in own[:200].numpy()]
    assert np.abs(found.numpy() - expected).max() <= 1
    assert healthy_percentile(torch.tensor([0.0, 1e9]), healthy.distances).tolist() == [0, 100]


def test_symmetry_term_compares_left_with_right() -> None:
    image = torch.zeros(1, 1, 4, 3)
    image[0, 0, 0, 1] = 6.0

    assert symmetry_loss(image).item() == pytest.approx(2 * 6 / 12)
    assert symmetry_loss(image + image.flip(2)).item() == 0


def test_subject_score_is_the_mean_of_the_highest_slices() -> None:
    scores = torch.tensor([float(value) for value in np.random.default_rng(0).permutation(40)])

    assert subject_score(scores, 0.1).item() == pytest.approx(np.mean([36, 37, 38, 39]))
    assert subject_score(scores[:3], 0.1) == scores[:3].max()
