"""Which axial slices of a case are shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

COUNT = 3
APART_MM = 12.0


@dataclass(frozen=True)
class Level:
    """A slice and why it is shown."""

    index: int
    why: str


def choose_levels(
    lesion: np.ndarray[Any, Any],
    slice_scores: Mapping[int, float],
    brain: np.ndarray[Any, Any],
    spacing: tuple[float, float, float],
) -> tuple[Level, ...]:
    """The slice with the most lesion, then those with the highest scores at least 12 mm from the ones chosen.

    Where fewer slices have a score, slices spread over the brain fill up. Fewer than three only if the brain has fewer.

    Args:
        lesion: ``[D, H, W]`` bool.
        slice_scores: slice → score.
        brain: ``[D, H, W]`` bool.
        spacing: mm along D, H, W.
    """
    import numpy as np

    areas = lesion.sum(axis=(0, 1))
    inside = np.flatnonzero(brain.any(axis=(0, 1)))
    chosen = [Level(int(areas.argmax()), "largest lesion")] if areas.any() else []
    ranked = [(index, "high score") for index in sorted(slice_scores, key=lambda at: (-slice_scores[at], at))]
    spread = np.quantile(inside, [0.5, 0.25, 0.75], method="nearest").tolist() if len(inside) else []
    ranked += [(int(index), "within the brain") for index in spread]
    ranked += [(int(index), "within the brain") for index in inside]
    for apart in (APART_MM, 0.0):
        for index, why in ranked:
            far = all(index != other.index and abs(index - other.index) * spacing[2] >= apart for other in chosen)
            if len(chosen) < COUNT and far:
                chosen.append(Level(index, why))
    return tuple(chosen)
