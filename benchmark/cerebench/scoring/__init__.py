"""Metrics that can be trusted: score sketches, patient bootstrap, detection metrics, post-processing.

``from cerebench.scoring import ScoreSketch`` imports neither torch nor numba nor scikit-learn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cerebench.scoring.sketch import ScoreSketch, SketchResolutionWarning

__all__ = ["ScoreSketch", "SketchResolutionWarning"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from cerebench.scoring import sketch

        return getattr(sketch, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
