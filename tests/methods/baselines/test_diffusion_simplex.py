"""Simplex noise against a scalar implementation, its moments, its spectrum, its octaves."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from cerebench_methods.baselines.diffusion_simplex import DEVIATION, lattice_hash, octave_noise, simplex_noise


def scalar_hash(seed: int, i: int, j: int) -> int:
    """The hash in Python's unbounded integers."""
    mixed = (seed ^ (i * 0x27D4EB2D) ^ (j * 0x165667B1)) % 2**32
    mixed = (mixed ^ (mixed >> 15)) * 0x2C1B3C6D % 2**32
    mixed = (mixed ^ (mixed >> 15)) * 0x297A2D39 % 2**32
    return (mixed ^ (mixed >> 12)) >> 16


def scalar_simplex(seed: int, x: float, y: float) -> float:
    """Every lattice point near (x, y) is asked, instead of finding the three corners: points too far away give 0."""
    skew, unskew = (math.sqrt(3) - 1) / 2, (3 - math.sqrt(3)) / 6
    middle = (math.floor(x + (x + y) * skew), math.floor(y + (x + y) * skew))
    total = 0.0
    for i in range(middle[0] - 2, middle[0] + 4):
        for j in range(middle[1] - 2, middle[1] + 4):
            dx, dy = x - (i - (i + j) * unskew), y - (j - (i + j) * unskew)
            angle = scalar_hash(seed, i, j) % 16 * math.pi / 8
            falloff = max(0.0, 0.5 - dx * dx - dy * dy) ** 4
            total += falloff * (math.cos(angle) * dx + math.sin(angle) * dy)
    return total


def test_noise_is_that_of_the_scalar_implementation() -> None:
    seeds = torch.tensor([0, 7, 2**31 - 1])
    rows, columns = torch.linspace(-3, 4, 23, dtype=torch.float64), torch.linspace(0.1, 250, 19, dtype=torch.float64)

    found = simplex_noise(seeds, rows, columns).numpy()

    expected = [
        [[scalar_simplex(int(seed), float(row), float(column)) for column in columns] for row in rows] for seed in seeds
    ]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert np.abs(found).max() > DEVIATION


def test_hash_is_even_and_knows_its_neighbours_not() -> None:
    i, j = torch.meshgrid(torch.arange(-100, 100), torch.arange(-100, 100), indexing="ij")
    found = lattice_hash(torch.tensor([5, 6])[:, None, None], i, j) % 16

    counts = torch.bincount(found[0].flatten(), minlength=16)
    assert counts.min() > 0.9 * 2500
    assert counts.max() < 1.1 * 2500
    assert (found[0] == found[1]).float().mean() == pytest.approx(1 / 16, abs=0.01)
    for axis in (0, 1):
        same = (found[0].roll(1, axis) == found[0]).float().mean()
        assert same == pytest.approx(1 / 16, abs=0.01)


def test_one_octave_has_the_stated_deviation() -> None:
    generator = torch.Generator().manual_seed(0)
    rows, columns = (1000 * torch.rand(300, generator=generator, dtype=torch.float64) for _ in range(2))
    found = simplex_noise(torch.randint(2**31, (60,), generator=generator), rows, columns)

    assert found.std().item() == pytest.approx(DEVIATION, rel=0.01)
    assert abs(found.mean().item()) < 0.02 * DEVIATION


def drawn(octaves: int, persistence: float = 0.8, spacing: float = 4.0, seed: int = 0) -> np.ndarray:
    generator = torch.Generator().manual_seed(seed)
    return octave_noise((200, 1, 64, 64), (spacing, spacing), 64.0, octaves, persistence, generator)[:, 0].numpy()


@pytest.mark.parametrize("octaves", [1, 2, 6])
def test_sum_of_octaves_has_unit_variance(octaves: int) -> None:
    assert drawn(octaves).std() == pytest.approx(1, abs=0.08)


def test_power_lies_at_the_wavelengths_of_the_octaves() -> None:
    """One octave is a band about its wavelength; more of them add power at twice, four times … the frequency."""

    def share_above(noise: np.ndarray, frequency: float) -> float:
        power = (np.abs(np.fft.fft2(noise * np.outer(np.hanning(64), np.hanning(64)))) ** 2).mean(0)
        radius = np.hypot(*np.meshgrid(*[np.fft.fftfreq(64)] * 2))
        return float(power[radius > frequency].sum() / power.sum())

    # a wavelength of 16 pixels
    assert share_above(drawn(1), 3 / 16) < 0.05
    shares = [share_above(drawn(octaves), 3 / 16) for octaves in (1, 2, 3)]
    assert shares[0] < 0.3 * shares[1] < 0.3 * shares[2]
    assert share_above(drawn(3, persistence=0.3), 3 / 16) < 0.5 * shares[2]


def test_octaves_below_two_pixels_are_left_out() -> None:
    assert np.array_equal(drawn(4), drawn(6))
    assert not np.array_equal(drawn(3), drawn(4))


def test_fields_are_independent_and_follow_the_generator() -> None:
    noise = drawn(6)
    correlations = np.corrcoef(noise[:50].reshape(50, -1))

    assert np.abs(correlations[~np.eye(50, dtype=bool)]).mean() < 0.15
    assert np.array_equal(noise, drawn(6))
    assert not np.array_equal(noise, drawn(6, seed=1))
