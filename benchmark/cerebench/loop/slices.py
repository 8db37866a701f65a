"""Axial slices of volumes as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cerebench.contract.data import Volumes
from cerebench.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor


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
        import torch

        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(len(self)))]
        position, place = self.places[index]
        # A copy: the tensor is contiguous and the mapping is closed at once.
        return torch.from_numpy(np.array(self._volumes[position].image[..., place], dtype=np.float32, order="C"))
