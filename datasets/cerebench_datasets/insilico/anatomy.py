"""A subject's anatomy: tissue fractions from the deformed template, with individual folding and tissue variation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cerebench_datasets.insilico.deformation import LATTICE_MM, integrate, random_velocity, upsample
from cerebench_datasets.insilico.fields import CENTRE_MM, Grid, RandomField
from cerebench_datasets.insilico.parameters import Anatomy
from cerebench_datasets.insilico.template import template_for

_FOLDING_MM, _VARIATION_MM = 5.0, 10.0
_AGE_LIMIT = 2.0


@dataclass(frozen=True)
class AnatomyChange:
    """What a disease does to the anatomy as a whole, on ``Grid.covering(LATTICE_MM)``.

    Attributes:
        velocity: ``[3, X, Y, Z]`` mm, added to the subject's velocity: the flow samples the template there.
        fluid_odds: ``[X, Y, Z]``, added to the log-odds of cerebrospinal fluid.
    """

    velocity: np.ndarray
    fluid_odds: np.ndarray


@dataclass
class Tissue:
    """Maps of one subject on ``grid``, all ``[X, Y, Z]`` float32, 0 outside the head.

    Attributes:
        grid: RAS+ grid.
        brain: brain fraction; the three tissues sum to it.
        csf, gm, wm: fractions.
        detail: T1 in units of white matter that the fractions do not explain.
        variation: smooth relative intensity variation.
        depth, ventricle_distance: template distances in mm at the deformed position; for placing lesions.
        template_z: template height in mm at the deformed position.
        age: the subject's age-like factor in standard deviations, in [-2, 2].
    """

    grid: Grid
    brain: np.ndarray
    csf: np.ndarray
    gm: np.ndarray
    wm: np.ndarray
    detail: np.ndarray
    variation: np.ndarray
    depth: np.ndarray
    ventricle_distance: np.ndarray
    template_z: np.ndarray
    age: float = 0.0


def make_anatomy(
    rng: np.random.Generator,
    shape: Anatomy,
    grid: Grid,
    places: bool = True,
    change: AnatomyChange | None = None,
) -> Tissue:
    """Draw a subject on ``grid``. The subject depends on ``rng`` and ``shape`` only, not on the voxel size.

    Args:
        rng: the subject's own stream for anatomy.
        shape: amplitudes of every effect.
        grid: where to draw.
        places: False leaves out the maps that only lesions need (zeros).
        change: what a disease adds; it takes nothing from ``rng``, so the rest of the anatomy stays the same.
    """
    from scipy import ndimage

    age = float(np.clip(rng.standard_normal(), -_AGE_LIMIT, _AGE_LIMIT))
    matrix = _head_to_template(rng, shape)
    velocity = random_velocity(rng, shape, age)
    if change is not None:
        velocity = velocity + change.velocity.astype(np.float32)
    displacement = upsample(integrate(velocity, LATTICE_MM), grid)
    csf_field = RandomField(rng, _FOLDING_MM, shape.asymmetry)
    gm_field = RandomField(rng, _FOLDING_MM, shape.asymmetry)
    variation = RandomField(rng, _VARIATION_MM, shape.asymmetry)

    template = template_for(grid.spacing)
    centre = np.asarray(CENTRE_MM, np.float32)[:, None]
    points = (np.stack(np.meshgrid(*grid.axes, indexing="ij")).astype(np.float32) + displacement).reshape(3, -1)
    points = matrix @ (points - centre) + centre - template.origin.astype(np.float32)[:, None]
    brain = ndimage.map_coordinates(template.brain, points, order=1, mode="constant", prefilter=False)
    inside = np.flatnonzero(brain > 0.02)
    points = points[:, inside]

    def sample(values: np.ndarray, step: int = 1) -> np.ndarray:
        where = points if step == 1 else points / np.float32(step)
        found: np.ndarray = ndimage.map_coordinates(values, where, order=1, mode="nearest", prefilter=False)
        return found

    def spread(values: np.ndarray | int) -> np.ndarray:
        full = np.zeros(brain.size, np.float32)
        full[inside] = values
        return full.reshape(grid.shape)

    total = brain[inside]
    gm, wm = sample(template.gm), sample(template.wm)
    fractions = np.stack([np.maximum(total - gm - wm, 0), gm, wm]) / total
    odds_csf = shape.folding * csf_field.on(grid).ravel()[inside] + shape.sulcal_widening * age
    if change is not None:
        odds_csf = odds_csf + upsample(change.fluid_odds[None].astype(np.float32), grid).ravel()[inside]
    odds_gm = shape.folding / 2 * gm_field.on(grid).ravel()[inside]
    weights = fractions.clip(0, 1) ** np.float32(shape.sharpness)
    weights *= np.exp(np.stack([odds_csf, odds_gm, -odds_gm]))
    csf, gm, wm = weights * (total / weights.sum(0).clip(1e-6))
    return Tissue(
        grid=grid,
        brain=spread(total),
        csf=spread(csf),
        gm=spread(gm),
        wm=spread(wm),
        # fluid has no texture; what the blurred template shows there is partial volume
        detail=spread(sample(template.detail) * (1 - csf / total) * np.float32(shape.texture)),
        variation=spread(variation.on(grid).ravel()[inside] * np.float32(shape.variation)),
        depth=spread(sample(template.depth, 2) if places else 0),
        ventricle_distance=spread(sample(template.ventricle_distance, 2) if places else 0),
        template_z=spread(points[2] + np.float32(template.origin[2]) if places else 0),
        age=age,
    )


def _head_to_template(rng: np.random.Generator, shape: Anatomy) -> np.ndarray:
    """Linear map from head to template: rotation by a small pose, then division by the head's size."""
    from scipy.spatial.transform import Rotation

    size = 1 + shape.head_scale * np.clip(rng.standard_normal() + 0.5 * rng.standard_normal(3), -3, 3)
    pose = Rotation.from_euler("xyz", shape.pose_deg * np.clip(rng.standard_normal(3), -2.5, 2.5), degrees=True)
    matrix: np.ndarray = (np.diag(1 / size) @ pose.as_matrix()).astype(np.float32)
    return matrix
