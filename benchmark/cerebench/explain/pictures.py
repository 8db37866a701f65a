"""Sheets of pictures: a row a picture, a column a level, lesions outlined, one intensity scale a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cerebench.explain.levels import Level

if TYPE_CHECKING:
    from PIL.Image import Image

Array = np.ndarray[Any, Any]

PANEL = 240
LINE = 16
GAP = 4
LESION, IGNORED = (0, 255, 170), (190, 120, 255)
COLOURED = ("map", "difference", "distance", "percentile", "probability", "attention", "error", "score")
"""Words in a picture's name that make it one of abnormality, in colours; every other picture is an image, in grey."""
FARTHEST = 1.5
"""An image whose values reach farther than so many times the first one's gets a grey window of its own."""
MARGIN_VOXELS = 2


def sheet(
    pictures: Mapping[str, Array],
    levels: Sequence[Level],
    outlines: Sequence[tuple[Array, tuple[int, int, int]]],
    spacing: tuple[float, float, float],
    lines: Sequence[str],
) -> Image:
    """All pictures of a case below each other: a :func:`grid` with a level above each column.

    Args:
        pictures: name → ``[n, D, H]``, one plane a level.
        levels: the n levels.
        outlines: (``[n, D, H]`` bool, colour) pairs.
        spacing: mm along D and H (and W).
        lines: words for the top.
    """
    return grid(pictures, [f"slice {level.index}: {level.why}" for level in levels], outlines, spacing, lines)


def grid(
    pictures: Mapping[str, Array],
    words: Sequence[str],
    outlines: Sequence[tuple[Array, tuple[int, int, int]]],
    spacing: Sequence[float],
    lines: Sequence[str],
) -> Image:
    """Rows of planes, a row a picture.

    The patient's left is on the left, the front is up. Every row has one scale for all its planes, printed beside its
    name. The first picture is the image; other images share its grey window, so that input and reconstruction compare
    grey by grey. Pictures of abnormality go from black over red to white, signed ones from blue over black to red.

    Args:
        pictures: name → ``[n, D, H]``, one plane a column.
        words: above the n columns.
        outlines: (``[n, D, H]`` bool, colour) pairs.
        spacing: mm along D and H (and W).
        lines: words for the top.
    """
    from PIL import Image, ImageDraw

    size = _size(next(iter(pictures.values())).shape[1:], spacing)
    row = size[1] + LINE + GAP
    top = LINE * (len(lines) + 1) + GAP
    width = max([len(words) * (size[0] + GAP), *(_width(line) for line in lines)])
    whole = Image.new("RGB", (width, top + row * len(pictures)), "black")
    draw = ImageDraw.Draw(whole)
    for number, line in enumerate(lines):
        draw.text((GAP, 2 + number * LINE), plain(line), fill="white")
    for column, text in enumerate(words):
        draw.text((column * (size[0] + GAP) + GAP, 2 + len(lines) * LINE), plain(text), fill=(180, 180, 180))
    window = _window(next(iter(pictures.values())))
    for number, (name, planes) in enumerate(pictures.items()):
        upper = top + number * row
        low, high, colours = _scale(name, planes, window)
        draw.text((GAP, upper), plain(f"{name}   [{low:.3g}, {high:.3g}]"), fill="white")
        for column, plane in enumerate(planes):
            panel = _panel(plane, low, high, colours, [(mask[column], colour) for mask, colour in outlines], size)
            whole.paste(panel, (column * (size[0] + GAP), upper + LINE))
    return whole


def around(inside: Array) -> tuple[slice, slice]:
    """Rows and columns of planes ``[..., D, H]`` that hold anything, with a margin; everything where nothing does."""
    found = []
    flat = np.asarray(inside.reshape(-1, *inside.shape[-2:]).any(axis=0))
    for axis in (1, 0):
        at = np.flatnonzero(flat.any(axis=axis))
        begin, end = (at[0], at[-1] + 1) if at.size else (0, flat.shape[1 - axis])
        found.append(slice(max(0, int(begin) - MARGIN_VOXELS), int(end) + MARGIN_VOXELS))
    return found[0], found[1]


def plain(text: str) -> str:
    """Text that Pillow's own font can draw."""
    return text.encode("ascii", "replace").decode()


def _width(text: str) -> int:
    from PIL import ImageFont

    return int(ImageFont.load_default().getlength(plain(text))) + 2 * GAP


def _size(shape: Sequence[int], spacing: Sequence[float]) -> tuple[int, int]:
    """Width and height of a panel in pixels, true to the millimetre."""
    sides = [count * step for count, step in zip(shape, spacing, strict=False)]
    return max(1, round(PANEL * sides[0] / max(sides))), max(1, round(PANEL * sides[1] / max(sides)))


def _window(planes: Array) -> tuple[float, float]:
    values = planes[planes != 0]
    if not values.size:
        return 0.0, 1.0
    low, high = np.percentile(values, [0.5, 99.5])
    return min(float(low), 0.0), max(float(high), 1e-6)


def _scale(name: str, planes: Array, window: tuple[float, float]) -> tuple[float, float, str]:
    """Lowest and highest value shown, and the colours."""
    low, high = _window(planes)
    if not any(word in name.lower() for word in COLOURED):
        return (*window, "grey") if high <= FARTHEST * window[1] else (low, high, "grey")
    if low < 0:
        reach = max(-low, high)
        return -reach, reach, "signed"
    return 0.0, high, "heat"


def _panel(
    plane: Array,
    low: float,
    high: float,
    colours: str,
    outlines: Sequence[tuple[Array, tuple[int, int, int]]],
    size: tuple[int, int],
) -> Image:
    from PIL import Image

    def shown(values: Array) -> Array:
        # rows of a picture go down, the second axis goes to the front; a voxel stays a voxel
        picture = Image.fromarray(np.ascontiguousarray(values.T[::-1]))
        return np.array(picture.resize(size, Image.Resampling.NEAREST))

    share = np.clip((plane - low) / max(high - low, 1e-12), 0, 1)
    pixels = shown(np.round(255 * share).astype(np.uint8))
    coloured = _colour(pixels / 255, colours)
    for mask, colour in outlines:
        inside = shown(mask.astype(np.uint8) * 255) > 127
        coloured[_edge(inside)] = colour
    return Image.fromarray(coloured)


def _colour(share: Array, colours: str) -> Array:
    """``[…, 3]`` uint8 of shares in [0, 1]."""
    if colours == "grey":
        parts = [share, share, share]
    elif colours == "heat":
        parts = [3 * share, 3 * share - 1, 3 * share - 2]
    else:
        parts = [2 * share - 1, np.abs(2 * share - 1) * 0.3, 1 - 2 * share]
    coloured: Array = np.round(255 * np.clip(np.stack(parts, axis=-1), 0, 1)).astype(np.uint8)
    return coloured


def _edge(inside: Array) -> Array:
    """Inner border of a mask, two pixels wide."""
    from scipy.ndimage import binary_erosion

    return np.asarray(inside & ~binary_erosion(inside, iterations=2, border_value=1))
