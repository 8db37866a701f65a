"""Diffuse atrophy as in Alzheimer's disease: no lesion, but large ventricles, small hippocampi and a thin cortex."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from pydantic import Field

from cerebench_datasets.insilico.anatomy import AnatomyChange
from cerebench_datasets.insilico.deformation import LATTICE_MM
from cerebench_datasets.insilico.fields import Grid
from cerebench_datasets.insilico.kinds.kind import Block, Draw, Kind
from cerebench_datasets.insilico.lesion import Finding, Lesion
from cerebench_datasets.insilico.template import load_template

_GRADE_LIMITS = (0.2, 2.0)
_WALL_MM, _CORTEX_MM = 6.0, 12.0
_HIPPOCAMPUS_MM = ((20.0, -8.0, -20.0), (28.0, -38.0, -4.0))
"""Ends of its axis on the right, MNI152; the left one mirrors it."""
_HIPPOCAMPUS_REACH_MM = 10.0
_AGE_YEARS, _AGE_PER_SD, _AGE_RESIDUAL, _AGE_LIMITS = 74.0, 5.0, 4.0, (55.0, 92.0)


class Atrophy(Block):
    """Diffuse atrophy of affected patients, on top of the normal variation that controls share.

    Attributes:
        effect: factor on everything below; 0 leaves patients as healthy as controls.
        grade_spread: standard deviation of a patient's grade about 1 (normal, 0.2 to 2).
        ventricles_mm: how far grade 1 moves the walls of the lateral ventricles.
        hippocampus: linear shrinkage of the hippocampus and its surroundings at grade 1, as a fraction.
        cortex: log-odds of fluid that grade 1 adds at the brain's surface: thin cortex, wide sulci.
        medial_temporal: log-odds of fluid that grade 1 adds about the hippocampus.
    """

    effect: float = Field(1.0, ge=0, le=3)
    grade_spread: float = Field(0.4, ge=0, le=1)
    ventricles_mm: float = Field(2.6, ge=0, le=4)
    hippocampus: float = Field(0.14, ge=0, le=0.2)
    cortex: float = Field(0.8, ge=0, le=2)
    medial_temporal: float = Field(0.7, ge=0, le=2)


def shape_atrophy(rng: np.random.Generator, growth: float, size: Atrophy) -> AnatomyChange:
    """Velocity and fluid odds of one patient: the same on both sides, in proportion to the patient's grade.

    Args:
        rng: draws the grade.
        growth: of this visit; atrophy only ever progresses from the first.
        size: amounts at grade 1.
    """
    grade = float(np.clip(1 + size.grade_spread * rng.standard_normal(), *_GRADE_LIMITS))
    grade *= size.effect * max(growth, 1 / growth)
    ventricles, hippocampi, cortex, temporal = _fields(Grid.covering(LATTICE_MM))
    velocity = ventricles * (grade * size.ventricles_mm) + hippocampi * (grade * size.hippocampus)
    return AnatomyChange(velocity, cortex * (grade * size.cortex) + temporal * (grade * size.medial_temporal))


def find_atrophy(draw: Draw, size: Atrophy) -> Lesion:
    """No lesion, and one row for the table: diagnosis, age and sex; neither tells patients from controls."""
    age = _AGE_YEARS + _AGE_PER_SD * draw.tissue.age + _AGE_RESIDUAL * draw.rng.standard_normal()
    covariates: dict[str, float | str] = {
        "age": round(float(np.clip(age, *_AGE_LIMITS)), 1),
        "sex": "F" if draw.rng.random() < 0.5 else "M",
    }
    return Lesion({}, {}, findings=(Finding(0, int(draw.affected), covariates),))


@lru_cache(maxsize=1)
def _fields(grid: Grid) -> tuple[np.ndarray, ...]:
    """Mirror-symmetric fields on the lattice: velocities of ventricles and hippocampi, weights of the two others."""
    from scipy import ndimage

    template = load_template()
    where = (np.stack(np.meshgrid(*grid.axes, indexing="ij")) - template.origin[:, None, None, None]) / 2
    cavities, _ = ndimage.label(template.ventricle_distance == 0)
    lateral = cavities == np.bincount(cavities.ravel())[1:].argmax() + 1
    potential = ndimage.gaussian_filter(lateral.astype(np.float32), _WALL_MM / 2)
    # sampling the template further in makes the ventricles larger
    pull = np.stack([ndimage.map_coordinates(part, where, order=1) for part in np.gradient(potential)])
    pull /= np.sqrt((pull**2).sum(0)).max()

    offset, distance = _from_hippocampus(grid)
    near = np.exp(-((distance / _HIPPOCAMPUS_REACH_MM) ** 2))
    depth = ndimage.map_coordinates(template.depth, where, order=1, mode="constant")
    cortex = np.exp(-((depth / _CORTEX_MM) ** 2))
    return pull, offset * near, cortex, near


def _from_hippocampus(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Offset ``[3, X, Y, Z]`` and distance in mm from the axis of the hippocampus on the same side."""
    points = np.stack(np.meshgrid(*grid.axes, indexing="ij"))
    side = np.where(points[0] < 0, -1.0, 1.0)
    points[0] *= side
    front, back = (np.array(end)[:, None, None, None] for end in _HIPPOCAMPUS_MM)
    axis = back - front
    along = ((points - front) * axis).sum(0) / (axis**2).sum()
    offset = points - front - np.clip(along, 0, 1) * axis
    distance = np.sqrt((offset**2).sum(0))
    offset[0] *= side
    return offset, distance


KIND = Kind(name="atrophy", signals={}, parameters=Atrophy, grow=find_atrophy, shape=shape_atrophy)
