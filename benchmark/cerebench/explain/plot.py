"""Slice scores of a case along its height, against those of validation slices without a lesion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from cerebench.explain.pictures import LESION, plain

if TYPE_CHECKING:
    from PIL.Image import Image

WIDTH, HEIGHT, MARGIN = 760, 300, 60
_BAND, _LINE, _POINT, _AXIS = (60, 60, 90), (255, 90, 90), (235, 235, 235), (130, 130, 130)


def score_plot(
    scores: Mapping[int, float],
    with_lesion: Sequence[int],
    normal: Sequence[float],
    threshold: float | None,
    title: str,
) -> Image:
    """Points: slices, green where they hold a lesion. Band: 5th to 95th percentile of normal slices. Line: threshold.

    Args:
        scores: slice → score; not empty.
        with_lesion: slices that hold a lesion.
        normal: scores of validation slices without a lesion; may be empty.
        threshold: of the slice decision.
        title: words for the top.
    """
    from PIL import Image, ImageDraw

    picture = Image.new("RGB", (WIDTH, HEIGHT), "black")
    draw = ImageDraw.Draw(picture)
    band = np.percentile(normal, [5, 50, 95]).tolist() if normal else []
    shown = threshold is not None and np.isfinite(threshold)
    values = [*scores.values(), *band, *([float(threshold or 0)] if shown else [])]
    low, high = min(values), max(values)
    reach = (high - low) or 1.0
    first, last = min(scores), max(scores)

    def x(index: float) -> float:
        return MARGIN + (index - first) / max(last - first, 1) * (WIDTH - 2 * MARGIN)

    def y(value: float) -> float:
        return float(HEIGHT - 40 - (value - low) / reach * (HEIGHT - 80))

    if band:
        draw.rectangle([x(first), y(band[2]), x(last), y(band[0])], fill=_BAND)
        draw.line([x(first), y(band[1]), x(last), y(band[1])], fill=_AXIS)
    if shown:
        height = y(float(threshold or 0))
        draw.line([x(first), height, x(last), height], fill=_LINE, width=2)
        draw.text((WIDTH - MARGIN + 2, height - 6), "threshold", fill=_LINE)
    ordered = sorted(scores)
    draw.line([(x(index), y(scores[index])) for index in ordered], fill=_AXIS)
    for index in ordered:
        colour = LESION if index in with_lesion else _POINT
        at = x(index), y(scores[index])
        draw.ellipse([at[0] - 3, at[1] - 3, at[0] + 3, at[1] + 3], fill=colour)
    for value in (low, high):
        draw.text((4, y(value) - 6), f"{value:.3g}", fill="white")
    for index in (first, last):
        draw.text((x(index) - 8, HEIGHT - 32), str(index), fill="white")
    draw.text((MARGIN, 8), plain(title), fill="white")
    legend = "axial slice; green: with lesion; band: 5-95 % of validation slices without lesion"
    draw.text((MARGIN, HEIGHT - 16), legend, fill=_AXIS)
    return picture
