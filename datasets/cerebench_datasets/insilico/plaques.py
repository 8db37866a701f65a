"""Multiple sclerosis plaques: ellipsoids at the ventricles, at the cortex and in deep white matter."""

from __future__ import annotations

import numpy as np

from cerebench_datasets.insilico.anatomy import Tissue
from cerebench_datasets.insilico.lesion import Lesion
from cerebench_datasets.insilico.parameters import Plaques

_LIMITS = (3, 250)
_LIMITS_ML = (0.01, 6.0)
_PERIVENTRICULAR_FACTOR = 2.0
_EDGE_MM = 1.0
_ELONGATION = {"periventricular": 1.8, "juxtacortical": 1.1, "deep": 1.2}
_SEVERITY = (0.6, 1.0)


def grow_plaques(rng: np.random.Generator, tissue: Tissue, load: Plaques) -> Lesion:
    """The part ``plaque`` on the tissue's grid, the union of all plaques; each has a severity of its own.

    Args:
        rng: the subject's stream for lesions.
        tissue: the subject.
        load: counts, volumes and places.
    """
    grid = tissue.grid
    count = int(np.clip(round(load.count * rng.lognormal(0, load.count_spread)), *_LIMITS))
    places = _places(tissue)
    named = load.periventricular + load.juxtacortical
    chances = np.array([load.periventricular, load.juxtacortical, max(1 - named, 0)]) / max(named, 1)
    extent, shown = np.zeros(grid.shape, np.float32), np.zeros(grid.shape, np.float32)
    for kind in rng.choice(list(places), size=count, p=chances):
        chosen, cumulative = places[kind]
        volume = load.volume_ml * rng.lognormal(0, load.volume_spread)
        volume *= _PERIVENTRICULAR_FACTOR if kind == "periventricular" else 1
        radius = (float(np.clip(volume, *_LIMITS_ML)) * 1000 * 3 / (4 * np.pi)) ** (1 / 3)
        voxel = chosen[np.searchsorted(cumulative, rng.random() * cumulative[-1])]
        index = np.unravel_index(voxel, grid.shape)
        centre = np.array([axis[i] for axis, i in zip(grid.axes, index, strict=True)])
        centre += rng.uniform(-0.5, 0.5, 3) * grid.spacing
        box, ramp = _ellipsoid(tissue, centre, radius, _ELONGATION[str(kind)], rng)
        extent[box] = np.maximum(extent[box], ramp)
        shown[box] = np.maximum(shown[box], ramp * rng.uniform(*_SEVERITY))
    parenchyma = (tissue.brain - tissue.csf).clip(0, 1)
    return Lesion({"plaque": extent * parenchyma}, {"plaque": shown * parenchyma})


def _places(tissue: Tissue) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Place → voxels where plaques may sit, with cumulative weights."""
    near = tissue.ventricle_distance
    weights = {
        "periventricular": tissue.wm * np.exp(-(((near - 3) / 3) ** 2)) * (tissue.depth > 15),
        "juxtacortical": 4 * tissue.wm * tissue.gm * (tissue.depth > 3) * (tissue.depth < 15),
        "deep": tissue.wm * (near > 8) * (tissue.depth > 12),
    }
    found = {}
    for name, weight in weights.items():
        voxels = np.flatnonzero(weight.ravel() > 0.1)
        found[name] = voxels, np.cumsum(weight.ravel()[voxels], dtype=np.float64)
    return found


def _ellipsoid(
    tissue: Tissue, centre: np.ndarray, radius: float, elongation: float, rng: np.random.Generator
) -> tuple[tuple[slice, ...], np.ndarray]:
    """A box of voxels and one ellipsoid in it; its long axis points away from the midline, as Dawson's fingers do."""
    axes = tissue.grid.axes
    reach = radius * elongation + 1.5
    box = tuple(
        slice(int(np.searchsorted(axis, at - reach)), int(np.searchsorted(axis, at + reach)) + 1)
        for axis, at in zip(axes, centre, strict=True)
    )
    direction = np.array([np.sign(centre[0]) or 1.0, 0.0, 0.3]) + 0.35 * rng.standard_normal(3)
    direction /= np.linalg.norm(direction)
    local = [axis[part] - at for axis, part, at in zip(axes, box, centre, strict=True)]
    offset = np.stack(np.meshgrid(*local, indexing="ij"))
    along = np.tensordot(direction, offset, axes=1)
    across = np.sqrt(np.maximum((offset**2).sum(0) - along**2, 0))
    narrow = radius / elongation ** (1 / 3)
    level = np.hypot(across / narrow, along / (narrow * elongation))
    ramp: np.ndarray = np.clip(0.5 + (1 - level) * narrow / _EDGE_MM, 0, 1)
    return box, ramp
