"""Lesion sub-volumes: a cube around the lesion, for methods whose unit is a lesion."""

from __future__ import annotations

from typing import Any

from cerebench.contract.data import ANOMALY
from cerebench.errors import DataError


def lesion_box(labels: Any, size_mm: float, spacing: tuple[float, float, float], case: str) -> tuple[slice, ...]:
    """Slices of a cube of fixed size centred on the lesion's bounding box, shifted to stay inside the volume.

    Args:
        labels: ``[D, H, W]`` numpy array or tensor with 1 = anomaly.
        size_mm: side of the cube.
        spacing: mm along D, H, W.
        case: for the error message.

    Raises:
        DataError: the case has no lesion voxel.
    """
    import numpy as np

    found = np.argwhere(np.asarray(labels.cpu() if hasattr(labels, "cpu") else labels) == ANOMALY)
    if len(found) == 0:
        raise DataError(f"case {case}: its mask holds no lesion voxel, but lesion classification needs one")
    low, high = found.min(axis=0), found.max(axis=0) + 1
    box = []
    for axis, step in enumerate(spacing):
        length = labels.shape[axis]
        extent = min(length, max(1, round(size_mm / step)))
        start = int(np.clip((low[axis] + high[axis] - extent) // 2, 0, length - extent))
        box.append(slice(start, start + extent))
    return tuple(box)
