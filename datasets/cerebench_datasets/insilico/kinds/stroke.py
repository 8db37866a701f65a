"""Ischaemic stroke within an arterial territory: acute (restricted diffusion) or chronic (cavity and gliosis)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field

from cerebench_datasets.insilico.fields import RandomField
from cerebench_datasets.insilico.kinds.growth import (
    Box,
    absent,
    ball_radius,
    box_around,
    draw_voxel,
    ellipsoid,
    fill,
    lognormal_ml,
    share,
    voxel_centre,
)
from cerebench_datasets.insilico.kinds.kind import Block, Draw, Kind, Signal
from cerebench_datasets.insilico.kinds.territories import TERRITORIES, margin
from cerebench_datasets.insilico.lesion import Lesion

_LIMITS_ML, _LACUNE_LIMITS_ML = (0.03, 350.0), (0.05, 2.0)
_LACUNE_ML, _LACUNE_SPREAD = 0.4, 0.6
_MOST_SCATTERED_ML, _SCATTERED_COUNT, _SCATTERED_SPREAD = 25.0, (4, 12.0), 1.4
_LARGEST_OVAL_ML, _SUBCORTICAL_MM = 0.7, 20.0
_SATELLITE_SHARE, _WHOLE_MCA_ML, _MOST_OF_TERRITORY = 0.04, 120.0, 0.9
_CHANCES: Mapping[str, Mapping[str, float]] = {
    "wedge": {
        "mca-superior": 0.32,
        "mca-inferior": 0.28,
        "mca-deep": 0.1,
        "pca": 0.13,
        "aca": 0.06,
        "cerebellum": 0.11,
    },
    "scattered": {"mca-superior": 0.4, "mca-inferior": 0.3, "pca": 0.15, "aca": 0.1, "cerebellum": 0.05},
    "lacune": {"mca-deep": 0.55, "pca-deep": 0.25, "brainstem": 0.2},
}
_FRONT_MM, _BORDER_MM, _TEXTURE_MM = 14.0, 30.0, 7.0
_BULGE, _BORDER_WOBBLE_MM, _BORDER_SOFT_MM, _BORDER_SLOPE = 0.28, 3.0, 3.0, 6.0
_INWARD, _NARROWEST = 0.45, 0.2
_FLUID_DELAY_MM = {"acute": 15.0, "chronic": 4.0}
_EDGE_MM, _SMALL_EDGE_MM, _SMALL_ELONGATION = 3.0, 1.5, 1.4
_SEVERITY, _UNEVEN = {"acute": (0.5, 1.0), "chronic": (0.7, 1.0)}, 0.25


class Stroke(Block):
    """Ischaemic stroke. Volumes are lognormal: median in ml and standard deviation of the logarithm.

    Attributes:
        stage: ``acute`` (hours to days: restricted diffusion) or ``chronic`` (months: cavity and gliosis).
        volume_ml: median of a wedge-shaped infarct, and of all scattered infarcts of a patient together.
        volume_spread: standard deviation of its logarithm.
        lacunar: share of patients with one small deep infarct only, of 0.4 ml in the median.
        scattered: share of patients with many small infarcts in one territory; the others have a wedge.
        satellites: mean number of small infarcts beside a wedge.
        old_lacunes: mean number of further lacunes of chronic patients, in other territories.
        cavitation: mean share of a chronic infarct that is cavity.
        early: share of acute patients whose infarct is not yet bright on T2 and FLAIR.
    """

    stage: Literal["acute", "chronic"] = "chronic"
    volume_ml: float = Field(8.0, gt=0)
    volume_spread: float = Field(1.5, ge=0)
    lacunar: float = Field(0.25, ge=0, le=1)
    scattered: float = Field(0.15, ge=0, le=1)
    satellites: float = Field(2.0, ge=0, le=50)
    old_lacunes: float = Field(0.3, ge=0, le=10)
    cavitation: float = Field(0.5, gt=0, lt=1)
    early: float = Field(0.25, ge=0, le=1)


@dataclass(frozen=True)
class _Region:
    """One territory in a subject.

    Attributes:
        name: of the territory.
        side: 1 right, -1 left.
        inside: mm inside the territory, negative outside, with an individual border.
    """

    name: str
    side: float
    inside: np.ndarray


class _Canvas:
    """The maps of a lesion while infarcts are added one by one."""

    def __init__(self, draw: Draw, size: Stroke) -> None:
        self.rng, self.tissue, self.size = draw.rng, draw.tissue, size
        self.extent = {part: np.zeros(self.tissue.grid.shape, np.float32) for part in KIND.parts}
        self.severity = np.ones(self.tissue.grid.shape, np.float32)

    def add(self, part: str, box: Box, ramp: np.ndarray, severity: np.ndarray | float) -> None:
        """Unite ``part`` with a soft set in a box."""
        self.extent[part][box] = np.maximum(self.extent[part][box], ramp)
        self.severity[box] = np.where(ramp > 0, severity, self.severity[box])

    def small(self, part: str, region: _Region, volumes: Iterable[float]) -> None:
        """Oval infarcts of these volumes in ml; in the cortex or below it, but anywhere in a deep territory."""
        tissue, rng = self.tissue, self.rng
        deepest = np.inf if TERRITORIES[region.name].deep else _SUBCORTICAL_MM
        places = (region.inside > 0) & (tissue.depth > 3) & (tissue.depth < deepest)
        voxels = np.flatnonzero(places)
        cumulative = np.cumsum((tissue.gm + tissue.wm).ravel()[voxels], dtype=np.float64)
        for volume in volumes:
            chosen = voxels[np.searchsorted(cumulative, rng.random() * cumulative[-1])]
            point = voxel_centre(tissue, np.unravel_index(chosen, tissue.grid.shape))
            point = point + rng.uniform(-0.5, 0.5, 3) * tissue.grid.spacing
            radius = ball_radius(float(np.clip(volume, *_LIMITS_ML)))
            box, ramp = ellipsoid(tissue, point, radius, _SMALL_ELONGATION, rng, _SMALL_EDGE_MM)
            severity, liquid = rng.uniform(*_SEVERITY[self.size.stage]), rng.random() < self.size.cavitation
            kind = "gliosis" if part == "cavity" and not liquid else part
            self.add(kind, box, ramp * (tissue.brain[box] > 0.5), severity)

    def wedge(self, part: str, region: _Region, volume: float) -> None:
        """An infarct of ``volume`` ml: broad at the cortex, pointing to the artery's stem, within the territory.

        A deep territory, which reaches no cortex, gets an oval one.
        """
        tissue, rng, inside = self.tissue, self.rng, region.inside
        grid, voxel_ml, territory = tissue.grid, tissue.grid.spacing**3 / 1000, TERRITORIES[region.name]
        weights = tissue.gm * (inside > 4)
        if not territory.deep:
            weights = weights * (tissue.depth > 3) * (tissue.depth < 12)
        focus = voxel_centre(tissue, draw_voxel(rng, weights))
        bulges, uneven = RandomField(rng, _FRONT_MM), RandomField(rng, _TEXTURE_MM)
        severity, cavitated = rng.uniform(*_SEVERITY[self.size.stage]), share(rng, self.size.cavitation)

        room = float(((inside > 0) & (tissue.brain > 0.5)).sum()) * voxel_ml
        volume = min(volume, _MOST_OF_TERRITORY * room)
        radius = ball_radius(volume)
        box, offset = box_around(tissue, focus, 2.5 * radius + 10)
        front = np.sqrt(sum(each**2 for each in offset))
        if not territory.deep:
            stem = np.asarray(territory.stem) * (region.side, 1, 1) - focus
            length = float(np.linalg.norm(stem))
            inward = sum(each * towards for each, towards in zip(offset, stem / length, strict=True))
            across = np.sqrt(np.maximum(front**2 - inward**2, 0))
            cone = across / np.maximum(1 - inward / length, _NARROWEST)
            front = np.hypot(cone, _INWARD * np.maximum(inward, 0))
        front += _BULGE * radius * bulges.on(grid)[box]
        front += _BORDER_SLOPE * np.maximum(_BORDER_SOFT_MM - inside[box], 0)
        front += _FLUID_DELAY_MM[self.size.stage] * tissue.csf[box] + np.float32(1e6) * (tissue.brain[box] < 0.5)
        whole = fill(front, volume / voxel_ml, _EDGE_MM)
        texture = uneven.on(grid)[box]
        shade = severity * (1 - _UNEVEN + _UNEVEN * np.clip(texture, -1, 1))
        if part != "cavity":
            self.add(part, box, whole, shade)
            return
        # the middle of the infarct liquefies, its border scars
        inner = front + _BULGE * radius * texture + np.float32(1e6) * (whole < 0.5)
        cavity = np.minimum(fill(inner, cavitated * volume / voxel_ml, _EDGE_MM), whole)
        self.add("gliosis", box, whole, shade)
        self.add("cavity", box, cavity, np.where(cavity > 0.5, 1.0, shade))

    def lesion(self) -> Lesion:
        """The lesion; fluid stays outside all parts but the cavity."""
        parenchyma = (self.tissue.brain - self.tissue.csf).clip(0, 1)
        cavity = self.extent["cavity"] * self.tissue.brain
        extent = {
            part: cavity if part == "cavity" else np.minimum(values * parenchyma, 1 - cavity)
            for part, values in self.extent.items()
        }
        return Lesion(extent, {part: values * self.severity for part, values in extent.items()})


def grow_stroke(draw: Draw, size: Stroke) -> Lesion:
    """The parts ``infarct`` or ``early`` (acute), or ``cavity`` and ``gliosis`` (chronic); the others are empty.

    Args:
        draw: the subject.
        size: stage, volumes and pattern.
    """
    if not draw.affected:
        return absent(draw.tissue, KIND.parts)
    rng, grid = draw.rng, draw.tissue.grid
    # patterns follow the first visit's volume, so that later visits draw the same numbers
    volume = lognormal_ml(rng, size.volume_ml, size.volume_spread, _LIMITS_ML)
    named = size.lacunar + size.scattered
    chances = np.array([size.lacunar, size.scattered, max(1 - named, 0)]) / max(named, 1)
    pattern = str(rng.choice(["lacune", "scattered", "wedge"], p=chances))
    name = str(rng.choice(list(_CHANCES[pattern]), p=list(_CHANCES[pattern].values())))
    side = 1.0 if rng.random() < 0.5 else -1.0
    part = "early" if rng.random() < size.early else "infarct"
    if size.stage == "chronic":
        part = "cavity"
    wobble = _BORDER_WOBBLE_MM * RandomField(rng, _BORDER_MM).on(grid)
    supplied = [name]
    if pattern == "wedge" and name.startswith("mca") and volume > _WHOLE_MCA_ML:
        supplied = [each for each in TERRITORIES if each.startswith("mca")]
    inside = np.maximum.reduce([margin(each, side, grid) for each in supplied]) + wobble
    region, canvas = _Region(name, side, inside), _Canvas(draw, size)
    if pattern == "lacune":
        canvas.small(part, region, [_lacune_ml(draw)])
    elif pattern == "scattered":
        fewest, more = _SCATTERED_COUNT
        shares = rng.lognormal(0, _SCATTERED_SPREAD, fewest + rng.poisson(more))
        pieces = shares * (min(volume, _MOST_SCATTERED_ML) / shares.sum())
        for piece in pieces[pieces > _LARGEST_OVAL_ML]:
            canvas.wedge(part, region, float(piece) * draw.growth)
        canvas.small(part, region, pieces[pieces <= _LARGEST_OVAL_ML] * draw.growth)
    else:
        canvas.wedge(part, region, volume * draw.growth)
        mean = min(_SATELLITE_SHARE * volume, _LARGEST_OVAL_ML) * draw.growth
        canvas.small(part, region, rng.exponential(mean, rng.poisson(size.satellites)))
    if size.stage == "chronic":
        elsewhere = _Region("mca-deep", -side, margin("mca-deep", -side, grid))
        canvas.small(part, elsewhere, [_lacune_ml(draw) for _ in range(rng.poisson(size.old_lacunes))])
    return canvas.lesion()


def _lacune_ml(draw: Draw) -> float:
    return lognormal_ml(draw.rng, _LACUNE_ML * draw.growth, _LACUNE_SPREAD, _LACUNE_LIMITS_ML)


KIND = Kind(
    name="stroke",
    signals={
        "infarct": Signal(t1_ms=1250, t2_ms=130, density=0.85, t1=0.80, t1c=0.82, adc=0.40),
        "early": Signal(t1_ms=700, t2_ms=77, density=0.82, t1=0.88, t1c=0.89, adc=0.38),
        "cavity": Signal(t1_ms=3800, t2_ms=310, density=0.98, t1=0.34, t1c=0.35, adc=2.7),
        "gliosis": Signal(t1_ms=1350, t2_ms=140, density=0.83, t1=0.66, t1c=0.68, adc=1.25),
    },
    parameters=Stroke,
    grow=grow_stroke,
)
