"""The MNI152 2009a template that nilearn ships: tissue maps, T1 detail, depth and distance from the ventricles.

The files are opened with nibabel from nilearn's package folder, found without importing it: ``import nilearn.datasets``
takes seconds, the three files 0.2 s.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from cerebench.api import template_file

_MAPS: tuple[Literal["t1", "gm", "wm"], ...] = ("t1", "gm", "wm")
_PURE = {"csf": 0.95, "gm": 0.90, "wm": 0.95}
"""A voxel counts as pure tissue above this fraction."""
_MARGIN = 6
_VENTRICLE_DEPTH_MM = 20.0


@dataclass(frozen=True)
class Template:
    """Maps on one cropped 1 mm RAS+ grid.

    Attributes:
        origin: mm coordinates of voxel (0, 0, 0).
        brain, gm, wm: fractions in [0, 1]; cerebrospinal fluid is what is left of the brain.
        detail: T1 in units of white matter, minus what the tissue fractions explain.
        depth: mm from the brain's surface, 0 outside; on every second voxel.
        ventricle_distance: mm from the ventricles; on every second voxel.
        t1_means: T1 of pure csf, gm and wm in units of white matter.
    """

    origin: np.ndarray
    brain: np.ndarray
    gm: np.ndarray
    wm: np.ndarray
    detail: np.ndarray
    depth: np.ndarray
    ventricle_distance: np.ndarray
    t1_means: dict[str, float]


@lru_cache(maxsize=1)
def load_template() -> Template:
    """Read the template once a process."""
    import nibabel as nib
    from scipy import ndimage

    images: dict[str, Any] = {kind: nib.load(template_file(kind)) for kind in _MAPS}
    maps = {kind: np.asanyarray(image.dataobj) for kind, image in images.items()}
    brain = ndimage.binary_closing(maps["t1"] > 0, iterations=2)
    box = ndimage.find_objects(brain.astype(np.uint8))[0]
    # the crop keeps the x axis symmetric because the template is
    crop = tuple(
        slice(max(part.start - _MARGIN, 0), min(part.stop + _MARGIN, size))
        for part, size in zip(box, brain.shape, strict=True)
    )
    affine = images["t1"].affine
    brain = brain[crop]
    t1, gm, wm = (maps[kind][crop].astype(np.float32) / 255 for kind in ("t1", "gm", "wm"))
    gm, wm = gm * brain, wm * brain
    fractions = {"csf": np.clip(brain - gm - wm, 0, 1), "gm": gm, "wm": wm}
    pure = {tissue: float(t1[(part > _PURE[tissue]) & (t1 > 0)].mean()) for tissue, part in fractions.items()}
    means = {tissue: value / pure["wm"] for tissue, value in pure.items()}
    explained = sum(part * np.float32(means[tissue]) for tissue, part in fractions.items())
    detail = np.where(t1 > 0, t1 / np.float32(pure["wm"]) - explained, 0).astype(np.float32)
    half = (slice(None, None, 2),) * 3
    depth = 2 * ndimage.distance_transform_edt(brain[half]).astype(np.float32)
    ventricles = (fractions["csf"][half] > 0.5) & (depth > _VENTRICLE_DEPTH_MM)
    distance = 2 * ndimage.distance_transform_edt(~ventricles).astype(np.float32)
    origin = affine[:3, 3] + [part.start for part in crop]
    return Template(origin, brain.astype(np.float32), gm, wm, detail, depth, distance, means)


@lru_cache(maxsize=2)
def template_for(spacing: float) -> Template:
    """The template low-pass filtered for sampling at ``spacing`` mm, so that thin structures do not alias."""
    from dataclasses import replace

    from scipy import ndimage

    full = load_template()
    if spacing <= 1:
        return full
    sigma = 0.425 * (spacing**2 - 1) ** 0.5
    smooth = {name: ndimage.gaussian_filter(getattr(full, name), sigma) for name in ("brain", "gm", "wm", "detail")}
    return replace(full, **smooth)
