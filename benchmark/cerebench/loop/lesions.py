"""Sub-volumes for methods whose unit is a lesion: a cube around it, or cubes of a case without classes."""

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
        DataError: the case has no lesion voxel, or no mask.
    """
    import numpy as np

    if labels is None:
        raise DataError(f"case {case}: it has no lesion mask, but lesion classification needs one")
    found = np.argwhere(np.asarray(labels.cpu() if hasattr(labels, "cpu") else labels) == ANOMALY)
    if len(found) == 0:
        raise DataError(f"case {case}: its mask holds no lesion voxel, but lesion classification needs one")
    return _cube(found.min(axis=0), found.max(axis=0) + 1, labels.shape, size_mm, spacing)


POOL_CUBES = 4
"""Cubes of one case of a pool: its largest lesions first, then places in the brain."""


def pool_boxes(
    labels: Any, brain: Any, size_mm: float, spacing: tuple[float, float, float], key: str
) -> list[tuple[slice, ...]]:
    """Cubes of a case without classes: around its connected lesions, largest first, then drawn from the brain.

    Args:
        labels: ``[D, H, W]`` with 1 = anomaly, or ``None``.
        brain: ``[D, H, W]`` bool.
        size_mm: side of the cubes.
        spacing: mm along D, H, W.
        key: of the case; the drawn places are a function of it.

    Returns:
        :data:`POOL_CUBES` boxes; none for an empty brain.
    """
    import numpy as np
    from scipy import ndimage

    from cerebench.training.seeding import derived_seed

    boxes = []
    if labels is not None:
        parts, count = ndimage.label(np.asarray(labels) == ANOMALY, np.ones((3, 3, 3)))
        sizes = np.bincount(parts.ravel(), minlength=count + 1)[1:]
        found = ndimage.find_objects(parts)
        for index in np.argsort(-sizes, kind="stable")[:POOL_CUBES]:
            low, high = ([getattr(side, end) for side in found[index]] for end in ("start", "stop"))
            boxes.append(_cube(np.array(low), np.array(high), parts.shape, size_mm, spacing))
    inside = np.argwhere(np.asarray(brain))
    if not len(inside):
        return []
    drawn = np.random.default_rng(derived_seed("pool", key)).integers(len(inside), size=POOL_CUBES)
    for place in inside[drawn][len(boxes) :]:
        boxes.append(_cube(place, place + 1, brain.shape, size_mm, spacing))
    return boxes


def _cube(
    low: Any, high: Any, shape: tuple[int, ...], size_mm: float, spacing: tuple[float, float, float]
) -> tuple[slice, ...]:
    """A cube in the middle of ``[low, high)``, shifted to stay inside the volume."""
    import numpy as np

    box = []
    for axis, step in enumerate(spacing):
        extent = min(shape[axis], max(1, round(size_mm / step)))
        start = int(np.clip((low[axis] + high[axis] - extent) // 2, 0, shape[axis] - extent))
        box.append(slice(start, start + extent))
    return tuple(box)
