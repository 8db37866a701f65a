"""Cases on disk and volumes in memory.

Arrays are ``[C, D, H, W]`` float32 in RAS+ order: D runs left to right, H posterior to anterior, W inferior to
superior, so that an axial slice is ``[..., k]``. Distances are millimetres.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

Provenance = Literal["real", "in-silico"]

NORMAL, ANOMALY, IGNORE = 0, 1, 2


@dataclass(frozen=True)
class Case:
    """One examination of one patient, as files.

    Attributes:
        id: unique within the cohort; stable across machines.
        patient: patient identifier; splits and bootstraps group by it.
        cohort: name of the cohort.
        images: modality → file.
        healthy: True for a subject without pathology, False for a patient.
        mask: lesion mask file; ``None`` only where the cohort has none (a missing file is an error, never "healthy").
        mask_modality: the modality on whose grid the mask was drawn; ``None``: the grid of every image.
        brain_mask: brain mask file, or ``None``.
        centre: scanner or hospital, or ``None``.
        label: case-level class of a classification cohort, or ``None``.
        covariates: clinical variables by name; missing ones are absent.
        lesion: lesion number within the mask file, for lesion-level cohorts.
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
class ReadPolicy:
    """How the files of one cohort in one layout are to be read; it comes from the card and enters the cache key.

    Attributes:
        labels: value in the mask file → state; 0 is normal unless listed. Any other value is an error.
        skull_stripped: whether non-zero voxels are the brain where no brain mask is given.
        resample_mask: whether a mask on another grid than the image is resampled (nearest neighbour, world
            coordinates) instead of refused.
        erosion_mm: erosion of the brain mask for scoring, in mm; 0 for none.
    """

    labels: Mapping[int, LabelState] = field(default_factory=lambda: {1: "anomaly"})
    skull_stripped: bool = False
    resample_mask: bool = False
    erosion_mm: float = 0.0


@dataclass(frozen=True)
class Volume:
    """One prepared case without any label: what a method may see.

    Attributes:
        image: ``[C, D, H, W]`` float32, robustly scaled so that brain tissue lies about in [0, 1]; 0 outside the brain.
        brain: ``[D, H, W]`` bool.
        spacing: voxel size along D, H, W in mm.
        modalities: names of the C channels.
        lesion_mask: ``[D, H, W]`` uint8, only for methods that declare it as an input.
        covariates: clinical variables, only for methods that declare them.
        label: class, only in the ``labelled`` training data of methods with ``supervision="labels"``.
    """

    image: np.ndarray[Any, Any]
    brain: np.ndarray[Any, Any]
    spacing: tuple[float, float, float]
    modalities: tuple[str, ...]
    lesion_mask: np.ndarray[Any, Any] | None = None
    covariates: Mapping[str, float | str] | None = None
    label: int | None = None


class Volumes(Sequence[Volume]):
    """A lazy sequence of volumes: items are read (memory-mapped) when asked for, never all at once."""

    def __len__(self) -> int:
        raise NotImplementedError

    def __getitem__(self, index: Any) -> Any:
        raise NotImplementedError

    def slices(self, min_brain: float = 0.02) -> Sequence[Tensor]:
        """Axial slices ``[C, D, H]`` float32 of all volumes with at least ``min_brain`` of their area inside the brain.

        Raises:
            DataError: if no slice qualifies.
        """
        from cerebench.loop.slices import SliceList

        return SliceList(self, min_brain)

    def __iter__(self) -> Iterator[Volume]:
        for index in range(len(self)):
            yield self[index]
