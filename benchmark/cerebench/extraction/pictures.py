"""The quality picture of a case: the head with the brain's outline, and the result with the template's edges."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from cerebench.extraction.atlas import Grid, Maps
from cerebench.prepare.grid import bounding_box
from cerebench.prepare.read import Scan

Array = np.ndarray[Any, Any]

_PANEL = 190
_LINE = 14
_BRAIN, _TEMPLATE, _LESION = (255, 60, 60), (90, 220, 255), (255, 210, 0)
_EDGE = 0.5
_PLACES = (0.25, 0.5, 0.75)
_FEWER = (1 / 3, 2 / 3)
_AXES = (2, 1, 0)


def quality_picture(
    head: Scan,
    brain: Array,
    images: Mapping[str, Array],
    grid: Grid,
    maps: Maps,
    lesion: Array | None,
    lines: Sequence[str],
) -> bytes:
    """A PNG of six columns, the patient's left on the left.

    First three rows (axial, coronal, sagittal), left half: the N4-corrected head at a quarter, half and three quarters
    of its brain, outlined in red. Right half: the result at these places of the template's brain, with the edges of the
    template's brain and white matter in blue and lesions in yellow. One row more for every other modality.

    Args:
        head: reference image in canonical order.
        brain: ``[X, Y, Z]`` bool on its grid.
        images: modality → result on the target grid, the reference first.
        grid: target.
        maps: the template on it.
        lesion: bool on the target grid, or ``None``.
        lines: words for the top.

    Returns:
        The file's bytes, the same for the same arguments.
    """
    from PIL import Image, ImageDraw

    marks = [(maps.brain, _TEMPLATE), (maps.wm > _EDGE, _TEMPLATE)]
    if lesion is not None:
        marks.append((lesion, _LESION))
    spacing = tuple(float(side) for side in np.diag(grid.affine)[:3])
    reference, *others = images
    views = [_View(head.data, brain, head.spacing, [(brain, _BRAIN)], "head, brain found")]
    views += [_View(images[name], maps.brain, spacing, marks, f"result, {name}") for name in (reference, *others)]
    top = _LINE * len(lines) + 8
    sheet = Image.new("RGB", (6 * _PANEL, top + (3 + len(others)) * _PANEL), "black")
    draw = ImageDraw.Draw(sheet)
    for number, line in enumerate(lines):
        draw.text((4, 3 + number * _LINE), line, fill="white")
    for number, view in enumerate(views):
        places = [(axis, place) for axis in _AXES for place in (_PLACES if number < 2 else _FEWER)]
        for which, (axis, place) in enumerate(places):
            if number < 2:
                row, column = divmod(which, 3)
                column += 3 * number
            else:
                row, column = number + 1, which
            panel = view.panel(axis, place)
            left, upper = column * _PANEL, top + row * _PANEL
            sheet.paste(panel, (left + (_PANEL - panel.width) // 2, upper + (_PANEL - panel.height) // 2))
            if not which:
                draw.text((left + 4, upper + 2), f"L  {view.words}", fill="white")
    stream = io.BytesIO()
    sheet.save(stream, format="PNG", compress_level=6)
    return stream.getvalue()


@dataclass(frozen=True)
class _View:
    """A volume to be cut: where its brain is, its voxel size, what is outlined, and what it is called."""

    data: Array
    around: Array
    spacing: tuple[float, ...]
    outlines: Sequence[tuple[Array, tuple[int, int, int]]]
    words: str

    def panel(self, axis: int, place: float) -> Any:
        """The slice at a part (0 to 1) of the brain's extent along an axis, as a picture."""
        from PIL import Image

        box = bounding_box(self.around)[axis]
        index = round(box.start + place * (box.stop - 1 - box.start))
        low, high = self._window
        slab = np.take(self.data, index, axis=axis)
        grey = (np.clip((slab - low) / max(high - low, 1e-12), 0, 1) * 255).astype(np.uint8)
        sides = [side * self.spacing[other] for other, side in enumerate(self.data.shape) if other != axis]
        size = tuple(max(1, round(side * _PANEL / max(sides))) for side in sides)

        def shown(plane: Array) -> Any:
            # rows of a picture go down, the second axis (to the front, or up) goes up
            return Image.fromarray(np.ascontiguousarray(plane.T[::-1])).resize(size, Image.Resampling.BILINEAR)

        pixels = np.array(shown(grey).convert("RGB"))
        for mask, colour in self.outlines:
            inside = np.array(shown(np.take(mask, index, axis=axis).astype(np.uint8) * 255)) > 127
            pixels[_outline(inside)] = colour
        return Image.fromarray(pixels)

    @cached_property
    def _window(self) -> tuple[float, float]:
        values = self.data[self.around]
        values = values[values != 0]
        if not len(values):
            return 0.0, 1.0
        low, high = np.percentile(values, [0.5, 99.5])
        return float(low), float(high)


def _outline(inside: Array) -> Array:
    from scipy.ndimage import binary_erosion

    return np.asarray(inside & ~binary_erosion(inside, border_value=1))
