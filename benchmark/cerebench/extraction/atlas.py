"""The template's maps, and the grid on which canonical volumes lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cerebench.extraction.settings import Numbers
from cerebench.prepare.grid import between, resample, smoothing
from cerebench.prepare.read import Scan, read_volume
from cerebench.templates import template_file

Array = np.ndarray[Any, Any]

_CLOSING = 2


@dataclass(frozen=True)
class Atlas:
    """The template, RAS+, 1 mm.

    Attributes:
        t1: T1 of the brain, 0 outside.
        brain: bool; ventricles and sulci are inside.
        gm, wm: fractions of grey and white matter, 0 to 1.
        affine: 4x4, voxel index → RAS+ mm.
    """

    t1: Array
    brain: Array
    gm: Array
    wm: Array
    affine: Array


@dataclass(frozen=True)
class Grid:
    """A target grid: shape, and 4x4 from voxel index to RAS+ mm."""

    shape: tuple[int, int, int]
    affine: Array


def load_atlas() -> Atlas:
    """Read the template.

    Raises:
        DataError: nilearn's bundled template is not there.
    """
    from scipy.ndimage import binary_closing, binary_fill_holes

    scans = {kind: read_volume(template_file(kind)) for kind in ("t1", "gm", "wm")}
    t1 = scans["t1"]
    brain = binary_fill_holes(binary_closing(t1.data > 0, iterations=_CLOSING))
    fractions = {kind: scans[kind].data / np.float32(255) * brain for kind in ("gm", "wm")}
    return Atlas(t1.data, np.asarray(brain), fractions["gm"], fractions["wm"], t1.affine)


def atlas_grid(atlas: Atlas, spacing: float) -> Grid:
    """The template's field of view in voxels of another size, about the same centre: 1 mm gives its own grid."""
    sides = np.array(atlas.t1.shape)
    shape = np.ceil(sides / spacing - 1e-6).astype(int)
    affine = np.diag([spacing] * 3 + [1.0])
    centre = atlas.affine[:3, 3] + (sides - 1) / 2
    affine[:3, 3] = centre - spacing * (shape - 1) / 2
    return Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine)


def onto(data: Array, affine: Array, grid: Grid) -> Array:
    """A map of the template on another grid in template space, low-pass filtered where that is coarser; float32."""
    from scipy.ndimage import gaussian_filter

    matrix = between(affine, grid.affine)
    sigma = [smoothing(float(np.linalg.norm(row))) for row in matrix[:3, :3]]
    value = data.astype(np.float32)
    if any(sigma):
        value = gaussian_filter(value, sigma, mode="constant")
    return resample(value, matrix, grid.shape, order=1)


@dataclass(frozen=True)
class Maps:
    """The template's brain (bool), grey and white matter (fractions) on a target grid."""

    brain: Array
    gm: Array
    wm: Array


def maps_on(atlas: Atlas, grid: Grid) -> Maps:
    """What results are compared with."""
    brain, gm, wm = (onto(part, atlas.affine, grid) for part in (atlas.brain, atlas.gm, atlas.wm))
    return Maps(brain > 0.5, gm, wm)


def coarse(scan: Scan, spacing: float) -> Scan:
    """The scan with axes finer than ``spacing`` mm brought to it, low-pass filtered; for registrations."""
    steps = np.maximum(spacing / np.array(scan.spacing), 1.0)
    shape = tuple(int(side) for side in np.ceil((np.array(scan.shape) - 1) / steps - 1e-6).astype(int) + 1)
    affine = scan.affine.copy()
    affine[:3, :3] *= steps
    assert len(shape) == 3
    return Scan(scan.path, onto(scan.data, scan.affine, Grid(shape, affine)), affine, scan.oriented)


def registration_atlas(atlas: Atlas, numbers: Numbers) -> Scan:
    """The template's T1 at the voxel size of registrations."""
    return coarse(Scan(Path("template"), atlas.t1, atlas.affine), numbers.registration_mm)
