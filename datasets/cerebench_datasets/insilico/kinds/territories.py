"""Arterial territories as nearest-seed regions in MNI152 coordinates: an assumed geometry, not an atlas."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from cerebench_datasets.insilico.fields import Grid, expand, linear_basis

_LATTICE_MM, _DEEP_REACH_MM = 5.0, 13.0


@dataclass(frozen=True)
class Territory:
    """What one artery supplies, on the right side.

    Attributes:
        stem: where its branches come from, in mm: infarcts are wedges that point there.
        seeds: points in mm; a place belongs to the territory of the nearest seed.
        deep: of perforating arteries: it ends near its seeds, and infarcts are oval, not wedges.
    """

    stem: tuple[float, float, float]
    seeds: tuple[tuple[float, float, float], ...]
    deep: bool = False


TERRITORIES = {
    "mca-superior": Territory(
        (30.0, 2.0, 10.0),
        ((42, 34, 14), (38, 44, 4), (50, 8, 18), (48, -6, 34), (36, 14, 46), (44, -24, 46), (32, -4, 58), (40, 2, 4)),
    ),
    "mca-inferior": Territory(
        (32.0, -18.0, 4.0),
        ((60, -12, -6), (62, -34, 6), (56, -54, 22), (52, -46, 40), (52, 6, -26), (56, -26, -20), (48, -66, 10)),
    ),
    "mca-deep": Territory((18.0, 2.0, -6.0), ((26, 4, 2), (26, -8, 14), (16, 12, 10), (24, 2, 24)), deep=True),
    "aca": Territory(
        (6.0, 22.0, 6.0),
        ((5, 54, 8), (5, 44, 34), (5, 24, 54), (5, -2, 64), (5, -28, 64), (5, -52, 54), (5, 40, -14), (5, 30, 20)),
    ),
    "pca": Territory(
        (16.0, -34.0, 0.0),
        ((10, -84, 6), (14, -66, -2), (12, -72, 22), (26, -92, 2), (28, -44, -12), (32, -26, -22), (30, -76, -8)),
    ),
    "pca-deep": Territory((8.0, -12.0, -2.0), ((10, -18, 8), (14, -26, 6)), deep=True),
    "cerebellum": Territory((10.0, -42.0, -32.0), ((24, -52, -26), (28, -66, -36), (20, -62, -48), (10, -72, -32))),
    "brainstem": Territory((3.0, -18.0, -30.0), ((3, -26, -34), (5, -18, -12), (3, -36, -52)), deep=True),
}


def margin(name: str, side: float, grid: Grid) -> np.ndarray:
    """Distance in mm by which a voxel lies inside a territory of one side (negative outside): ``[X, Y, Z]`` float32.

    Args:
        name: one of :data:`TERRITORIES`.
        side: 1 for the right side, -1 for the left.
        grid: where.
    """
    lattice = Grid.covering(_LATTICE_MM)
    bases = tuple(
        linear_basis(np.clip(points, knots[0], knots[-1]), knots)
        for points, knots in zip(grid.axes, lattice.axes, strict=True)
    )
    values = _on_lattice(name)
    return expand(values if side > 0 else values[::-1], bases).astype(np.float32)


@lru_cache(maxsize=len(TERRITORIES))
def _on_lattice(name: str) -> np.ndarray:
    """The margin of a right-side territory on the lattice; those of the left side are other territories."""
    right = _distances()
    others = [distance for other, distance in right.items() if other != name]
    others += [distance[::-1] for distance in right.values()]
    found: np.ndarray = (np.min(others, axis=0) - right[name]) / 2
    if TERRITORIES[name].deep:
        found = np.minimum(found, _DEEP_REACH_MM - right[name])
    return found.astype(np.float32)


@lru_cache(maxsize=1)
def _distances() -> dict[str, np.ndarray]:
    """Territory → distance of each lattice point from its nearest right-side seed, in mm."""
    from scipy.spatial import cKDTree

    points = np.stack(np.meshgrid(*Grid.covering(_LATTICE_MM).axes, indexing="ij"), axis=-1)
    return {name: cKDTree(np.asarray(each.seeds, float)).query(points)[0] for name, each in TERRITORIES.items()}
