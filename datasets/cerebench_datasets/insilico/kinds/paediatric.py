"""Paediatric glioma: mostly of the midline (pons, thalamus), largely non-enhancing, with cysts in some patients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydantic import Field

from cerebench_datasets.insilico.fields import RandomField
from cerebench_datasets.insilico.kinds.growth import (
    absent,
    ball_radius,
    box_around,
    compress,
    draw_voxel,
    fill,
    lognormal_ml,
    lowest,
    movable,
    placed,
    share,
    voxel_centre,
)
from cerebench_datasets.insilico.kinds.kind import Block, Draw, Kind, Signal
from cerebench_datasets.insilico.lesion import Lesion

_SMALLEST_ML, _OEDEMA_LIMITS_ML = 3.0, (0.2, 80.0)
_MOST_OEDEMA, _MOST_CYST = 2.0, 0.6
_SITE_MM = 3.5
_SHAPE_MM, _TEXTURE_MM = 16.0, 8.0
_BULGE, _PATCHY, _UNEVEN, _ASIDE = 0.15, 0.25, 0.2, 0.35
_FLUID_DELAY_MM, _WHITE_MATTER_LEAD_MM = 25.0, 12.0
_EDGE_MM, _CYST_EDGE_MM, _OEDEMA_EDGE_MM = 4.0, 1.5, 4.0


@dataclass(frozen=True)
class _Site:
    """Where a tumour grows.

    Attributes:
        most_ml: largest volume there.
        axes: semi-axes of its shape along x, y and z, relative to a ball's.
        at: point in mm on the right side; none: the white matter of a hemisphere.
    """

    most_ml: float
    axes: tuple[float, float, float]
    at: tuple[float, float, float] | None = None


_SITES = {
    "pons": _Site(55.0, (0.95, 0.85, 1.25), (2.0, -26.0, -36.0)),
    "thalamus": _Site(90.0, (0.9, 1.1, 1.0), (13.0, -18.0, 8.0)),
    "hemisphere": _Site(150.0, (1.0, 1.0, 1.0)),
}


class PaediatricGlioma(Block):
    """Paediatric high-grade glioma. Volumes are lognormal: median in ml and standard deviation of the logarithm.

    Attributes:
        volume_ml: median of the tumour without oedema.
        volume_spread: standard deviation of its logarithm.
        pons, thalamus: shares of patients; the others' tumours lie in the white matter of a hemisphere.
        enhancing: share of patients with enhancement.
        enhancing_share: mean share of the tumour that enhances where some of it does.
        cyst: share of patients with a cyst.
        cyst_share: mean share of the tumour that is cyst where there is one.
        oedema: share of patients with oedema.
        oedema_ml: its median volume where there is some.
        oedema_spread: standard deviation of its logarithm.
        mass_effect: displacement of the tissue around, as a share of the tumour's radius.
    """

    volume_ml: float = Field(38.0, gt=0)
    volume_spread: float = Field(0.6, ge=0)
    pons: float = Field(0.6, ge=0, le=1)
    thalamus: float = Field(0.25, ge=0, le=1)
    enhancing: float = Field(0.89, ge=0, le=1)
    enhancing_share: float = Field(0.23, gt=0, lt=1)
    cyst: float = Field(0.35, ge=0, le=1)
    cyst_share: float = Field(0.2, gt=0, lt=1)
    oedema: float = Field(0.58, ge=0, le=1)
    oedema_ml: float = Field(1.0, gt=0)
    oedema_spread: float = Field(1.5, ge=0)
    mass_effect: float = Field(0.35, ge=0, le=0.5)


def grow_paediatric(draw: Draw, size: PaediatricGlioma) -> Lesion:
    """The parts ``et``, ``net``, ``cyst`` and ``ed`` on the tissue's grid.

    Args:
        draw: the subject; its tissue is changed in place by the mass effect.
        size: volumes, shares, sites and mass effect.
    """
    if not draw.affected:
        return absent(draw.tissue, KIND.parts)
    rng = draw.rng
    named = size.pons + size.thalamus
    chances = np.array([size.pons, size.thalamus, max(1 - named, 0)]) / max(named, 1)
    site = _SITES[str(rng.choice(list(_SITES), p=chances))]
    limits = (_SMALLEST_ML, site.most_ml)
    tumour_ml = lognormal_ml(rng, size.volume_ml * draw.growth, size.volume_spread, limits)
    oedema_ml = lognormal_ml(rng, size.oedema_ml * draw.growth, size.oedema_spread, _OEDEMA_LIMITS_ML)
    oedema_ml = min(oedema_ml, _MOST_OEDEMA * tumour_ml)
    enhancing_ml, cyst_ml = tumour_ml * share(rng, size.enhancing_share), tumour_ml * share(rng, size.cyst_share)
    enhancing_ml *= rng.random() < size.enhancing
    cyst_ml = min(cyst_ml * (rng.random() < size.cyst), _MOST_CYST * tumour_ml)
    oedema_ml *= rng.random() < size.oedema
    bulges, uneven = RandomField(rng, _SHAPE_MM), RandomField(rng, _TEXTURE_MM)
    aside = rng.standard_normal(3)
    point = _start(draw, site)

    tissue = movable(draw.tissue, draw.displace)
    grid, voxel_ml = tissue.grid, tissue.grid.spacing**3 / 1000
    radius = ball_radius(tumour_ml)
    reach = max(2.4 * max(site.axes) * radius, 2 * ball_radius(tumour_ml + oedema_ml)) + 4
    box, offset = box_around(tissue, point, reach)
    stretched = np.sqrt(sum((part / axis) ** 2 for part, axis in zip(offset, site.axes, strict=True)))
    if size.mass_effect > 0:
        compress(tissue, box, offset, stretched / radius, size.mass_effect)

    texture = uneven.on(grid)[box]
    outside = np.float32(1e6) * (tissue.brain[box] < 0.5)
    barrier = _FLUID_DELAY_MM * tissue.csf[box] + outside
    front = stretched + _BULGE * radius * bulges.on(grid)[box] + barrier
    tumour = fill(front, tumour_ml / voxel_ml, _EDGE_MM)
    inside = np.float32(1e6) * (tumour < 0.5)
    cyst, enhancing, oedema = (np.zeros_like(tumour) for _ in range(3))
    # cysts are round; enhancement is patchy, around the cyst where there is one
    middle = _ASIDE * radius * aside / np.linalg.norm(aside)
    apart = np.sqrt(sum((part - at) ** 2 for part, at in zip(offset, middle, strict=True)))
    if cyst_ml > 0:
        uneven_wall = apart + _BULGE * radius * bulges.on(grid)[box]
        cyst = np.minimum(fill(uneven_wall + inside, cyst_ml / voxel_ml, _CYST_EDGE_MM), tumour)
    if enhancing_ml > 0:
        patches = apart + _PATCHY * radius * texture + inside + np.float32(1e6) * (cyst > 0.5)
        enhancing = np.minimum(lowest(patches, enhancing_ml / voxel_ml, _EDGE_MM / 2), tumour - cyst)
    if oedema_ml > 0:
        # on one side rather than all around
        spread = front + _PATCHY * radius * texture - _WHITE_MATTER_LEAD_MM * tissue.wm[box]
        spread = np.where(tumour > 0.5, -1e6, spread)
        oedema = np.maximum(fill(spread, (tumour_ml + oedema_ml) / voxel_ml, _OEDEMA_EDGE_MM) - tumour, 0)
    brain = tissue.brain[box]
    solid = np.maximum(tumour - cyst - enhancing, 0)
    extent = {"et": enhancing * brain, "net": solid * brain, "cyst": cyst * brain, "ed": oedema * brain}
    severity = 1 - _UNEVEN + _UNEVEN * np.clip(texture, -1, 1)
    shown = extent | {part: extent[part] * severity for part in ("net", "ed")}
    return Lesion(
        {part: placed(grid.shape, box, values) for part, values in extent.items()},
        {part: placed(grid.shape, box, values) for part, values in shown.items()},
    )


def _start(draw: Draw, site: _Site) -> np.ndarray:
    """Middle of the tumour in mm."""
    rng, tissue = draw.rng, draw.tissue
    side = 1.0 if rng.random() < 0.5 else -1.0
    x, y, z = np.meshgrid(*tissue.grid.axes, indexing="ij", sparse=True)
    if site.at is None:
        weights = tissue.wm * (tissue.depth > 14) * (tissue.template_z > 0) * (x * side > 12)
    else:
        square = (x - side * site.at[0]) ** 2 + (y - site.at[1]) ** 2 + (z - site.at[2]) ** 2
        weights = np.exp(-square / (2 * _SITE_MM**2)) * (tissue.gm + tissue.wm)
    return voxel_centre(tissue, draw_voxel(rng, weights))


KIND = Kind(
    name="paediatric-glioma",
    signals={
        "et": Signal(t1_ms=1300, t2_ms=125, density=0.83, t1=0.74, t1c=1.35, adc=1.0),
        "net": Signal(t1_ms=1500, t2_ms=150, density=0.87, t1=0.64, t1c=0.66, adc=1.25),
        "cyst": Signal(t1_ms=3300, t2_ms=300, density=0.98, t1=0.38, t1c=0.39, adc=2.5),
        "ed": Signal(t1_ms=1400, t2_ms=140, density=0.84, t1=0.76, t1c=0.77, adc=1.4),
    },
    parameters=PaediatricGlioma,
    grow=grow_paediatric,
)
