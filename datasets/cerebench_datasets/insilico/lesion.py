"""A lesion as maps, and from maps to the values of a mask file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from cerebench.api import UsageError


@dataclass(frozen=True)
class Lesion:
    """Maps by lesion part, ``[X, Y, Z]`` float32 in [0, 1].

    Attributes:
        extent: share of the voxel that the part takes; the mask comes from it.
        shown: share in which the part's signal replaces the tissue's: extent times severity.
    """

    extent: Mapping[str, np.ndarray]
    shown: Mapping[str, np.ndarray]

    def mapped(self, change: Callable[[np.ndarray], np.ndarray]) -> Lesion:
        """The lesion with every map changed alike."""
        extent = {part: change(values) for part, values in self.extent.items()}
        return Lesion(extent, {part: change(values) for part, values in self.shown.items()})


def label_values(
    kind: str, parts: tuple[str, ...], anomalies: list[int], chosen: Mapping[str, int] | None, name: str
) -> dict[str, int]:
    """Lesion part → value in the mask file.

    Args:
        kind: lesion kind, for the message.
        parts: its parts, in the order in which values are given out.
        anomalies: the layout's anomaly labels.
        chosen: the card's ``tissue_labels``, or ``None`` for the default.
        name: the card, for the message.

    Raises:
        UsageError: the layout's labels do not fit the lesion's parts, or a value is not an anomaly of the layout.
    """
    ordered = sorted(anomalies)
    if chosen is None and len(ordered) == 1:
        chosen = dict.fromkeys(parts, ordered[0])
    elif chosen is None and len(ordered) == len(parts):
        chosen = dict(zip(parts, ordered, strict=True))
    if chosen is None or set(chosen) != set(parts) or not set(chosen.values()) <= set(ordered):
        raise UsageError(
            f"card {name!r}: the parts of a {kind} lesion ({', '.join(parts)}) do not fit the anomaly labels {ordered} "
            "of its layout; set simulate.parameters.tissue_labels to one of these labels for each part"
        )
    return dict(chosen)


def label_map(extent: Mapping[str, np.ndarray], brain: np.ndarray, values: Mapping[str, int]) -> np.ndarray:
    """Voxels that are at least half lesion, with the value of the largest part: ``[X, Y, Z]`` uint8.

    Where no voxel is half lesion, the one that holds most of it is marked, so that no patient is left without.
    """
    names = list(extent)
    stack = np.stack([extent[name] for name in names])
    total = np.where(brain, stack.sum(0), 0)
    marked = (total >= min(0.5, float(total.max()))) & (total > 0)
    codes = np.array([values[name] for name in names], np.uint8)[stack.argmax(0)]
    return np.where(marked, codes, 0).astype(np.uint8)
