"""White matter hyperintensities: caps and bands at the lateral ventricles, deep foci, and at times an old infarct."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from cerebench_datasets.insilico.fields import RandomField
from cerebench_datasets.insilico.kinds.growth import (
    absent,
    ball_radius,
    box_around,
    ellipsoid,
    lognormal_ml,
    lowest,
    share,
    voxel_centre,
)
from cerebench_datasets.insilico.kinds.kind import Block, Draw, Kind, Signal
from cerebench_datasets.insilico.lesion import Lesion

_LIMITS_ML = (0.4, 90.0)
_FOCUS_LIMITS_ML, _FOCUS_SPREAD = (0.005, 3.0), 1.0
_MOST_FOCI = 400
_SHAPE_MM, _BULGE = 10.0, 0.35
_CAP_REACH = {"frontal": 1.6, "occipital": 1.8}
_WALL_MM, _FLUID_PENALTY_MM, _GREY_PENALTY_MM, _CALLOSUM_PENALTY_MM = 1.5, 4.0, 30.0, 15.0
_EDGE_MM, _FOCUS_EDGE_MM, _FOCUS_ELONGATION = 2.0, 1.0, 1.3
_SEVERITY = (0.55, 1.0)
_LACUNE_MM, _INFARCT_MM = (2.0, 6.0), (8.0, 18.0)
_LACUNE_CHANCE, _CAVITY, _GLIOSIS = 0.6, 0.65, 0.8


class Hyperintensities(Block):
    """White matter hyperintensities of presumed vascular origin. Volumes are lognormal.

    Attributes:
        volume_ml: median of the whole load (0.4 to 90 ml).
        volume_spread: standard deviation of its logarithm.
        periventricular: mean share of caps and bands in the load; deep foci are the rest.
        focus_ml: median volume of a deep focus.
        other: share of patients with an old lacune or cortical infarct.
    """

    volume_ml: float = Field(9.0, gt=0)
    volume_spread: float = Field(0.9, ge=0)
    periventricular: float = Field(0.7, gt=0, lt=1)
    focus_ml: float = Field(0.06, gt=0)
    other: float = Field(0.2, ge=0, le=1)


def grow_hyperintensities(draw: Draw, load: Hyperintensities) -> Lesion:
    """The parts ``wmh`` and ``other`` (old infarct, with a gliotic rim that shows as ``wmh`` but belongs to it).

    Args:
        draw: the subject; the load grows with ``draw.growth``, at the same places.
        load: volumes and shares.
    """
    rng, tissue = draw.rng, draw.tissue
    if not draw.affected:
        return absent(tissue, ("wmh", "other"))
    whole = lognormal_ml(rng, load.volume_ml, load.volume_spread, _LIMITS_ML)
    near = whole * share(rng, load.periventricular)
    extent, shown = _bands(draw, near * draw.growth)
    _add_foci(draw, load, whole - near, extent, shown)
    white = (tissue.brain - tissue.csf).clip(0, 1)
    extent, shown = extent * white, shown * white
    other, cavity = _old_infarct(draw, load.other)
    shown = np.maximum(np.where(other > 0, 0, shown), _GLIOSIS * (other - cavity))
    return Lesion({"wmh": np.minimum(extent, 1 - other), "other": other}, {"wmh": shown, "other": cavity})


def _bands(draw: Draw, volume_ml: float) -> tuple[np.ndarray, np.ndarray]:
    """Extent and shown share of caps and bands: a front from the lateral ventricles, faster at the horns."""
    tissue = draw.tissue
    bulges = RandomField(draw.rng, _SHAPE_MM, asymmetry=0.5).on(tissue.grid)
    occipital = draw.rng.lognormal(0, 0.2)
    x, y, _ = np.meshgrid(*tissue.grid.axes, indexing="ij", sparse=True)
    z = tissue.template_z
    frontal_horn = np.exp(-(((y - 32) / 9) ** 2) - ((np.abs(x) - 17) / 9) ** 2 - ((z - 6) / 14) ** 2)
    occipital_horn = np.exp(-(((y + 58) / 14) ** 2) - ((np.abs(x) - 27) / 10) ** 2 - ((z - 12) / 14) ** 2)
    speed = 1 + _CAP_REACH["frontal"] * frontal_horn + occipital * _CAP_REACH["occipital"] * occipital_horn
    front = np.maximum(tissue.ventricle_distance - _WALL_MM, 0) * np.exp(_BULGE * bulges) / speed
    front += _GREY_PENALTY_MM * np.clip(1 - 1.5 * tissue.wm, 0, 1) + _FLUID_PENALTY_MM * tissue.csf
    front += _CALLOSUM_PENALTY_MM * np.exp(-((x / 14) ** 4)) * np.clip((10 - y) / 20, 0, 1)
    # other fluid than the lateral ventricles': the fissure between the hemispheres, cisterns, the insula
    front += np.float32(1e6) * ((np.abs(x) < 4) | (np.abs(x) > 42) | (z < -6) | (z > 42) | (tissue.depth < 14))
    voxels = volume_ml / (tissue.grid.spacing**3 / 1000)
    extent = lowest(front, voxels, _EDGE_MM, (tissue.brain - tissue.csf).clip(0, 1))
    severity = np.clip(0.85 + 0.1 * bulges, *_SEVERITY)
    return extent, extent * severity


def _add_foci(draw: Draw, load: Hyperintensities, volume_ml: float, extent: np.ndarray, shown: np.ndarray) -> None:
    """Add deep foci in place until their volumes at the first visit sum up to ``volume_ml``; later they have grown."""
    rng, tissue = draw.rng, draw.tissue
    away = tissue.ventricle_distance
    weight = tissue.wm**2 * (tissue.depth > 7) * (tissue.template_z > -12) * np.clip((away - 5) / 10, 0, 1)
    weight *= 1 + 2 * np.exp(-(((away - 15) / 8) ** 2))
    sites = np.flatnonzero(weight.ravel() > 0.1)
    cumulative = np.cumsum(weight.ravel()[sites], dtype=np.float64)
    left = volume_ml
    for _ in range(_MOST_FOCI):
        first_ml = lognormal_ml(rng, load.focus_ml, _FOCUS_SPREAD, _FOCUS_LIMITS_ML)
        site = np.unravel_index(sites[np.searchsorted(cumulative, rng.random() * cumulative[-1])], tissue.grid.shape)
        centre = voxel_centre(tissue, site) + rng.uniform(-0.5, 0.5, 3) * tissue.grid.spacing
        severity = rng.uniform(*_SEVERITY)
        radius = ball_radius(first_ml * draw.growth)
        box, ramp = ellipsoid(tissue, centre, radius, _FOCUS_ELONGATION, rng, _FOCUS_EDGE_MM)
        left -= first_ml
        if left < 0:
            break
        extent[box] = np.maximum(extent[box], ramp)
        shown[box] = np.maximum(shown[box], ramp * severity)


def _old_infarct(draw: Draw, chance: float) -> tuple[np.ndarray, np.ndarray]:
    """Extent of the old infarct and of its fluid-filled cavity; empty in most patients."""
    rng, tissue = draw.rng, draw.tissue
    present, lacune, size = rng.random() < chance, rng.random() < _LACUNE_CHANCE, rng.random()
    at, bend = rng.random(), RandomField(rng, _SHAPE_MM)
    extent, cavity = np.zeros(tissue.grid.shape, np.float32), np.zeros(tissue.grid.shape, np.float32)
    if not present:
        return extent, cavity
    limits = _LACUNE_MM if lacune else _INFARCT_MM
    radius = limits[0] + size * (limits[1] - limits[0])
    x, y, _ = np.meshgrid(*tissue.grid.axes, indexing="ij", sparse=True)
    ganglia = (np.abs(x) > 10) & (np.abs(x) < 34) & (np.abs(y + 5) < 30) & (np.abs(tissue.template_z - 10) < 18)
    place = ganglia * (tissue.ventricle_distance > 3) if lacune else tissue.gm * (tissue.depth < 12)
    weight = (tissue.brain - tissue.csf) * place * (tissue.template_z > -15)
    cumulative = np.cumsum(weight.ravel(), dtype=np.float64)
    index = np.unravel_index(np.searchsorted(cumulative, at * cumulative[-1]), weight.shape)
    centre = voxel_centre(tissue, index)
    box, (dx, dy, dz) = box_around(tissue, centre, 1.4 * radius + 2)
    uneven = 1 + 0.2 * np.clip(bend.on(tissue.grid)[box], -1.5, 1.5)
    distance = np.sqrt(dx**2 + dy**2 + dz**2)
    edge = max(_FOCUS_EDGE_MM, tissue.grid.spacing / 2)
    tissue_share = (tissue.brain - tissue.csf)[box].clip(0, 1)
    extent[box] = np.clip(0.5 + (radius * uneven - distance) / edge, 0, 1) * tissue_share
    cavity[box] = np.clip(0.5 + (_CAVITY * radius * uneven - distance) / edge, 0, 1) * tissue_share
    return extent, cavity


KIND = Kind(
    name="wmh",
    signals={
        "wmh": Signal(t1_ms=1050, t2_ms=110, density=0.82, t1=0.80, t1c=0.81, adc=1.1),
        "other": Signal(t1_ms=3400, t2_ms=290, density=0.97, t1=0.40, t1c=0.41, adc=2.4),
    },
    parameters=Hyperintensities,
    grow=grow_hyperintensities,
)
