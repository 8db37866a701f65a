"""Radiation necrosis or tumour progression of irradiated metastases, which differ modestly, with clinical data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydantic import Field

from cerebench_datasets.insilico.anatomy import Tissue
from cerebench_datasets.insilico.fields import RandomField
from cerebench_datasets.insilico.kinds.clinical import draw_history, lesion_row, progression_chance
from cerebench_datasets.insilico.kinds.growth import (
    absent,
    box_around,
    draw_voxel,
    lowest,
    sphere_ml,
    uneven_border,
    voxel_centre,
)
from cerebench_datasets.insilico.kinds.kind import Block, Draw, Kind, Signal
from cerebench_datasets.insilico.lesion import Finding, Lesion

_PARTS = ("et", "netc", "ed")
_LESIONS = (0.65, 0.25, 0.10)
_LIMITS_MM, _GROWN_MM = (10.0, 40.0), (8.0, 45.0)
_GAP_MM, _REACH_MM = 6.0, 22.0
_SHAPE_MM, _HOLE_MM, _BULGE = 14.0, 5.0, 0.15
_SHIFTS = {"holes": 1.3, "feather": 1.0, "quotient": 0.7, "oedema": 0.5}
"""Standardised mean difference necrosis − progression of each trait at ``effect`` 1."""
_WHITE_MATTER_LEAD_MM, _FLUID_DELAY_MM, _OEDEMA_LIMIT_ML, _OEDEMA_EDGE_MM = 12.0, 25.0, 90.0, 3.0
_UPTAKE = (0.75, 1.0)


class Necrosis(Block):
    """Enhancing lesions after radiotherapy. Outcome 1 is tumour progression, 0 radiation necrosis.

    Attributes:
        progression: share of lesions that are progression.
        effect: factor on every difference between the images of the two; 0 makes them indistinguishable.
        covariate_effect: factor on every relation between clinical variables and the outcome; 0 removes them.
        most: largest number of lesions of a patient.
        missing: chance that a clinical variable other than age was not recorded.
        diameter_mm: median diameter of a lesion (lognormal, 10 to 40 mm), the same for both outcomes.
        diameter_spread: standard deviation of its logarithm.
    """

    progression: float = Field(0.6, gt=0, lt=1)
    effect: float = Field(1.0, ge=0, le=3)
    covariate_effect: float = Field(1.0, ge=0, le=3)
    most: int = Field(3, ge=1, le=3)
    missing: float = Field(0.08, ge=0, lt=1)
    diameter_mm: float = Field(19.0, gt=0)
    diameter_spread: float = Field(0.35, ge=0)


@dataclass(frozen=True)
class _Look:
    """How one lesion looks.

    Attributes:
        radius: mm.
        hollow: share of the lesion that does not enhance.
        holes: 0 puts it in the centre, 1 into many small holes ("soap bubbles", "Swiss cheese").
        edge_mm: width of the border; feathered where large.
        soft: share of oedema-like signal in the enhancing part, high where T2 shows no nodule (low lesion quotient).
        oedema_ratio: volume of oedema over the lesion's own.
        uptake: strength of enhancement.
    """

    radius: float
    hollow: float
    holes: float
    edge_mm: float
    soft: float
    oedema_ratio: float
    uptake: float


def grow_necrosis(draw: Draw, size: Necrosis) -> Lesion:
    """The parts ``et``, ``netc`` and ``ed`` of one to three numbered lesions, and one row a lesion for the table.

    Args:
        draw: the subject. Outcomes and looks stay the same between visits, sizes grow.
        size: how much the two outcomes differ.
    """
    rng, tissue = draw.rng, draw.tissue
    if not draw.affected:
        return absent(tissue, _PARTS)
    extent = {part: np.zeros(tissue.grid.shape, np.float32) for part in _PARTS}
    shown = {part: np.zeros(tissue.grid.shape, np.float32) for part in _PARTS}
    numbers = np.zeros(tissue.grid.shape, np.int16)
    bulges, holes = (RandomField(rng, scale).on(tissue.grid) for scale in (_SHAPE_MM, _HOLE_MM))
    history = draw_history(rng)
    chance = progression_chance(history, size.progression, size.covariate_effect)
    site = tissue.wm * (tissue.depth > 14) * (tissue.ventricle_distance > 8) * (tissue.template_z > -20)
    findings = []
    count = 1 + int(np.searchsorted(np.cumsum(_LESIONS), rng.random()))
    for number in range(1, 1 + min(count, size.most)):
        outcome = int(rng.random() < chance)
        look = _draw_look(rng, outcome, size, draw.growth)
        row = lesion_row(rng, history, outcome, size.covariate_effect, size.missing)
        findings.append(Finding(number, outcome, row))
        centre = voxel_centre(tissue, draw_voxel(rng, site))
        _add(tissue, look, centre, (bulges, holes), extent, shown, numbers, number)
        box, (x, y, z) = box_around(tissue, centre, _LIMITS_MM[1] + _GAP_MM)
        # far enough for two of the largest at any voxel size; where they cannot go they are not wanted
        site[box] *= x**2 + y**2 + z**2 > (_LIMITS_MM[1] + _GAP_MM) ** 2
    brain = tissue.brain
    return Lesion(
        {part: values * brain for part, values in extent.items()},
        {part: values * brain for part, values in shown.items()},
        numbers,
        tuple(findings),
    )


def _draw_look(rng: np.random.Generator, outcome: int, size: Necrosis, growth: float) -> _Look:
    """Traits are standard normal within an outcome; ``effect`` moves the outcomes apart by :data:`_SHIFTS`."""
    trait = {name: rng.standard_normal() + size.effect * shift * (0.5 - outcome) for name, shift in _SHIFTS.items()}
    diameter = float(np.clip(size.diameter_mm * rng.lognormal(0, size.diameter_spread), *_LIMITS_MM))
    return _Look(
        radius=float(np.clip(diameter * growth ** (1 / 3), *_GROWN_MM)) / 2,
        hollow=float(rng.beta(4, 8)),
        holes=_squash(trait["holes"]),
        edge_mm=1.5 + 5.0 * _squash(trait["feather"] - 0.5),
        soft=0.5 * _squash(trait["quotient"]),
        oedema_ratio=2.5 * float(np.exp(0.6 * trait["oedema"])),
        uptake=rng.uniform(*_UPTAKE),
    )


def _squash(value: float) -> float:
    """Onto (0, 1), steeper than the normal distribution's own width."""
    return float(1 / (1 + np.exp(-1.5 * value)))


def _add(
    tissue: Tissue,
    look: _Look,
    centre: np.ndarray,
    textures: tuple[np.ndarray, np.ndarray],
    extent: dict[str, np.ndarray],
    shown: dict[str, np.ndarray],
    numbers: np.ndarray,
    number: int,
) -> None:
    """Put one lesion into the maps; nothing of another is there, but for oedema."""
    box, (x, y, z) = box_around(tissue, centre, look.radius + _REACH_MM)
    bulges, holes = (texture[box] for texture in textures)
    fluid, white, brain = (values[box] for values in (tissue.csf, tissue.wm, tissue.brain))
    distance = np.sqrt(x**2 + y**2 + z**2)
    border = look.radius * (1 + uneven_border(bulges, distance, look.radius, _BULGE))
    inside = np.clip(0.5 + (border - distance) / 1.5, 0, 1)
    seen = np.clip(0.5 + (border - distance) / look.edge_mm, 0, 1)
    # from one central necrosis to many holes behind a thin rim
    level = look.holes * holes + 2.5 * (1 - look.holes) * (1 - distance / border)
    core = inside * (distance < border - 1.5)
    netc = lowest(np.where(core > 0.5, -level, 1e6), look.hollow * float(core.sum()), 0.8, core) * core
    et = inside - netc
    voxel_ml = tissue.grid.spacing**3 / 1000
    front = np.maximum(distance - look.radius, 0) - _WHITE_MATTER_LEAD_MM * white + _FLUID_DELAY_MM * fluid
    front = np.where(inside > 0.5, -1e3, front + np.float32(1e6) * (brain < 0.5))
    oedema_ml = min(look.oedema_ratio * sphere_ml(look.radius), _OEDEMA_LIMIT_ML)
    whole = oedema_ml / voxel_ml + float(inside.sum())
    around = lowest(front, whole, _OEDEMA_EDGE_MM, 1 - fluid) * (1 - fluid)
    ed = np.maximum(around - inside, 0)

    for part, values in (("et", et), ("netc", netc), ("ed", ed)):
        extent[part][box] = np.maximum(extent[part][box], values)
    enhancing = seen * (1 - netc)
    shown["et"][box] = np.maximum(shown["et"][box], enhancing * look.uptake)
    shown["netc"][box] = np.maximum(shown["netc"][box], netc)
    shown["ed"][box] = np.maximum(shown["ed"][box], np.maximum(around - seen, 0) + look.soft * enhancing)
    numbers[box][inside > 0] = number


KIND = Kind(
    name="necrosis",
    signals={
        "et": Signal(t1_ms=1250, t2_ms=100, density=0.82, t1=0.80, t1c=1.50, adc=1.0),
        "netc": Signal(t1_ms=2200, t2_ms=190, density=0.90, t1=0.55, t1c=0.60, adc=1.7),
        "ed": Signal(t1_ms=1500, t2_ms=160, density=0.85, t1=0.73, t1c=0.74, adc=1.5),
    },
    parameters=Necrosis,
    grow=grow_necrosis,
)
