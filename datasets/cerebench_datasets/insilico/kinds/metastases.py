"""Brain metastases: several round lesions at the grey–white junction, solid when small, ring-enhancing when large."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydantic import Field

from cerebench_datasets.insilico.anatomy import Tissue
from cerebench_datasets.insilico.fields import RandomField
from cerebench_datasets.insilico.kinds.growth import Box, absent, box_around, lowest, sphere_ml, uneven_border
from cerebench_datasets.insilico.kinds.kind import Block, Draw, Kind, Signal
from cerebench_datasets.insilico.lesion import Lesion

_LIMITS = (1, 60)
_LIMITS_MM = (3.0, 30.0)
_GROWN_MM = (2.0, 40.0)
_GROWTH_SPREAD = 1.5
_SHAPE_MM, _BULGE = 12.0, 0.12
_RIM_SHARE, _RIM_SPREAD, _THINNEST_MM = 0.35, 0.3, 1.5
_SOLID_BELOW_MM = 8.0
_GAP_MM = 3.0
_DEPTH = 0.7
_OEDEMA_SPREAD, _OEDEMA_LIMIT_ML, _OEDEMA_REACH_MM = 1.0, 60.0, 28.0
_WHITE_MATTER_LEAD_MM, _FLUID_DELAY_MM, _MIDLINE_DELAY_MM = 12.0, 25.0, 15.0
_EDGE_MM = {"core": 1.0, "snfh": 3.0}
_UPTAKE, _OEDEMA_SHOWN = (0.7, 1.0), (0.6, 1.0)


class Metastases(Block):
    """Brain metastases; counts, diameters and oedema are lognormal: median and standard deviation of the logarithm.

    Attributes:
        count: median number (1 to 60).
        count_spread: standard deviation of its logarithm.
        diameter_mm: median diameter of one metastasis at the first visit (3 to 30 mm).
        diameter_spread: standard deviation of its logarithm.
        cerebellar: share in the cerebellum.
        oedema: share of metastases with oedema; larger ones are likelier to have it.
        oedema_ratio: median volume of that oedema over the metastasis's own.
    """

    count: float = Field(4.5, gt=0)
    count_spread: float = Field(1.2, ge=0)
    diameter_mm: float = Field(8.0, gt=0)
    diameter_spread: float = Field(0.55, ge=0)
    cerebellar: float = Field(0.15, ge=0, le=1)
    oedema: float = Field(0.6, ge=0, le=1)
    oedema_ratio: float = Field(3.0, ge=0)


@dataclass(frozen=True)
class _Seed:
    """One metastasis as drawn, before it is put into voxels."""

    radius: float
    core_radius: float
    centre: np.ndarray
    uptake: float
    oedema_ml: float
    oedema_shown: float


def grow_metastases(draw: Draw, load: Metastases) -> Lesion:
    """The parts ``netc``, ``snfh`` and ``et``, and the number of the metastasis that each voxel belongs to.

    Args:
        draw: the subject. Each metastasis grows at a rate of its own between visits; some shrink.
        load: counts, sizes and places.
    """
    grid = draw.tissue.grid
    if not draw.affected:
        return absent(draw.tissue, ("netc", "snfh", "et"))
    extent = {part: np.zeros(grid.shape, np.float32) for part in ("netc", "snfh", "et")}
    shown = {part: np.zeros(grid.shape, np.float32) for part in extent}
    numbers = np.zeros(grid.shape, np.int16)
    bulges = RandomField(draw.rng, _SHAPE_MM).on(grid)
    seeds = _seeds(draw, load)
    owner = np.zeros(grid.shape, np.float32)
    # oedema first: where two lesions meet, a voxel belongs to the one that fills more of it
    for number, seed in enumerate(seeds, start=1):
        if seed.oedema_ml > 0:
            box, snfh = _oedema(draw.tissue, seed, bulges)
            extent["snfh"][box] = np.maximum(extent["snfh"][box], snfh)
            shown["snfh"][box] = np.maximum(shown["snfh"][box], snfh * seed.oedema_shown)
            _claim(owner, numbers, box, snfh, number)
    owner *= 0.5
    for number, seed in enumerate(seeds, start=1):
        box, tumour, netc = _nodule(draw.tissue, seed, bulges)
        extent["netc"][box] = np.maximum(extent["netc"][box], netc)
        extent["et"][box] = np.maximum(extent["et"][box], tumour - netc)
        shown["et"][box] = np.maximum(shown["et"][box], (tumour - netc) * seed.uptake)
        _claim(owner, numbers, box, tumour, number)
    solid = np.minimum(extent["netc"] + extent["et"], 1)
    free = np.minimum(extent["snfh"], 1 - solid)
    shown["snfh"] *= np.divide(free, extent["snfh"], out=np.zeros_like(free), where=extent["snfh"] > 0)
    extent["snfh"] = free
    extent["et"] = np.minimum(extent["et"], 1 - extent["netc"])
    shown["netc"] = extent["netc"]
    brain = draw.tissue.brain
    return Lesion(
        {part: values * brain for part, values in extent.items()},
        {part: values * brain for part, values in shown.items()},
        numbers,
    )


def _seeds(draw: Draw, load: Metastases) -> list[_Seed]:
    """Draw all metastases, the largest first; none touches another at the first visit."""
    rng, grid = draw.rng, draw.tissue.grid
    count = int(np.clip(round(load.count * rng.lognormal(0, load.count_spread)), *_LIMITS))
    diameters = np.clip(load.diameter_mm * rng.lognormal(0, load.diameter_spread, count), *_LIMITS_MM)
    places = _places(draw.tissue)
    seeds = []
    for first_mm in np.sort(diameters)[::-1]:
        name = "cerebellum" if rng.random() < load.cerebellar else "cerebrum"
        points, weights, depth = places[name]
        cumulative = np.cumsum(weights * (depth > _DEPTH * first_mm / 2))
        centre = points[np.searchsorted(cumulative, rng.random() * cumulative[-1])]
        centre = centre + rng.uniform(-0.5, 0.5, 3) * grid.spacing
        for points, weights, _ in places.values():
            # later ones are smaller, so twice the radius holds both
            weights *= np.where(_squared(points - centre) > (first_mm + _GAP_MM) ** 2, 1, 1e-12)
        rim_mm = max(_RIM_SHARE * first_mm / 2, _THINNEST_MM) * rng.lognormal(0, _RIM_SPREAD)
        uptake, oedema_shown = rng.uniform(*_UPTAKE), rng.uniform(*_OEDEMA_SHOWN)
        # the chance of oedema rises with size; at the median it is the parameter
        swollen = rng.random() < load.oedema ** min(load.diameter_mm / first_mm, 3)
        ratio = load.oedema_ratio * rng.lognormal(0, _OEDEMA_SPREAD)
        rate = draw.growth ** (1 + _GROWTH_SPREAD * draw.visit.standard_normal())
        radius = float(np.clip(first_mm * rate ** (1 / 3), *_GROWN_MM)) / 2
        core = max(radius - rim_mm, 0) if first_mm > _SOLID_BELOW_MM else 0.0
        oedema_ml = min(sphere_ml(radius) * ratio, _OEDEMA_LIMIT_ML) if swollen else 0.0
        seeds.append(_Seed(radius, core, centre, uptake, oedema_ml, oedema_shown))
    return seeds


def _places(tissue: Tissue) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Region → points ``[N, 3]`` in mm, weights and depths: the grey–white junction, more so in the border zone."""
    x, y, _ = np.meshgrid(*tissue.grid.axes, indexing="ij", sparse=True)
    junction = tissue.wm * (tissue.gm + 0.05) * (tissue.depth > 4) * (tissue.depth < 25)
    cerebellum = (tissue.template_z < -22) & (y < -42)
    brainstem = (tissue.template_z < -15) & (np.abs(x) < 12)
    border_zone = 1 + np.exp(-(((np.abs(x) - 27) / 8) ** 2)) * (tissue.template_z > 20)
    weights = {
        "cerebrum": junction * border_zone * ~cerebellum * ~brainstem * (tissue.ventricle_distance > 6),
        "cerebellum": (tissue.wm + tissue.gm) * cerebellum * (tissue.depth > 5),
    }
    found = {}
    for name, weight in weights.items():
        index = np.nonzero(weight > 0.08)
        points = np.stack([axis[at] for axis, at in zip(tissue.grid.axes, index, strict=True)], axis=1)
        # a little everywhere: a full region still has a site
        found[name] = points, weight[index].astype(np.float64) + 1e-9, tissue.depth[index]
    return found


def _squared(offsets: np.ndarray) -> np.ndarray:
    """Squared length of each row."""
    lengths: np.ndarray = np.einsum("ij,ij->i", offsets, offsets)
    return lengths


def _nodule(tissue: Tissue, seed: _Seed, bulges: np.ndarray) -> tuple[Box, np.ndarray, np.ndarray]:
    """Box, whole nodule and its necrotic core."""
    box, (x, y, z) = box_around(tissue, seed.centre, seed.radius * (1 + 2 * _BULGE) + 2 * tissue.grid.spacing)
    distance = np.sqrt(x**2 + y**2 + z**2).astype(np.float32)
    uneven = uneven_border(bulges[box], distance, seed.radius, _BULGE)
    border = seed.radius * (1 + uneven)
    edge = max(_EDGE_MM["core"], tissue.grid.spacing / 2)
    tumour = np.clip(0.5 + (border - distance) / edge, 0, 1)
    if seed.core_radius == 0:
        return box, tumour, np.zeros_like(tumour)
    # an irregular core, whose border does not follow the outer one, behind a closed rim
    inner = np.minimum(seed.core_radius * (1 - uneven), border - _THINNEST_MM)
    return box, tumour, np.clip(0.5 + (inner - distance) / edge, 0, 1)


def _oedema(tissue: Tissue, seed: _Seed, bulges: np.ndarray) -> tuple[Box, np.ndarray]:
    """Box and oedema, the nodule included: white matter first, cortex late, fluid never."""
    box, (x, y, z) = box_around(tissue, seed.centre, seed.radius + _OEDEMA_REACH_MM)
    distance = np.sqrt(x**2 + y**2 + z**2).astype(np.float32)
    front = np.maximum(distance - seed.radius, 0) * (1 + _BULGE * bulges[box]) - _WHITE_MATTER_LEAD_MM * tissue.wm[box]
    front += _FLUID_DELAY_MM * tissue.csf[box] + np.float32(1e6) * (tissue.brain[box] < 0.5)
    front = np.where(distance < seed.radius, -1e3, front)
    # the falx parts the hemispheres, not the cerebellum
    across = np.clip(-np.sign(seed.centre[0]) * (x + seed.centre[0]) / 4, 0, 1)
    front += _MIDLINE_DELAY_MM * across * (tissue.template_z[box] > -15)
    voxel_ml = tissue.grid.spacing**3 / 1000
    whole = seed.oedema_ml + sphere_ml(seed.radius)
    room = 1 - tissue.csf[box]
    return box, lowest(front, whole / voxel_ml, _EDGE_MM["snfh"], room) * room


def _claim(owner: np.ndarray, numbers: np.ndarray, box: Box, share: np.ndarray, number: int) -> None:
    """Give voxels of the box to this lesion where it fills more of them than any before."""
    more = share > owner[box]
    owner[box][more] = share[more]
    numbers[box][more] = number


KIND = Kind(
    name="metastases",
    signals={
        "netc": Signal(t1_ms=2400, t2_ms=200, density=0.90, t1=0.50, t1c=0.55, adc=1.8),
        "snfh": Signal(t1_ms=1500, t2_ms=160, density=0.85, t1=0.73, t1c=0.74, adc=1.5),
        "et": Signal(t1_ms=1200, t2_ms=105, density=0.82, t1=0.80, t1c=1.55, adc=0.9),
    },
    parameters=Metastases,
    grow=grow_metastases,
)
