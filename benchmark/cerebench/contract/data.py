"""Cases on disk, and how their files are to be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Provenance = Literal["real", "in-silico"]

NORMAL, ANOMALY, IGNORE = 0, 1, 2


@dataclass(frozen=True)
class Case:
    """One examination of one patient, as files.

    Attributes:
        id: unique within the cohort; stable across machines.
        patient: patient identifier; splits and bootstraps group by it.
        cohort: name of the cohort.
        images: modality → file, or folder of slices.
        healthy: True for a subject without pathology, False for a patient.
        mask: lesion mask file; ``None`` only where the cohort has none (a missing file is an error, never "healthy").
        mask_modality: the modality on whose grid the mask was drawn; ``None``: the grid of every image.
        brain_mask: brain mask file, or ``None``.
        centre: scanner or hospital, or ``None``.
        label: case-level class of a classification cohort, or ``None``.
        covariates: clinical variables by name; missing ones are absent.
        lesion: number within the mask file of the one lesion that the case is about; other lesions are ignored.
    """

    id: str
    patient: str
    cohort: str
    images: Mapping[str, Path]
    healthy: bool
    mask: Path | None = None
    mask_modality: str | None = None
    brain_mask: Path | None = None
    centre: str | None = None
    label: int | None = None
    covariates: Mapping[str, float | str] = field(default_factory=dict)
    lesion: int | None = None


LabelState = Literal["normal", "anomaly", "ignore"]


@dataclass(frozen=True)
class SliceStack:
    """How a folder of 2D slices becomes a volume; such files carry no geometry of their own.

    Attributes:
        spacing_mm: distance of columns, of rows and of slices.
        axes: anatomical directions in which column, row and slice number grow, such as ``LPS``.
    """

    spacing_mm: tuple[float, float, float]
    axes: str


@dataclass(frozen=True)
class ReadPolicy:
    """How the files of one cohort in one layout are to be read; it comes from the card and enters the cache key.

    Attributes:
        labels: value in the mask file → state; 0 is normal unless listed. Any other value is an error.
        skull_stripped: whether non-zero voxels are the brain where no brain mask is given.
        resample_mask: whether a mask on another grid than the image is resampled (nearest neighbour, world
            coordinates) instead of refused.
        erosion_mm: erosion of the brain mask for scoring, in mm; 0 for none.
        numbered_lesions: whether a mask value is the number of a lesion followed by one digit for its part; ``labels``
            then speak of that digit.
        slices: geometry of images that are folders of 2D slices, or ``None``.
        lesion_free_mm: deliver only axial slices that are farther than this from every lesion, as normal tissue without
            a mask; the others are blanked. ``None``: the whole case.
    """

    labels: Mapping[int, LabelState] = field(default_factory=lambda: {1: "anomaly"})
    skull_stripped: bool = False
    resample_mask: bool = False
    erosion_mm: float = 0.0
    numbered_lesions: bool = False
    slices: SliceStack | None = None
    lesion_free_mm: float | None = None
