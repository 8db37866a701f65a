"""N4 and the brain mask of a head by registration of the template."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cerebench.errors import DataError
from cerebench.extraction.atlas import Atlas, coarse, registration_atlas
from cerebench.extraction.engine import bias_field, warped_template
from cerebench.extraction.rough import grow, head_mask, largest, rough_brain
from cerebench.extraction.settings import Numbers
from cerebench.prepare.grid import between, resample
from cerebench.prepare.read import Scan

Array = np.ndarray[Any, Any]

_FLOOR = 1e-3


@dataclass(frozen=True)
class Found:
    """A brain and how it was found.

    Attributes:
        mask: ``[X, Y, Z]`` bool on the scan's grid.
        origin: in words.
        detail: figures for the record.
    """

    mask: Array
    origin: str
    detail: dict[str, Any]


def unbias(scan: Scan, mask: Array, numbers: Numbers) -> tuple[Scan, dict[str, Any]]:
    """Divide a scan by its bias field, which N4 estimates on a coarser copy.

    Negative values inside the mask are lifted above 0 first by adding a constant, since N4 takes logarithms.

    Args:
        scan: in canonical order.
        mask: ``[X, Y, Z]`` bool, head or brain.
        numbers: parameters.

    Returns:
        The corrected scan, and figures for the record.
    """
    low, high = (float(value) for value in np.percentile(scan.data[mask], [0, 99]))
    shift = -low if low < 0 else 0.0
    lifted = Scan(scan.path, scan.data + np.float32(shift), scan.affine, scan.oriented)
    small = coarse(lifted, numbers.bias_mm)
    inside = resample(mask.astype(np.uint8), between(scan.affine, small.affine), small.shape, order=0) > 0
    positive = np.maximum(small.data, _FLOOR * (high + shift))
    field = bias_field(positive, small.affine, inside, numbers)
    # the field is smooth, so its logarithm may be interpolated; beyond the coarse grid its border goes on
    wide = np.pad(np.log(field), 1, mode="edge")
    matrix = between(small.affine, scan.affine)
    matrix[:3, 3] += 1
    full = np.exp(resample(wide, matrix, scan.shape, order=1))
    spread = np.percentile(field[inside], [1, 99])
    detail = {"shift": shift, "field_1st_percentile": float(spread[0]), "field_99th_percentile": float(spread[1])}
    return replace(lifted, data=lifted.data / full), detail


def atlas_brain(scan: Scan, atlas: Atlas, numbers: Numbers) -> Found:
    """The brain of a head with skull.

    A first mask by threshold and opening, grown a little, keeps scalp, eyes and neck away from the registration that
    moves the template's own brain mask to the head.

    Args:
        scan: N4-corrected, in canonical order.
        atlas: the template.
        numbers: parameters.

    Raises:
        DataError: nothing of a brain's size, or the registration fails.
    """
    small = coarse(scan, numbers.registration_mm)
    template = registration_atlas(atlas, numbers)
    first, how = rough_brain(small, head_mask(small, numbers), numbers)
    moved = warped_template(
        head=(small.data * grow(first, small, numbers.margin_mm), small.affine),
        template=(template.data, template.affine),
        template_mask=(atlas.brain, atlas.affine),
        target=(scan.data, scan.affine),
        numbers=numbers,
    )
    if not moved.any():
        raise DataError(f"{scan.path}: the registration moved the template out of the head; look at the image")
    return Found(largest(moved), "registration of the template", {"first_mask": how})
