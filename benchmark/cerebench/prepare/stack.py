"""A folder of 2D slices as a volume."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from cerebench.contract.data import SliceStack
from cerebench.errors import DataError

_RAS = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}
_GREY = ("1", "L", "I", "I;16", "I;16B")


def read_stack(folder: Path, stack: SliceStack) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Voxels ``[column, row, slice]`` float32 and affine (index → RAS+ mm, origin at 0) of a folder of ``.png`` files.

    Slices are ordered by the last number in their names.

    Raises:
        DataError: a slice is missing, has no number, is no grey image, or differs in size from the others.
    """
    files = _in_order(folder)
    slices = [_read_slice(path) for path in files]
    first = slices[0].shape
    for path, values in zip(files, slices, strict=True):
        if values.shape != first:
            raise DataError(
                f"{path}: found {values.shape[1]}x{values.shape[0]} pixels, expected {first[1]}x{first[0]} as in "
                f"{files[0].name}; replace the slice"
            )
    affine = np.zeros((4, 4))
    affine[3, 3] = 1.0
    for index, (letter, step) in enumerate(zip(stack.axes, stack.spacing_mm, strict=True)):
        axis, sign = _RAS[letter]
        affine[axis, index] = sign * step
    return np.stack([values.T for values in slices], axis=-1), affine


def _in_order(folder: Path) -> list[Path]:
    numbered: dict[int, Path] = {}
    for path in sorted(folder.glob("*.png")):
        if path.name.startswith("."):
            continue
        digits = re.findall(r"\d+", path.stem)
        if not digits:
            raise DataError(f"{path}: found no slice number in the file's name, expected one such as 012.png")
        number = int(digits[-1])
        if number in numbered:
            raise DataError(f"{path}: found slice {number} twice, also as {numbered[number].name}; keep one")
        numbered[number] = path
    if not numbered:
        raise DataError(f"{folder}: found no .png slice; restore the folder or take the case out of the cohort")
    numbers = sorted(numbered)
    expected = range(numbers[0], numbers[-1] + 1)
    if lacking := sorted(set(expected) - set(numbers)):
        raise DataError(
            f"{folder}: found {len(numbers)} slices from {numbers[0]} to {numbers[-1]}, slice {lacking[0]} is missing; "
            "restore it"
        )
    return [numbered[number] for number in numbers]


def _read_slice(path: Path) -> np.ndarray[Any, Any]:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            if image.mode not in _GREY:
                raise DataError(f"{path}: found an image of mode {image.mode}, expected grey values; convert the slice")
            values: np.ndarray[Any, Any] = np.asarray(image, dtype=np.float32)
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise DataError(f"{path}: found a damaged slice ({error}); download or copy it again") from None
    return values
