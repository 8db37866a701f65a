"""Volumes in memory and their axial slices: what a method may see of a case.

Arrays are ``[C, D, H, W]`` float32 in RAS+ order: D runs left to right, H posterior to anterior, W inferior to
superior, so that an axial slice is ``[..., k]``. Distances are millimetres.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cerebench.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


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

    def slices(self, min_brain: float = 0.02) -> Sequence[Tensor]:
        """Axial slices ``[C, D, H]`` float32 of all volumes with at least ``min_brain`` of their area inside the brain.

        Raises:
            DataError: if no slice qualifies.
        """
        return SliceList(self, min_brain)

    def __iter__(self) -> Iterator[Volume]:
        for index in range(len(self)):
            yield self[index]


class SliceList(Sequence["Tensor"]):
    """Slices ``[C, D, H]`` float32 with enough brain, from the first volume's lowest to the last volume's highest.

    Only the brain's area of every slice is looked at beforehand; images are read slice by slice. A torch data set for
    ``DataLoader`` as it stands.

    Args:
        volumes: where slices come from.
        min_brain: least part of the slice's area inside the brain, in [0, 1]; slices without brain never count.

    Attributes:
        places: (volume, slice) of every item.
        spacing: mm along D and H.

    Raises:
        DataError: no slice qualifies.
    """

    def __init__(self, volumes: Volumes, min_brain: float = 0.02) -> None:
        import numpy as np

        self._volumes = volumes
        self.places: list[tuple[int, int]] = []
        areas = getattr(volumes, "brain_areas", None)
        for position in range(len(volumes)):
            volume = volumes[position]
            counts = np.count_nonzero(volume.brain, axis=(0, 1)) if areas is None else np.asarray(areas(position))
            least = max(min_brain * volume.brain.shape[0] * volume.brain.shape[1], 1.0)
            self.places += [(position, int(place)) for place in np.flatnonzero(counts >= least)]
        if not self.places:
            raise DataError(
                f"found no slice with at least {min_brain:.0%} brain in {len(volumes)} volumes; "
                "add training cases or lower min_brain"
            )
        spacing = volumes[0].spacing
        self.spacing: tuple[float, float] = (spacing[0], spacing[1])

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: Any) -> Any:
        """The slice at an index, or a list of slices for a slice of indices."""
        import numpy as np
        import torch

        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(len(self)))]
        position, place = self.places[index]
        # A copy: the tensor is contiguous and the mapping is closed at once.
        return torch.from_numpy(np.array(self._volumes[position].image[..., place], dtype=np.float32, order="C"))
