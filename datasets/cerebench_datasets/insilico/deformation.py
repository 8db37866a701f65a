"""Smooth invertible deformations: a stationary velocity field integrated by scaling and squaring."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from cerebench_datasets.insilico.fields import Grid, RandomField, expand, linear_basis
from cerebench_datasets.insilico.parameters import Anatomy
from cerebench_datasets.insilico.template import load_template

LATTICE_MM = 5.0
COARSE_MM, FINE_MM = 45.0, 18.0
_SQUARINGS = 5


def random_velocity(rng: np.random.Generator, shape: Anatomy, age: float) -> np.ndarray:
    """Velocity ``[3, X, Y, Z]`` in mm on the lattice grid: random warp, ventricle size and torque.

    Args:
        rng: the subject's own stream for anatomy.
        shape: amplitudes.
        age: age-like factor in standard deviations; positive enlarges the ventricles.
    """
    grid = Grid.covering(LATTICE_MM)
    velocity = np.zeros((3, *grid.shape), np.float32)
    for scale, amplitude in ((COARSE_MM, shape.warp_mm), (FINE_MM, shape.fine_warp_mm)):
        for axis in range(3):
            velocity[axis] += amplitude * RandomField(rng, scale, shape.asymmetry, odd=axis == 0).on(grid)
    tilt = float(np.clip(rng.standard_normal() * shape.ventricle_asymmetry, -0.8, 0.8)) * shape.asymmetry
    sides = 1 + tilt * np.tanh(grid.axes[0] / 8)
    velocity += _ventricle_pull(grid) * shape.ventricles_mm * age * sides[:, None, None]
    velocity += _torque(grid) * shape.torque_mm * shape.asymmetry * np.float32(1 + 0.5 * rng.standard_normal())
    return velocity.astype(np.float32)


def integrate(velocity: np.ndarray, spacing: float) -> np.ndarray:
    """Displacement in mm of the flow of ``velocity`` at time 1, by scaling and squaring, on the same grid."""
    from scipy import ndimage

    flow: np.ndarray = velocity / 2**_SQUARINGS
    index = np.indices(velocity.shape[1:], dtype=np.float32)
    for _ in range(_SQUARINGS):
        where = index + flow / spacing
        flow = flow + np.stack([ndimage.map_coordinates(part, where, order=1, mode="nearest") for part in flow])
    return flow


def upsample(displacement: np.ndarray, grid: Grid) -> np.ndarray:
    """Displacement, or any stack of maps, from the lattice grid onto ``grid``, linear: ``[N, X, Y, Z]``."""
    lattice = Grid.covering(LATTICE_MM)
    bases = []
    for points, knots in zip(grid.axes, lattice.axes, strict=True):
        bases.append(linear_basis(np.clip(points, knots[0], knots[-1]), knots))
    return np.stack([expand(part, tuple(bases)) for part in displacement])


def jacobian(displacement: np.ndarray, spacing: float) -> np.ndarray:
    """Determinant of the Jacobian of x + u(x) at every voxel, by central differences."""
    gradient = np.stack([np.stack(np.gradient(part, spacing)) for part in displacement])
    determinant: np.ndarray = np.linalg.det(np.moveaxis(gradient, (0, 1), (-2, -1)) + np.eye(3))
    return determinant


@lru_cache(maxsize=1)
def _ventricle_pull(grid: Grid) -> np.ndarray:
    """Unit-peak field pointing to the ventricles: sampling the template further in makes them larger."""
    from scipy import ndimage

    template = load_template()
    where = np.stack(np.meshgrid(*grid.axes, indexing="ij")) - template.origin[:, None, None, None]
    distance = ndimage.map_coordinates(template.ventricle_distance, where / 2, order=1, mode="nearest")
    potential = np.exp(-((distance / 12) ** 2))
    pull = np.stack(np.gradient(ndimage.gaussian_filter(potential, 1.0), grid.spacing))
    unit: np.ndarray = pull / np.sqrt((pull**2).sum(0)).max()
    return unit


def _torque(grid: Grid) -> np.ndarray:
    """Unit-peak petalia: the left occipital and the right frontal pole protrude."""
    x, y, _ = np.meshgrid(*grid.axes, indexing="ij")
    side = np.tanh(x / 20)
    frontal, occipital = np.exp(-(((y - 55) / 25) ** 2)), np.exp(-(((y + 90) / 25) ** 2))
    field = np.zeros((3, *grid.shape))
    # pulling the sample point inwards (towards y = 0) makes the pole protrude
    field[1] = -frontal * side - occipital * side
    return field
