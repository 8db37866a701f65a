"""One phantom subject: anatomy, lesion and scans, each from a random stream of its own."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from cerebench_datasets.insilico.anatomy import Tissue, make_anatomy
from cerebench_datasets.insilico.centres import Centre
from cerebench_datasets.insilico.contrast import acquire
from cerebench_datasets.insilico.fields import Grid, block_mean
from cerebench_datasets.insilico.lesion import Lesion
from cerebench_datasets.insilico.lesions import grow
from cerebench_datasets.insilico.parameters import PhantomParameters
from cerebench_datasets.insilico.streams import stream

_COARSE_MM = 3.0
"""From this voxel size on, the subject is built on voxels of half the size and averaged: true partial volume."""


@dataclass(frozen=True)
class Subject:
    """A subject before it is scanned.

    Attributes:
        tissue: maps on the final grid.
        lesion: its lesion; empty for a healthy one.
        address: what its random streams are addressed by.
    """

    tissue: Tissue
    lesion: Lesion
    address: tuple[object, ...]

    @property
    def brain(self) -> np.ndarray:
        """Brain mask ``[X, Y, Z]`` bool, shared by all modalities."""
        return self.tissue.brain > 0.5

    def scan(self, modality: str, centre: Centre, lesion_contrast: float = 1.0) -> np.ndarray:
        """Scanner intensities ``[X, Y, Z]`` float32, 0 outside the brain."""
        shown = {part: fraction * np.float32(lesion_contrast) for part, fraction in self.lesion.shown.items()}
        return acquire(self.tissue, shown, modality, centre, stream(*self.address, "scan", modality))


def make_subject(
    seed: int, cohort: str, index: int, spacing: float, lesion: str, parameters: PhantomParameters
) -> Subject:
    """Draw subject ``index``. It depends on (seed, cohort, index) and the parameters alone.

    Args:
        seed: of the whole tree.
        cohort: name of the cohort.
        index: number of the subject.
        spacing: voxel size in mm.
        lesion: ``none``, ``glioma`` or ``ms``.
        parameters: of the phantom.
    """
    address = (seed, cohort, index)
    factor = 2 if spacing >= _COARSE_MM else 1
    grid = Grid.covering(spacing).refined(factor)
    tissue = make_anatomy(stream(*address, "anatomy"), parameters.anatomy, grid, places=lesion != "none")
    grown = grow(lesion, stream(*address, "lesion"), tissue, parameters)
    if factor == 1:
        return Subject(tissue, grown, address)
    maps = {field.name: block_mean(getattr(tissue, field.name), factor) for field in fields(Tissue)[1:]}
    coarse = Tissue(grid=Grid.covering(spacing), **maps)
    return Subject(coarse, grown.mapped(lambda values: block_mean(values, factor)), address)
