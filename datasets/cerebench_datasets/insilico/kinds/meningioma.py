"""Meningioma: extra-axial, broad-based on the brain's surface or the falx, enhancing evenly, pushing the cortex in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from cerebench_datasets.insilico.anatomy import Tissue
from cerebench_datasets.insilico.fields import RandomField
from cerebench_datasets.insilico.kinds.growth import (
    absent,
    ball_radius,
    box_around,
    compress,
    draw_voxel,
    fill,
    lognormal_ml,
    movable,
    placed,
    voxel_centre,
)
from cerebench_datasets.insilico.kinds.kind import Block, Draw, Kind, Signal
from cerebench_datasets.insilico.lesion import Lesion

_LIMITS_ML, _OEDEMA_LIMITS_ML, _CORE_LIMITS_ML = (0.8, 120.0), (1.0, 150.0), (0.02, 40.0)
_MOST_OEDEMA = 5.0
_CORE_ML, _CORE_SPREAD, _MOST_CORE = 0.32, 1.5, 0.4
_RIM = 6.0
_MIDDLE = 0.45
"""Height of the tumour's middle above its base, as a share of its height."""

_SURFACE_MM, _SITE_MM = 2.0, 9.0
_FLATNESS = (0.7, 1.1)
_LOBULES_MM, _TEXTURE_MM, _LOBULATION = 12.0, 7.0, 0.08
_EDGE_MM, _OEDEMA_EDGE_MM = 1.5, 4.0
_WHITE_MATTER_LEAD_MM, _FLUID_DELAY_MM, _WALL_MM = 15.0, 30.0, 40.0
_UNEVEN = 0.15


_Where = Callable[[Tissue, float], np.ndarray]


def _near(*points: tuple[float, float, float]) -> _Where:
    """Surface around points in mm, given on the right side."""

    def weights(tissue: Tissue, side: float) -> np.ndarray:
        x, y, z = _millimetres(tissue)
        squares = [(x - side * at[0]) ** 2 + (y - at[1]) ** 2 + (z - at[2]) ** 2 for at in points]
        found: np.ndarray = _surface(tissue) * sum(np.exp(-square / (2 * _SITE_MM**2)) for square in squares)
        return found

    return weights


def _convexity(tissue: Tissue, side: float) -> np.ndarray:
    found: np.ndarray = _surface(tissue) * (_millimetres(tissue)[0] * side > 22) * (tissue.template_z > 0)
    return found


def _parasagittal(tissue: Tissue, side: float) -> np.ndarray:
    lateral = _millimetres(tissue)[0] * side
    found: np.ndarray = _surface(tissue) * (lateral > 2) * (lateral < 14) * (tissue.template_z > 35)
    return found


def _falx(tissue: Tissue, side: float) -> np.ndarray:
    """The interhemispheric fissure above the corpus callosum, away from the surface."""
    lateral = _millimetres(tissue)[0] * side
    found: np.ndarray = tissue.csf * (lateral > 0) * (lateral < 4) * (tissue.depth > 8) * (tissue.template_z > 30)
    return found


def _surface(tissue: Tissue) -> np.ndarray:
    found: np.ndarray = np.exp(-((tissue.depth / _SURFACE_MM - 1) ** 2)) * (tissue.brain > 0.9)
    return found


def _millimetres(tissue: Tissue) -> list[np.ndarray]:
    return list(np.meshgrid(*tissue.grid.axes, indexing="ij", sparse=True))


@dataclass(frozen=True)
class _Site:
    """Where a meningioma is attached.

    Attributes:
        chance: share of tumours.
        where: how likely each voxel is the middle of the attachment, for a side (1 right, -1 left).
        inward: direction of growth on the right side; ``None`` is towards the middle of the brain.
        falx: beside the falx, which the tumour does not cross.
    """

    chance: float
    where: _Where
    inward: tuple[float, float, float] | None = None
    falx: bool = False


_SITES = {
    "convexity": _Site(0.32, _convexity),
    "parasagittal": _Site(0.16, _parasagittal, (0.5, 0.0, -0.8), falx=True),
    "falx": _Site(0.10, _falx, (1.0, 0.0, 0.0), falx=True),
    "sphenoid wing": _Site(0.18, _near((32.0, 14.0, -22.0)), (0.1, 0.1, 1.0)),
    "anterior base": _Site(0.15, _near((6.0, 36.0, -24.0), (4.0, 12.0, -20.0)), (0.0, 0.2, 1.0)),
    "posterior fossa": _Site(0.09, _near((20.0, -34.0, -38.0), (40.0, -60.0, -40.0))),
}
_MIDDLE_MM = (0.0, -20.0, 5.0)


class Meningioma(Block):
    """Meningioma. Volumes are lognormal: median in ml and standard deviation of the logarithm.

    Attributes:
        volume_ml: median of the tumour without oedema.
        volume_spread: standard deviation of its logarithm.
        oedema: share of patients with oedema.
        oedema_ml: median volume of oedema where there is some; at most five times the tumour.
        oedema_spread: standard deviation of its logarithm.
        core: share of patients with a non-enhancing (calcified) core.
        mass_effect: displacement of the cortex at the tumour's border, as a share of the tumour's radius.
    """

    volume_ml: float = Field(9.0, gt=0)
    volume_spread: float = Field(1.0, ge=0)
    oedema: float = Field(0.54, ge=0, le=1)
    oedema_ml: float = Field(17.0, gt=0)
    oedema_spread: float = Field(1.0, ge=0)
    core: float = Field(0.34, ge=0, le=1)
    mass_effect: float = Field(0.6, ge=0, le=0.8)


def grow_meningioma(draw: Draw, size: Meningioma) -> Lesion:
    """The parts ``netc``, ``snfh`` and ``et`` on the tissue's grid.

    Args:
        draw: the subject; its tissue is changed in place by the mass effect.
        size: volumes, shares and mass effect.
    """
    if not draw.affected:
        return absent(draw.tissue, KIND.parts)
    rng = draw.rng
    tumour_ml = lognormal_ml(rng, size.volume_ml * draw.growth, size.volume_spread, _LIMITS_ML)
    oedema_ml = lognormal_ml(rng, size.oedema_ml * draw.growth, size.oedema_spread, _OEDEMA_LIMITS_ML)
    oedema_ml = min(oedema_ml, _MOST_OEDEMA * tumour_ml)
    core_ml = min(lognormal_ml(rng, _CORE_ML, _CORE_SPREAD, _CORE_LIMITS_ML), _MOST_CORE * tumour_ml)
    oedema_ml *= rng.random() < size.oedema
    core_ml *= rng.random() < size.core
    flatness = rng.uniform(*_FLATNESS)
    name = str(rng.choice(list(_SITES), p=[site.chance for site in _SITES.values()]))
    point, inward = _attachment(draw, _SITES[name])
    lobules, uneven = RandomField(rng, _LOBULES_MM), RandomField(rng, _TEXTURE_MM)

    tissue = movable(draw.tissue, draw.displace)
    grid, voxel_ml = tissue.grid, tissue.grid.spacing**3 / 1000
    # half an ellipsoid lies inside the brain
    radius = ball_radius(2 * tumour_ml / flatness)
    reach = 2.4 * max(radius, ball_radius(tumour_ml + oedema_ml) / 2)
    box, offset = box_around(tissue, point, reach)
    height = sum(part * along for part, along in zip(offset, inward, strict=True))
    distance = np.sqrt(sum(part**2 for part in offset))
    across = np.sqrt(np.maximum(distance**2 - height**2, 0))
    level = np.hypot(across, height / flatness) / radius
    if size.mass_effect > 0:
        compress(tissue, box, offset, level, size.mass_effect)

    x = grid.axes[0][box[0]][:, None, None]
    outside = np.float32(1e6) * (tissue.brain[box] < 0.5)
    wall = _WALL_MM * (-x * np.sign(point[0]) > 0.5) * _SITES[name].falx
    front = radius * (level + _LOBULATION * lobules.on(grid)[box]) + wall + outside
    texture = uneven.on(grid)[box]
    from_middle = np.sqrt(across**2 + (height - _MIDDLE * flatness * radius) ** 2)
    tumour = fill(front, tumour_ml / voxel_ml, _EDGE_MM)
    core = np.zeros_like(tumour)
    if core_ml > 0:
        inner = from_middle + 0.3 * radius * texture + _RIM * radius * np.maximum(level - 0.7, 0)
        core = np.minimum(fill(inner, core_ml / voxel_ml, _EDGE_MM), tumour)
    oedema = np.zeros_like(tumour)
    if oedema_ml > 0:
        spread = from_middle + 0.2 * radius * texture + wall + outside
        spread += _FLUID_DELAY_MM * tissue.csf[box] - _WHITE_MATTER_LEAD_MM * tissue.wm[box]
        spread = np.where(tumour > 0.5, -1e6, spread)
        oedema = np.maximum(fill(spread, (tumour_ml + oedema_ml) / voxel_ml, _OEDEMA_EDGE_MM) - tumour, 0)
    severity = 1 - _UNEVEN + _UNEVEN * np.clip(texture, -1, 1)
    brain = tissue.brain[box]
    extent = {"netc": core * brain, "snfh": oedema * brain, "et": (tumour - core) * brain}
    shown = extent | {"snfh": extent["snfh"] * severity}
    return Lesion(
        {part: placed(grid.shape, box, values) for part, values in extent.items()},
        {part: placed(grid.shape, box, values) for part, values in shown.items()},
    )


def _attachment(draw: Draw, site: _Site) -> tuple[np.ndarray, np.ndarray]:
    """Point of attachment in mm and unit direction of growth."""
    side = 1.0 if draw.rng.random() < 0.5 else -1.0
    point = voxel_centre(draw.tissue, draw_voxel(draw.rng, site.where(draw.tissue, side)))
    inward = np.asarray(_MIDDLE_MM) - point if site.inward is None else np.asarray(site.inward) * (side, 1, 1)
    return point, inward / np.linalg.norm(inward)


KIND = Kind(
    name="meningioma",
    signals={
        "netc": Signal(t1_ms=1200, t2_ms=55, density=0.55, t1=0.62, t1c=0.64, adc=0.8),
        "snfh": Signal(t1_ms=1500, t2_ms=160, density=0.85, t1=0.72, t1c=0.73, adc=1.5),
        "et": Signal(t1_ms=1050, t2_ms=92, density=0.85, t1=0.77, t1c=1.75, adc=0.9),
    },
    parameters=Meningioma,
    grow=grow_meningioma,
)
