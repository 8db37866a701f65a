"""Figures that tell a good extraction from a bad one, and how suspicious a case is."""

from __future__ import annotations

from typing import Any

import numpy as np

from cerebench.extraction.atlas import Maps

Array = np.ndarray[Any, Any]

BRAIN_ML = (900.0, 2000.0)
TISSUE_CORRELATION = {"t1": 0.45}
OTHER_TISSUE_CORRELATION = 0.15
TEMPLATE_DICE = 0.9
VOLUME_SCALE = (0.6, 2.0)


def tissue_correlation(image: Array, brain: Array, maps: Maps) -> float:
    """How much of an image the template's tissue maps explain: multiple correlation, 0 to 1, whatever the contrast.

    The image is cut at its brain's 1st and 99th percentile, so that vessels and lesions weigh little.

    Args:
        image: on the target grid, 0 outside the brain.
        brain: bool.
        maps: the template on the same grid.
    """
    inside = brain & maps.brain & (image != 0)
    if np.count_nonzero(inside) < 100:
        return 0.0
    values = image[inside].astype(np.float64)
    values = np.clip(values, *np.percentile(values, [1, 99]))
    if values.std() == 0:
        return 0.0
    design = np.column_stack([np.ones(len(values)), maps.gm[inside], maps.wm[inside]])
    fitted = design @ np.linalg.lstsq(design, values, rcond=None)[0]
    return float(np.sqrt(np.clip(fitted.var() / values.var(), 0.0, 1.0)))


def template_dice(brain: Array, maps: Maps) -> float:
    """Dice of the brain on the target grid with the template's."""
    both = int(np.count_nonzero(brain & maps.brain))
    return 2.0 * both / max(int(np.count_nonzero(brain)) + int(np.count_nonzero(maps.brain)), 1)


def suspicion(record: dict[str, Any]) -> tuple[float, list[str]]:
    """How far a case is from what is usual, and why; 0 for an unremarkable one.

    One point each: 100 ml beyond 900 to 2000 ml of brain, 0.1 below a tissue correlation of 0.45 (t1) or 0.15 (others),
    0.05 below a Dice of 0.9 with the template's brain, 0.1 beyond a volume scale of 0.6 to 2, and every warning.
    """
    found = record["quality"]
    ml, dice, scale = found["brain_ml"], found["template_dice"], found["volume_scale"]
    parts = [
        (_beyond(ml, *BRAIN_ML) / 100.0, f"brain of {ml:.0f} ml"),
        (_beyond(dice, TEMPLATE_DICE, 1.0) / 0.05, f"Dice with the template's brain {dice:.2f}"),
        (_beyond(scale, *VOLUME_SCALE) / 0.1, f"volume scale {scale:.2f}"),
        *(_tissue(name, value) for name, value in sorted(found["tissue_correlation"].items())),
        *((1.0, text) for text in record["warnings"]),
    ]
    return sum(points for points, _ in parts), [text for points, text in parts if points]


def _tissue(name: str, value: float) -> tuple[float, str]:
    lowest = TISSUE_CORRELATION.get(name, OTHER_TISSUE_CORRELATION)
    return _beyond(value, lowest, 1.0) / 0.1, f"tissue correlation of {name} {value:.2f}"


def _beyond(value: float, low: float, high: float) -> float:
    return max(low - value, value - high, 0.0)
