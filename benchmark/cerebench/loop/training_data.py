"""Training data as the method declared it: volumes, slices or lesion cubes, with labels only where they are due."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from cerebench.contract.info import MethodInfo
from cerebench.contract.volumes import Volume, Volumes
from cerebench.loop.feed import prepared
from cerebench.loop.lesions import lesion_box, pool_boxes
from cerebench.loop.volumes import PreparedVolumes
from cerebench.plan.cells import CaseRef


def training_volumes(cases: Sequence[CaseRef], info: MethodInfo, with_labels: bool, crop_mm: float) -> Volumes:
    """Volumes of a stage.

    Args:
        cases: prepared cases.
        info: decides on the unit and on side inputs.
        with_labels: deliver case labels (stages on ``labelled`` data).
        crop_mm: side of the cube for methods whose unit is a lesion.

    Raises:
        DataError: a lesion method gets a case without a lesion.
    """
    entries = [prepared(ref) for ref in cases]
    labels = [ref.label for ref in cases] if with_labels else None
    covariates = [ref.covariates for ref in cases] if "covariates" in info.inputs else None
    masks = "lesion-mask" in info.inputs
    volumes = PreparedVolumes(entries, with_labels=masks, labels=labels, covariates=covariates)
    if info.unit != "lesion":
        return volumes
    boxes = [
        lesion_box(entry.labels(), crop_mm, entry.spacing, ref.id) for entry, ref in zip(entries, cases, strict=True)
    ]
    return _Cropped(volumes, boxes)


def unlabelled_volumes(cases: Sequence[CaseRef], info: MethodInfo, crop_mm: float) -> Volumes:
    """Volumes of a stage on ``unlabelled`` data: images and brain masks, whatever side inputs the method has.

    Methods whose unit is a lesion get cubes of the same size as later: around each lesion where the cohort outlines
    them, else at places in the brain (:func:`cerebench.loop.lesions.pool_boxes`).
    """
    entries = [prepared(ref) for ref in cases]
    volumes = PreparedVolumes(entries)
    if info.unit != "lesion":
        return volumes
    places = [
        (position, box)
        for position, entry in enumerate(entries)
        for box in pool_boxes(entry.labels(), entry.brain(), crop_mm, entry.spacing, entry.key)
    ]
    return _Cropped(volumes, [box for _, box in places], [position for position, _ in places])


class _Cropped(Volumes):
    """Boxes cut from volumes: one of each, or of those at ``owners``."""

    def __init__(
        self, volumes: Volumes, boxes: Sequence[tuple[slice, ...]], owners: Sequence[int] | None = None
    ) -> None:
        self._volumes = volumes
        self._boxes = boxes
        self._owners = range(len(boxes)) if owners is None else owners

    def __len__(self) -> int:
        return len(self._boxes)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(len(self)))]
        volume: Volume = self._volumes[self._owners[index]]
        box = self._boxes[index]
        mask = volume.lesion_mask
        return replace(
            volume,
            image=volume.image[(slice(None), *box)],
            brain=volume.brain[box],
            lesion_mask=None if mask is None else mask[box],
        )
