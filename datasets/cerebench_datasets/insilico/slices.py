"""Volumes as folders of numbered PNG slices, 8 bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np

_CLOSE_TO_MAXIMUM = 99.9
_GROUND = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}


def save_slices(folder: Path, values: np.ndarray, axes: str, labels: bool) -> None:
    """Write ``values`` as ``0.png``, ``1.png``, …

    Args:
        folder: created.
        values: ``[X, Y, Z]`` in RAS+ order.
        axes: directions in which column, row and slice number grow, such as ``LPS``.
        labels: whether values are labels, kept as they are; an image is scaled to 0–255, and brain never to 0.
    """
    from PIL import Image

    order = [_GROUND[letter] for letter in axes]
    turned = values.transpose([axis for axis, _ in order])
    turned = turned[tuple(slice(None, None, sign) for _, sign in order)]
    if not labels:
        inside = turned > 0
        top = float(np.percentile(turned[inside], _CLOSE_TO_MAXIMUM)) if inside.any() else 1.0
        turned = np.where(inside, np.clip(np.rint(turned * 255 / top), 1, 255), 0)
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(turned.shape[2]):
        Image.fromarray(turned[:, :, number].T.astype(np.uint8)).save(folder / f"{number}.png")
