"""From spaces to files: every image and mask on the target grid, the figures of quality and the picture."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cerebench.cohorts.card import BRAIN_MASK, MASK
from cerebench.errors import DataError
from cerebench.extraction.atlas import Atlas, atlas_grid, maps_on
from cerebench.extraction.files import nifti_bytes
from cerebench.extraction.notes import Notes
from cerebench.extraction.pictures import quality_picture
from cerebench.extraction.plan import Job
from cerebench.extraction.quality import template_dice, tissue_correlation
from cerebench.extraction.records import QUALITY, TRANSFORMS
from cerebench.extraction.reslice import coverage_warning, lesion_account, reslice_image, reslice_mask
from cerebench.extraction.rough import millilitres
from cerebench.extraction.settings import QUANTITATIVE, Options
from cerebench.extraction.spaces import Spaces
from cerebench.prepare.brain import other_grid
from cerebench.prepare.grid import canonical
from cerebench.prepare.read import Scan, read_mask, same_grid

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Results:
    """What is written of a case.

    Attributes:
        files: path below the prepared cohort → content.
        quality: figures, see :mod:`cerebench.extraction.quality`.
        lesion: see :func:`cerebench.extraction.reslice.lesion_account`; ``None`` without a mask.
    """

    files: Mapping[str, bytes]
    quality: dict[str, Any]
    lesion: dict[str, Any] | None


def make_results(job: Job, spaces: Spaces, atlas: Atlas, options: Options, notes: Notes) -> Results:
    """Interpolate everything once and draw the picture.

    Args:
        job: the case.
        spaces: from :func:`cerebench.extraction.spaces.find_spaces`.
        atlas: the template.
        options: what the user chose.
        notes: told of every step and of whatever was lost.

    Raises:
        DataError: the mask lies on a grid of its own, or the brain outside the template's field of view.
    """
    grid, name = atlas_grid(atlas, options.spacing_mm), spaces.reference
    first, to_first = spaces.scans[name], spaces.to_scan[name]
    files: dict[str, bytes] = {}

    def add(kind: str, data: Array) -> None:
        path = job.outputs[kind]
        files[path] = nifti_bytes(data, grid.affine, compressed=path.endswith(".gz"))

    with notes.step("reslice"):
        native = Scan(first.path, spaces.found.mask.astype(np.uint8), first.affine)
        brain = reslice_mask(native, to_first, grid) > 0
        if not brain.any():
            raise DataError(f"{first.path}: nothing of the brain lies in the template's field of view")
        images = {}
        for other in sorted(spaces.scans):
            images[other] = reslice_image(
                spaces.scans[other],
                spaces.to_scan[other],
                spaces.brains[other],
                spaces.stripped,
                brain,
                grid,
                quantitative=other in QUANTITATIVE,
            )
            notes.warnings += coverage_warning(other, images[other], brain)
            add(other, images[other])
        if BRAIN_MASK in job.outputs:
            add(BRAIN_MASK, brain.astype(np.uint8))
        lesion, moved = None, None
        if job.case.mask is not None:
            mask, to_mask = _mask(job, spaces)
            moved = reslice_mask(mask, to_mask, grid)
            lesion, lost = lesion_account(mask, moved, to_mask, brain, grid)
            notes.warnings += lost
            add(MASK, moved)
    with notes.step("quality"):
        maps = maps_on(atlas, grid)
        quality = {
            "brain_ml": millilitres(spaces.found.mask, first),
            "tissue_correlation": {other: tissue_correlation(image, brain, maps) for other, image in images.items()},
            "template_dice": template_dice(brain, maps),
            "volume_scale": 1.0 / float(np.linalg.det(to_first[:3, :3])),
        }
        ordered = {name: images.pop(name), **images}
        files[f"{QUALITY}/{job.name}.png"] = quality_picture(
            first,
            spaces.found.mask,
            ordered,
            grid,
            maps,
            None if moved is None else moved != 0,
            _words(job, quality, notes),
        )
    if options.keep_transforms:
        folder = f"{TRANSFORMS}/{job.name}"
        files[f"{folder}/brain.nii.gz"] = nifti_bytes(native.data, native.affine, compressed=True, space="scanner")
        matrices = {other: matrix.tolist() for other, matrix in sorted(spaces.to_scan.items())}
        files[f"{folder}/template-to-image.json"] = (json.dumps(matrices, indent=1) + "\n").encode()
    return Results(files, quality, lesion)


def _mask(job: Job, spaces: Spaces) -> tuple[Scan, Array]:
    """The lesion mask in canonical order, and 4x4 from RAS+ mm of the template to its own."""
    assert job.case.mask is not None
    mask = canonical(read_mask(job.case.mask))
    drawn_on = job.case.mask_modality or spaces.reference
    if drawn_on in spaces.scans:
        if not same_grid(mask, spaces.scans[drawn_on]) and not job.policy.resample_mask:
            raise other_grid(mask, spaces.scans[drawn_on])
        return mask, spaces.to_scan[drawn_on]
    twin = next((name for name in sorted(spaces.scans) if same_grid(mask, spaces.scans[name])), None)
    if twin is None:
        raise DataError(
            f"{mask.path}: found a mask drawn on {drawn_on}, which case {job.name} lacks; add that image, or leave the "
            "case out"
        )
    return mask, spaces.to_scan[twin]


def _words(job: Job, quality: Mapping[str, Any], notes: Notes) -> list[str]:
    correlations = ", ".join(f"{name} {value:.2f}" for name, value in quality["tissue_correlation"].items())
    return [
        f"{job.case.cohort} {job.name}: brain {quality['brain_ml']:.0f} ml, tissue correlation {correlations}, "
        f"Dice with the template's brain {quality['template_dice']:.2f}, volume scale {quality['volume_scale']:.2f}",
        *(f"! {warning}" for warning in notes.warnings[:6]),
    ]
