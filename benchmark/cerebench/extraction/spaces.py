"""From a case's images to where each lies in template space: N4, brain, affine and rigid registration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cerebench.errors import DataError
from cerebench.extraction.atlas import Atlas, coarse, registration_atlas
from cerebench.extraction.brain import Found, atlas_brain, unbias
from cerebench.extraction.engine import register_linear
from cerebench.extraction.notes import Notes
from cerebench.extraction.plan import Job
from cerebench.extraction.reslice import carry
from cerebench.extraction.rough import head_mask
from cerebench.extraction.settings import QUANTITATIVE, REGISTRATION_ORDER, Numbers
from cerebench.prepare.brain import find_brain
from cerebench.prepare.read import Scan, same_grid

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Spaces:
    """Where everything of a case lies.

    Attributes:
        reference: the modality that was registered to the template.
        scans: modality → N4-corrected image in canonical order.
        brains: modality → ``[X, Y, Z]`` bool on that image's grid.
        to_scan: modality → 4x4 that takes RAS+ mm of the template to RAS+ mm of the image.
        found: how the reference's brain was found.
        stripped: whether the images come without skull.
    """

    reference: str
    scans: Mapping[str, Scan]
    brains: Mapping[str, Array]
    to_scan: Mapping[str, Array]
    found: Found
    stripped: bool


def find_spaces(job: Job, raw: Mapping[str, Scan], atlas: Atlas, numbers: Numbers, notes: Notes) -> Spaces:
    """Correct, extract and register.

    Args:
        job: the case; its brain mask is used where it has one.
        raw: modality → image in canonical order.
        atlas: the template.
        numbers: parameters.
        notes: told of every step.

    Raises:
        DataError: no brain is found, or a registration fails.
    """
    name, stripped = job.reference, job.policy.skull_stripped
    first = _unbiased(raw[name], name, job, numbers, notes)
    with notes.step("brain") as entry:
        if stripped or job.case.brain_mask is not None:
            found = _given(raw[name], job)
        else:
            found = atlas_brain(first, atlas, numbers)
        entry["origin"] = found.origin
    with notes.step("affine", modality=name):
        to_first = _affine(first, found.mask, atlas, numbers)
    scans, brains, to_scan = {name: first}, {name: found.mask}, {name: to_first}
    for other in sorted(set(raw) - {name}, key=_order):
        scan = _unbiased(raw[other], other, job, numbers, notes)
        with notes.step("rigid", modality=other) as entry:
            twin = next((done for done in scans if same_grid(raw[done], raw[other])), None)
            if twin is not None:
                # one grid: one series, or images that the release has registered already
                entry["same_grid_as"] = twin
                to_other = to_scan[twin]
            else:
                to_other = _rigid(first, scan, numbers) @ to_first
        scans[other], to_scan[other] = scan, to_other
        if stripped:
            brains[other] = _given(raw[other], job).mask
        else:
            brains[other] = carry(found.mask, first.affine, scan, to_first @ np.linalg.inv(to_other))
        if not brains[other].any():
            raise DataError(
                f"{scan.path}: found nothing of the brain of {first.path} in it after registration; look at both images"
            )
    return Spaces(name, scans, brains, to_scan, found, stripped)


def _order(modality: str) -> tuple[int, str]:
    known = modality in REGISTRATION_ORDER
    return REGISTRATION_ORDER.index(modality) if known else len(REGISTRATION_ORDER), modality


def _given(scan: Scan, job: Job) -> Found:
    mask, origin = find_brain(scan, job.case.brain_mask, job.policy)
    return Found(mask, origin, {})


def _unbiased(scan: Scan, name: str, job: Job, numbers: Numbers, notes: Notes) -> Scan:
    with notes.step("n4", modality=name) as entry:
        if name in QUANTITATIVE:
            entry["skipped"] = "quantitative"
            return scan
        around = _given(scan, job).mask if job.policy.skull_stripped else head_mask(scan, numbers)
        corrected, figures = unbias(scan, around, numbers)
        entry |= figures
    return corrected


def _affine(scan: Scan, brain: Array, atlas: Atlas, numbers: Numbers) -> Array:
    template = registration_atlas(atlas, numbers)
    alone = coarse(replace(scan, data=scan.data * brain), numbers.registration_mm)
    matrix = register_linear((template.data, template.affine), (alone.data, alone.affine), "Affine", numbers)
    if np.linalg.det(matrix[:3, :3]) <= 0:
        raise DataError(f"{scan.path}: the registration to the template mirrored the head; check its orientation")
    return matrix


def _rigid(first: Scan, other: Scan, numbers: Numbers) -> Array:
    fixed, moving = coarse(first, numbers.registration_mm), coarse(other, numbers.registration_mm)
    return register_linear((fixed.data, fixed.affine), (moving.data, moving.affine), "Rigid", numbers)
