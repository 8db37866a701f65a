"""Prepared cases as the volumes a method sees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cerebench.contract.volumes import Volume, Volumes
from cerebench.prepare.arrays import map_array
from cerebench.prepare.cache import Prepared

Array = np.ndarray[Any, Any]
Covariates = Mapping[str, float | str]


class PreparedVolumes(Volumes):
    """Volumes over cache entries, mapped when asked for; what a method writes into an array never reaches the cache.

    Entries themselves are not kept: unless ``with_labels`` is set the object knows neither masks nor ``meta``.

    Args:
        prepared: entries, all on one grid with the same channels.
        with_labels: deliver ``Volume.lesion_mask``.
        labels: class of each entry, for labelled training.
        covariates: clinical variables of each entry.

    Raises:
        ValueError: ``labels`` or ``covariates`` of another length than ``prepared``.
    """

    def __init__(
        self,
        prepared: Sequence[Prepared],
        *,
        with_labels: bool = False,
        labels: Sequence[int | None] | None = None,
        covariates: Sequence[Covariates | None] | None = None,
    ) -> None:
        for name, values in (("labels", labels), ("covariates", covariates)):
            if values is not None and len(values) != len(prepared):
                raise ValueError(f"{len(values)} {name} for {len(prepared)} volumes")
        self._images: list[Path] = [entry.folder / "image.npy" for entry in prepared]
        self._brains: list[Path] = [entry.folder / "brain.npy" for entry in prepared]
        self._channels = [(entry.modalities, entry.spacing) for entry in prepared]
        self._areas: list[tuple[int, ...]] = [tuple(entry.meta["brain_voxels_by_slice"]) for entry in prepared]
        self._masks: list[Prepared] | None = list(prepared) if with_labels else None
        self._labels = list(labels) if labels is not None else None
        self._covariates = list(covariates) if covariates is not None else None

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: Any) -> Any:
        """The volume at an index, or a list of volumes for a slice of indices."""
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(len(self)))]
        position = range(len(self))[index]
        modalities, spacing = self._channels[position]
        return Volume(
            image=map_array(self._images[position]),
            brain=map_array(self._brains[position]),
            spacing=spacing,
            modalities=modalities,
            lesion_mask=self._masks[position].labels() if self._masks is not None else None,
            covariates=self._covariates[position] if self._covariates is not None else None,
            label=self._labels[position] if self._labels is not None else None,
        )

    def brain_areas(self, index: int) -> tuple[int, ...]:
        """Brain voxels of every axial slice of a volume, without reading its mask."""
        return self._areas[index]
