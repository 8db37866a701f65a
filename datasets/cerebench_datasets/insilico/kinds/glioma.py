"""High-grade glioma: a necrotic centre, an enhancing rim, oedema that follows white matter, and a mass effect."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from pydantic import Field

from cerebench_datasets.insilico.fields import RandomField
from cerebench_datasets.insilico.kinds.growth import MOVED, draw_voxel, fill, push, share
from cerebench_datasets.insilico.kinds.kind import Block, Draw, Kind, Signal
from cerebench_datasets.insilico.lesion import Lesion

_LIMITS_ML = (5.0, 220.0)
_LOWEST_Z_MM = -25.0
_SHAPE_MM, _TEXTURE_MM = 16.0, 8.0
_WHITE_MATTER_LEAD_MM, _FLUID_DELAY_MM, _MIDLINE_DELAY_MM = 15.0, 30.0, 15.0
_BULGE, _UNEVEN = 0.2, 0.15
_EDGE_MM = {"core": 2.0, "ed": 4.0}


class Glioma(Block):
    """High-grade glioma. Volumes are lognormal: median in ml and standard deviation of the logarithm.

    Attributes:
        volume_ml: median of the whole tumour.
        volume_spread: standard deviation of its logarithm.
        core_share: mean share of the tumour core (necrosis and enhancing rim) in the whole.
        necrosis_share: mean share of necrosis in the core.
        mass_effect: displacement of the tissue around, as a share of the core's radius.
    """

    volume_ml: float = Field(80.0, gt=0)
    volume_spread: float = Field(0.6, ge=0)
    core_share: float = Field(0.33, gt=0, lt=1)
    necrosis_share: float = Field(0.3, gt=0, lt=1)
    mass_effect: float = Field(0.25, ge=0, le=0.5)


def grow_glioma(draw: Draw, size: Glioma) -> Lesion:
    """The parts ``ncr``, ``ed`` and ``et`` on the tissue's grid.

    Each part takes the voxels that a front reaches first, until its volume is full: the front is round but for random
    bulges, runs ahead in white matter (oedema), and stops at cerebrospinal fluid and the midline.

    Args:
        draw: the subject; its tissue is changed in place by the mass effect.
        size: volumes and mass effect.
    """
    rng, tissue = draw.rng, draw.tissue
    grid = tissue.grid
    voxel_ml = grid.spacing**3 / 1000
    whole = size.volume_ml * draw.growth * rng.lognormal(0, size.volume_spread)
    whole = float(np.clip(whole, *_LIMITS_ML))
    core_ml = whole * share(rng, size.core_share)
    necrosis_ml = core_ml * share(rng, size.necrosis_share)
    radius = (core_ml * 1000 * 3 / (4 * np.pi)) ** (1 / 3)

    x, y, z = np.meshgrid(*grid.axes, indexing="ij", sparse=True)
    likely = tissue.wm * (tissue.depth > min(12, radius)) * (tissue.template_z > _LOWEST_Z_MM) * (np.abs(x) > 8)
    centre = draw_voxel(rng, likely)
    cx, cy, cz = (axis[index] for axis, index in zip(grid.axes, centre, strict=True))
    distance = np.sqrt((x - cx) ** 2 + (y - cy) ** 2 + (z - cz) ** 2).astype(np.float32)
    bulges, spread, uneven = (RandomField(rng, scale).on(grid) for scale in (_SHAPE_MM, _SHAPE_MM, _TEXTURE_MM))
    if not draw.displace:
        tissue = replace(tissue, **{name: getattr(tissue, name).copy() for name in MOVED})
    if size.mass_effect > 0:
        offset = np.stack(np.broadcast_arrays(x - cx, y - cy, z - cz)).astype(np.float32)
        push(tissue, offset, distance, radius, size.mass_effect)

    outside = np.float32(1e6) * (tissue.brain < 0.5)
    other_side = _MIDLINE_DELAY_MM * np.clip(-x * np.sign(cx) / 4, 0, 1)
    ventricle = _FLUID_DELAY_MM * tissue.csf * (tissue.ventricle_distance < 3)
    rim_front = distance + _BULGE * radius * bulges + other_side + ventricle + outside
    core = fill(rim_front, core_ml / voxel_ml, _EDGE_MM["core"])
    inner_front = rim_front + _BULGE * radius * (uneven - bulges / 2)
    necrosis = np.minimum(fill(inner_front, necrosis_ml / voxel_ml, _EDGE_MM["core"]), core)
    # oedema is finger-like: white matter first, cortex late, sulci never
    spread_front = distance + _BULGE * radius * spread - _WHITE_MATTER_LEAD_MM * tissue.wm
    spread_front += _FLUID_DELAY_MM * tissue.csf + other_side + outside
    # the core belongs to the whole tumour, wherever the wider front would stop
    spread_front = np.where(core > 0.5, -1e6, spread_front)
    whole_extent = fill(spread_front, whole / voxel_ml, _EDGE_MM["ed"])
    extent = {"ncr": necrosis, "ed": np.maximum(whole_extent - core, 0), "et": core - necrosis}
    extent = {part: values * tissue.brain for part, values in extent.items()}
    severity = 1 - _UNEVEN + _UNEVEN * np.clip(uneven, -1, 1)
    return Lesion(extent, extent | {"ed": extent["ed"] * severity})


KIND = Kind(
    name="glioma",
    signals={
        "ncr": Signal(t1_ms=2500, t2_ms=250, density=0.92, t1=0.45, t1c=0.48),
        "ed": Signal(t1_ms=1500, t2_ms=160, density=0.85, t1=0.72, t1c=0.73),
        "et": Signal(t1_ms=1300, t2_ms=120, density=0.82, t1=0.80, t1c=1.40),
    },
    parameters=Glioma,
    grow=grow_glioma,
)
