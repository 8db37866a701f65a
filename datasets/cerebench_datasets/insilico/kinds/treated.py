"""Glioma after treatment: a resection cavity, thin uneven enhancement at its margin, and hyperintensity around."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from cerebench_datasets.insilico.fields import RandomField
from cerebench_datasets.insilico.kinds.growth import (
    absent,
    ball_radius,
    box_around,
    draw_voxel,
    fill,
    lognormal_ml,
    lowest,
    placed,
    share,
    voxel_centre,
)
from cerebench_datasets.insilico.kinds.kind import Block, Draw, Kind, Signal
from cerebench_datasets.insilico.lesion import Lesion

_CAVITY_LIMITS_ML, _TUMOUR_LIMITS_ML, _AROUND_LIMITS_ML = (2.0, 90.0), (0.3, 60.0), (3.0, 180.0)
_NECROSIS = 0.3
_LOWEST_Z_MM, _OFF_MIDLINE_MM, _DEPTH_MM = -25.0, 12.0, (8.0, 25.0)
_MIDDLE_MM = (0.0, -20.0, 5.0)
_ELONGATION = (1.2, 1.6)
_BULGE_MM, _PATCH_MM, _TEXTURE_MM = 14.0, 18.0, 8.0
_BULGE, _UNEVEN = 0.18, 0.15
_PATCHINESS_MM, _ROUGHNESS_MM = 7.0, 1.5
_WHITE_MATTER_LEAD_MM, _FLUID_DELAY_MM, _MIDLINE_DELAY_MM = 15.0, 30.0, 30.0
_EDGE_MM, _AROUND_EDGE_MM = 1.5, 4.0


class TreatedGlioma(Block):
    """Glioma after surgery. Volumes are lognormal: median in ml and standard deviation of the logarithm.

    Attributes:
        resected: share of patients with a resection cavity; the others had no resection, their tumour is round.
        cavity_ml: median of the cavity; it does not change between visits.
        cavity_spread: standard deviation of its logarithm.
        residual: share of patients with enhancing tumour where there is a cavity.
        tumour_ml: median of enhancing tumour and necrosis.
        tumour_spread: standard deviation of its logarithm.
        necrosis: share of patients whose tumour has a non-enhancing part.
        around_ml: median of the surrounding hyperintensity.
        around_spread: standard deviation of its logarithm.
    """

    resected: float = Field(0.8, ge=0, le=1)
    cavity_ml: float = Field(15.0, gt=0)
    cavity_spread: float = Field(0.8, ge=0)
    residual: float = Field(0.75, ge=0, le=1)
    tumour_ml: float = Field(6.0, gt=0)
    tumour_spread: float = Field(1.0, ge=0)
    necrosis: float = Field(0.4, ge=0, le=1)
    around_ml: float = Field(45.0, gt=0)
    around_spread: float = Field(0.7, ge=0)


def grow_treated(draw: Draw, size: TreatedGlioma) -> Lesion:
    """The parts ``netc``, ``snfh``, ``et`` and ``rc`` (cavity) on the tissue's grid.

    Args:
        draw: the subject.
        size: volumes and shares.
    """
    if not draw.affected:
        return absent(draw.tissue, KIND.parts)
    rng, tissue = draw.rng, draw.tissue
    grid, voxel_ml = tissue.grid, tissue.grid.spacing**3 / 1000
    cavity_ml = lognormal_ml(rng, size.cavity_ml, size.cavity_spread, _CAVITY_LIMITS_ML)
    tumour_ml = lognormal_ml(rng, size.tumour_ml * draw.growth, size.tumour_spread, _TUMOUR_LIMITS_ML)
    around_ml = lognormal_ml(rng, size.around_ml * draw.growth, size.around_spread, _AROUND_LIMITS_ML)
    necrosis_ml = tumour_ml * share(rng, _NECROSIS) * (rng.random() < size.necrosis)
    resected, residual = rng.random() < size.resected, rng.random() < size.residual
    tumour_ml *= residual or not resected
    necrosis_ml = min(necrosis_ml, tumour_ml)
    cavity_ml *= resected
    elongation = rng.uniform(*_ELONGATION)
    bulges, patches, uneven = (RandomField(rng, scale) for scale in (_BULGE_MM, _PATCH_MM, _TEXTURE_MM))
    point = _middle(draw)

    inner_ml = cavity_ml + tumour_ml
    radius = ball_radius(max(cavity_ml, tumour_ml))
    box, offset = box_around(tissue, point, 2.3 * ball_radius(inner_ml + around_ml) + 8)
    # cavities open towards the surface, where the surgeon came from
    outward = point - _MIDDLE_MM
    outward /= np.linalg.norm(outward)
    distance = np.sqrt(sum(part**2 for part in offset))
    along = sum(part * towards for part, towards in zip(offset, outward, strict=True))
    across = np.sqrt(np.maximum(distance**2 - along**2, 0))
    narrow = elongation ** (-1 / 3)
    shape = np.hypot(across / narrow, along / (narrow * elongation))
    x = grid.axes[0][box[0]][:, None, None]
    other_side = _MIDLINE_DELAY_MM * np.clip(-x * np.sign(point[0]) / 4, 0, 1)
    outside = np.float32(1e6) * (tissue.brain[box] < 0.5)
    front = shape + _BULGE * radius * bulges.on(grid)[box] + other_side + outside

    cavity, tumour, necrosis = (np.zeros_like(front) for _ in range(3))
    if cavity_ml > 0:
        cavity = fill(front, cavity_ml / voxel_ml, _EDGE_MM)
    if tumour_ml > 0:
        texture = _ROUGHNESS_MM * uneven.on(grid)[box] + np.float32(1e6) * (cavity > 0.5)
        patchiness = _PATCHINESS_MM * patches.on(grid)[box] * (cavity_ml > 0)
        margin = front + _FLUID_DELAY_MM * tissue.csf[box]
        tumour = np.minimum(lowest(margin + patchiness + texture, tumour_ml / voxel_ml, _EDGE_MM), 1 - cavity)
    if necrosis_ml > 0:
        necrosis = np.minimum(fill(-_depth(tumour > 0.5, grid.spacing), necrosis_ml / voxel_ml, _EDGE_MM), tumour)
    inner = cavity + tumour
    spread = distance + _BULGE * radius * patches.on(grid)[box] - _WHITE_MATTER_LEAD_MM * tissue.wm[box]
    spread = np.where(inner > 0.5, -1e6, spread + _FLUID_DELAY_MM * tissue.csf[box] + other_side + outside)
    around = np.maximum(fill(spread, (inner_ml + around_ml) / voxel_ml, _AROUND_EDGE_MM) - inner, 0)
    severity = 1 - _UNEVEN + _UNEVEN * np.clip(uneven.on(grid)[box], -1, 1)
    found = {"netc": necrosis, "snfh": around, "et": tumour - necrosis, "rc": cavity}
    extent = {part: values * tissue.brain[box] for part, values in found.items()}
    shown = extent | {"snfh": extent["snfh"] * severity}
    return Lesion(
        {part: placed(grid.shape, box, values) for part, values in extent.items()},
        {part: placed(grid.shape, box, values) for part, values in shown.items()},
    )


def _middle(draw: Draw) -> np.ndarray:
    """Middle of the cavity in mm: beneath the cortex of a hemisphere."""
    tissue = draw.tissue
    x = tissue.grid.axes[0][:, None, None]
    near, far = _DEPTH_MM
    weights = tissue.wm * (tissue.depth > near) * (tissue.depth < far) * (np.abs(x) > _OFF_MIDLINE_MM)
    return voxel_centre(tissue, draw_voxel(draw.rng, weights * (tissue.template_z > _LOWEST_Z_MM)))


def _depth(inside: np.ndarray, spacing: float) -> np.ndarray:
    """Distance in mm from the border, inside."""
    from scipy import ndimage

    found: np.ndarray = ndimage.distance_transform_edt(inside, sampling=spacing).astype(np.float32)
    return found


KIND = Kind(
    name="treated-glioma",
    signals={
        "netc": Signal(t1_ms=2500, t2_ms=250, density=0.92, t1=0.45, t1c=0.48, adc=1.6),
        "snfh": Signal(t1_ms=1500, t2_ms=160, density=0.85, t1=0.72, t1c=0.73, adc=1.4),
        "et": Signal(t1_ms=1300, t2_ms=120, density=0.82, t1=0.80, t1c=1.40, adc=1.1),
        "rc": Signal(t1_ms=3400, t2_ms=310, density=1.0, t1=0.31, t1c=0.32, adc=2.8),
    },
    parameters=TreatedGlioma,
    grow=grow_treated,
)
