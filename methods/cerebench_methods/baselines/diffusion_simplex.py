"""Simplex noise in several octaves for a whole batch on its device; imported while training or predicting.

Gradient noise on the triangular lattice (Perlin 2001; Gustavson 2005) with a hash in place of the permutation table, so
that every slice and channel has a field of its own without a loop.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

SKEW, UNSKEW = (math.sqrt(3) - 1) / 2, (3 - math.sqrt(3)) / 6
REACH = 0.5
"""Squared distance up to which a lattice point acts, in units of the skewed lattice."""

DIRECTIONS = 16
DEVIATION = 0.0054323
"""Standard deviation of one octave of unit amplitude, measured."""

MASK = 0xFFFFFFFF


def simplex_noise(seeds: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """One octave of noise ``[N, R, C]`` with zero mean.

    Args:
        seeds: integers ``[N]`` below 2 ** 31, one a field.
        rows: places ``[R]`` along the first axis in wavelengths.
        columns: places ``[C]`` along the second.
    """
    x, y = rows[:, None], columns[None]
    skewed = (x + y) * SKEW
    i, j = (x + skewed).floor(), (y + skewed).floor()
    back = (i + j) * UNSKEW
    x0, y0 = x - (i - back), y - (j - back)
    lower = (x0 > y0).to(x0.dtype)
    none = torch.zeros_like(lower)
    corners = ((none, none), (lower, 1 - lower), (none + 1, none + 1))
    total = torch.zeros(len(seeds), len(rows), len(columns), device=rows.device, dtype=rows.dtype)
    angles = torch.arange(DIRECTIONS, device=rows.device, dtype=rows.dtype) * (2 * math.pi / DIRECTIONS)
    cosines, sines = angles.cos(), angles.sin()
    for number, (di, dj) in enumerate(corners):
        dx, dy = x0 - di + number * UNSKEW, y0 - dj + number * UNSKEW
        falloff = (REACH - dx.square() - dy.square()).clamp(min=0).square().square()
        chosen = lattice_hash(seeds[:, None, None], (i + di).long(), (j + dj).long()) % DIRECTIONS
        total += falloff * (cosines[chosen] * dx + sines[chosen] * dy)
    return total


def lattice_hash(seeds: Tensor, i: Tensor, j: Tensor) -> Tensor:
    """Integers in [0, 2 ** 16) that look random, for lattice points (i, j) of fields; all tensors broadcast."""
    mixed = (seeds ^ (i * 0x27D4EB2D) ^ (j * 0x165667B1)) & MASK
    for factor in (0x2C1B3C6D, 0x297A2D39):
        mixed = ((mixed ^ (mixed >> 15)) * factor) & MASK
    return (mixed ^ (mixed >> 12)) >> 16


def octave_noise(
    shape: tuple[int, ...],
    spacing: tuple[float, ...],
    wavelength_mm: float,
    octaves: int,
    persistence: float,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Noise ``[N, C, D, H]`` of unit variance: octaves of halved wavelength and falling amplitude (Wyatt et al. 2022).

    Args:
        shape: (N, C, D, H).
        spacing: pixel size along D and H in mm.
        wavelength_mm: of the first octave.
        octaves: their number; those below two pixels are left out, but for the first.
        persistence: amplitude of an octave relative to the one before.
        generator: of the CPU; torch's global one if ``None``.
    """
    fields = shape[0] * shape[1]
    shown = [octave for octave in range(octaves) if octave == 0 or wavelength_mm / 2**octave >= 2 * max(spacing)]
    total = torch.zeros(fields, *shape[2:])
    for octave in shown:
        seeds = torch.randint(2**31, (fields,), generator=generator)
        # a random origin, so that no pixel always lies on the lattice
        start = 256 * torch.rand(2, generator=generator)
        length = wavelength_mm / 2**octave
        rows, columns = (
            begin + torch.arange(side) * (step / length)
            for begin, side, step in zip(start, shape[2:], spacing, strict=True)
        )
        total += persistence**octave * simplex_noise(seeds, rows, columns)
    power = sum(persistence ** (2 * octave) for octave in shown)
    return (total / (DEVIATION * math.sqrt(power))).view(shape)
