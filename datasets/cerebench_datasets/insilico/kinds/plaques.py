"""Multiple sclerosis plaques: ellipsoids at the ventricles, at the cortex and in deep white matter."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from cerebench_datasets.insilico.anatomy import Tissue
from cerebench_datasets.insilico.kinds.growth import ellipsoid
from cerebench_datasets.insilico.kinds.kind import Block, Draw, Kind, Signal
from cerebench_datasets.insilico.lesion import Lesion

_LIMITS = (3, 250)
_LIMITS_ML = (0.01, 6.0)
_PERIVENTRICULAR_FACTOR = 2.0
_EDGE_MM = 1.0
_ELONGATION = {"periventricular": 1.8, "juxtacortical": 1.1, "deep": 1.2}
_SEVERITY = (0.6, 1.0)


class Plaques(Block):
    """Multiple sclerosis plaques.

    Attributes:
        count: median number; lognormal.
        count_spread: standard deviation of its logarithm.
        volume_ml: median volume of one plaque; lognormal.
        volume_spread: standard deviation of its logarithm.
        periventricular: share of plaques at the ventricles; these are elongated and of twice the median volume.
        juxtacortical: share of plaques at the cortex; the rest lies in deep white matter.
    """

    count: float = Field(60.0, gt=0)
    count_spread: float = Field(0.7, ge=0)
    volume_ml: float = Field(0.07, gt=0)
    volume_spread: float = Field(1.1, ge=0)
    periventricular: float = Field(0.45, ge=0, le=1)
    juxtacortical: float = Field(0.2, ge=0, le=1)


def grow_plaques(draw: Draw, load: Plaques) -> Lesion:
    """The part ``plaque`` on the tissue's grid, the union of all plaques; each has a severity of its own.

    Args:
        draw: the subject.
        load: counts, volumes and places.
    """
    rng, tissue = draw.rng, draw.tissue
    grid = tissue.grid
    count = int(np.clip(round(load.count * rng.lognormal(0, load.count_spread)), *_LIMITS))
    places = _places(tissue)
    named = load.periventricular + load.juxtacortical
    chances = np.array([load.periventricular, load.juxtacortical, max(1 - named, 0)]) / max(named, 1)
    extent, shown = np.zeros(grid.shape, np.float32), np.zeros(grid.shape, np.float32)
    for kind in rng.choice(list(places), size=count, p=chances):
        chosen, cumulative = places[kind]
        volume = load.volume_ml * draw.growth * rng.lognormal(0, load.volume_spread)
        volume *= _PERIVENTRICULAR_FACTOR if kind == "periventricular" else 1
        radius = (float(np.clip(volume, *_LIMITS_ML)) * 1000 * 3 / (4 * np.pi)) ** (1 / 3)
        voxel = chosen[np.searchsorted(cumulative, rng.random() * cumulative[-1])]
        index = np.unravel_index(voxel, grid.shape)
        centre = np.array([axis[i] for axis, i in zip(grid.axes, index, strict=True)])
        centre += rng.uniform(-0.5, 0.5, 3) * grid.spacing
        box, ramp = ellipsoid(tissue, centre, radius, _ELONGATION[str(kind)], rng, _EDGE_MM)
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


KIND = Kind(
    name="ms",
    signals={"plaque": Signal(t1_ms=1100, t2_ms=105, density=0.82, t1=0.75, t1c=0.77)},
    parameters=Plaques,
    grow=grow_plaques,
)
