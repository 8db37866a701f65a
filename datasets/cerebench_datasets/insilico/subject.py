"""One phantom subject: anatomy, lesion and scans, each from a random stream of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cerebench_datasets.insilico.anatomy import Tissue, make_anatomy
from cerebench_datasets.insilico.centres import Centre
from cerebench_datasets.insilico.contrast import acquire
from cerebench_datasets.insilico.fields import Grid, block_max, block_mean
from cerebench_datasets.insilico.kinds.kind import Draw, Signal
from cerebench_datasets.insilico.kinds.table import kind_named
from cerebench_datasets.insilico.lesion import Lesion
from cerebench_datasets.insilico.parameters import PhantomParameters
from cerebench_datasets.insilico.streams import stream

_COARSE_MM = 3.0
"""From this voxel size on, the subject is built on voxels of half the size and averaged: true partial volume."""

_GROWTH = 0.35
"""Standard deviation of the logarithm of a lesion's growth between visits (assumed)."""


@dataclass(frozen=True)
class Examination:
    """Which examination is drawn.

    Attributes:
        seed: of the whole tree.
        cohort: name of the cohort.
        patient: number of the patient: anatomy and lesion sites depend on it.
        visit: number of the visit, 0 for the first: growth and scans depend on it.
        affected: whether the patient has the disease (cohorts with controls of their own).
    """

    seed: int
    cohort: str
    patient: int
    visit: int = 0
    affected: bool = True

    def stream(self, *what: object) -> np.random.Generator:
        """A random stream of the patient."""
        return stream(self.seed, self.cohort, self.patient, *what)

    def visit_stream(self, *what: object) -> np.random.Generator:
        """A random stream of this visit alone; a first visit has the addresses of a patient without others."""
        return self.stream(*what, "visit", self.visit) if self.visit else self.stream(*what)


@dataclass(frozen=True)
class Subject:
    """A subject before it is scanned.

    Attributes:
        tissue: maps on the final grid.
        lesion: its lesion; empty for a healthy one.
        signals: lesion part → how it shows.
        examination: what its random streams are addressed by.
    """

    tissue: Tissue
    lesion: Lesion
    signals: Mapping[str, Signal]
    examination: Examination

    @property
    def brain(self) -> np.ndarray:
        """Brain mask ``[X, Y, Z]`` bool, shared by all modalities."""
        return self.tissue.brain > 0.5

    def scan(self, modality: str, centre: Centre, lesion_contrast: float = 1.0) -> np.ndarray:
        """Scanner intensities ``[X, Y, Z]`` float32, 0 outside the brain."""
        shown = {part: fraction * np.float32(lesion_contrast) for part, fraction in self.lesion.shown.items()}
        rng = self.examination.visit_stream("scan", modality)
        return acquire(self.tissue, shown, self.signals, modality, centre, rng)


def make_subject(examination: Examination, spacing: float, lesion: str, parameters: PhantomParameters) -> Subject:
    """Draw one examination. It depends on its address and the parameters alone.

    Args:
        examination: who is drawn.
        spacing: voxel size in mm.
        lesion: kind of lesion, ``none`` for a healthy subject.
        parameters: of the phantom.
    """
    factor = 2 if spacing >= _COARSE_MM else 1
    grid = Grid.covering(spacing).refined(factor)
    kind = kind_named(lesion)
    block = kind.read(examination.cohort, parameters.lesion)
    visit = examination.stream("growth", examination.visit)
    growth = float(visit.lognormal(0, _GROWTH)) if examination.visit else 1.0
    change = None
    if kind.shape is not None and examination.affected and parameters.lesion_contrast > 0:
        change = kind.shape(examination.stream("shape"), growth, block)
    tissue = make_anatomy(examination.stream("anatomy"), parameters.anatomy, grid, lesion != "none", change)
    grown = kind.grow(
        Draw(
            rng=examination.stream("lesion"),
            tissue=tissue,
            visit=visit,
            growth=growth,
            affected=examination.affected,
            displace=parameters.lesion_contrast > 0,
        ),
        block,
    )
    if factor == 1:
        return Subject(tissue, grown, kind.signals, examination)
    maps: dict[str, Any] = {
        name: block_mean(values, factor) for name, values in vars(tissue).items() if isinstance(values, np.ndarray)
    }
    coarse = replace(tissue, grid=Grid.covering(spacing), **maps)
    averaged = grown.mapped(lambda values: block_mean(values, factor), lambda values: block_max(values, factor))
    return Subject(coarse, averaged, kind.signals, examination)
