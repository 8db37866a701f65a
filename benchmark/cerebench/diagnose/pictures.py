"""Pictures of a diagnosis, drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cerebench.contract.diagnosis import Panels, Scatter
from cerebench.explain.pictures import grid, plain

if TYPE_CHECKING:
    from PIL.Image import Image

SIZE, MARGIN, LINE = 480, 30, 16
PALETTE = ((255, 120, 90), (255, 205, 90), (90, 190, 255), (110, 255, 170), (205, 130, 255), (200, 200, 200))


def draw(picture: Panels | Scatter, title: str) -> Image:
    """One picture with its title."""
    if isinstance(picture, Panels):
        return grid(picture.rows, picture.columns, [], picture.spacing, [title])
    return scatter(picture, title)


def scatter(picture: Scatter, title: str) -> Image:
    """Points in one colour a group, both axes on one scale; the legend below."""
    import numpy as np
    from PIL import Image, ImageDraw

    whole = Image.new("RGB", (SIZE, SIZE + LINE * (len(picture.groups) + 2)), "black")
    canvas = ImageDraw.Draw(whole)
    canvas.text((4, 2), plain(title), fill="white")
    points = np.concatenate(list(picture.groups.values()))
    middle = (points.max(axis=0) + points.min(axis=0)) / 2 if len(points) else np.zeros(2)
    reach = max(float(np.abs(points - middle).max()) if len(points) else 0.0, 1e-12)
    for number, (name, group) in enumerate(picture.groups.items()):
        colour = PALETTE[number % len(PALETTE)]
        for x, y in SIZE / 2 + (group - middle) * np.array([1, -1]) / reach * (SIZE / 2 - MARGIN):
            canvas.ellipse([x - 4, y + LINE - 4, x + 4, y + LINE + 4], fill=colour)
        canvas.text((4, SIZE + LINE * (number + 1)), plain(f"{name} ({len(group)})"), fill=colour)
    return whole
