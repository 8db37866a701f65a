"""Reading every file of a case to say what is wrong with it, without preparing anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cerebench.contract.data import ANOMALY, IGNORE, Case, ReadPolicy
from cerebench.errors import DataError
from cerebench.prepare.brain import find_brain, other_grid
from cerebench.prepare.grid import between, canonical, resample
from cerebench.prepare.read import Scan, read_image, read_mask, same_grid
from cerebench.prepare.steps import label_states

Progress = Callable[[int, int, str], None]


@dataclass
class Inspection:
    """What was found in one case.

    Attributes:
        case: id.
        patient: identifier.
        files: number of files read.
        faults: one sentence each; the case, or a modality of it, cannot be used.
        notes: one sentence each; worth knowing, nothing is refused.
        lesion_voxels, lesion_ml: anomalous voxels of the mask file and their volume; ``None`` without a mask.
        ignored_voxels: voxels of the mask file that count neither way; ``None`` without a mask.
        brain_ml: volume of the brain on the first image that has one; ``None`` where none was found.
    """

    case: str
    patient: str
    files: int = 0
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    lesion_voxels: int | None = None
    lesion_ml: float | None = None
    ignored_voxels: int | None = None
    brain_ml: float | None = None


def inspect_cases(
    cases: Sequence[Case],
    policy: ReadPolicy,
    workers: int,
    progress: Progress = lambda done, total, text: None,
) -> Iterator[Inspection]:
    """Inspect cases in their order, several at once (decompression lets go of the interpreter)."""
    with ThreadPoolExecutor(max(1, workers)) as threads:
        try:
            for done, found in enumerate(threads.map(lambda case: inspect_case(case, policy), cases), start=1):
                progress(done, len(cases), found.case)
                yield found
        finally:
            threads.shutdown(cancel_futures=True)


def inspect_case(case: Case, policy: ReadPolicy) -> Inspection:
    """Read every file of a case; faults of files become sentences, never exceptions."""
    found = Inspection(case.id, case.patient)
    scans: dict[str, tuple[Scan, Any]] = {}
    for modality, path in sorted(case.images.items()):
        found.files += 1
        try:
            raw = read_image(path, policy.slices)
            scan = canonical(raw)
            brain, _ = find_brain(scan, case.brain_mask, policy)
        except DataError as error:
            found.faults.append(str(error))
            continue
        scans[modality] = scan, brain
        if not raw.oriented:
            found.notes.append(f"{path}: the header does not say where left and right are; they were guessed")
        if found.brain_ml is None:
            found.brain_ml = float(np.count_nonzero(brain)) * _voxel_ml(scan)
    found.files += case.brain_mask is not None
    if case.mask is not None:
        found.files += 1
        try:
            _inspect_mask(case, scans, policy, found)
        except DataError as error:
            found.faults.append(str(error))
    return found


def _inspect_mask(case: Case, scans: dict[str, tuple[Scan, Any]], policy: ReadPolicy, found: Inspection) -> None:
    assert case.mask is not None
    mask = canonical(read_mask(case.mask, policy.slices))
    states = label_states(mask, policy, case.lesion)
    lesion = states == ANOMALY
    found.lesion_voxels = int(np.count_nonzero(lesion))
    found.lesion_ml = found.lesion_voxels * _voxel_ml(mask)
    found.ignored_voxels = int(np.count_nonzero(states == IGNORE))
    if not found.lesion_voxels:
        found.notes.append(f"{case.mask}: no voxel is labelled as lesion")
    for modality, (scan, _) in scans.items():
        if same_grid(mask, scan):
            continue
        if not policy.resample_mask:
            raise other_grid(mask, scan)
        if modality == case.mask_modality:
            found.notes.append(f"{case.mask}: not on the grid of {modality}, on which it is said to be drawn")
    reference = scans.get(case.mask_modality or "") or next(iter(scans.values()), None)
    if reference is not None and found.lesion_voxels:
        scan, brain = reference
        within = resample(brain.astype(np.uint8), between(scan.affine, mask.affine), mask.shape, order=0) > 0
        outside = int(np.count_nonzero(lesion & ~within))
        if outside == found.lesion_voxels:
            found.faults.append(
                f"{case.mask}: found all {outside} lesion voxels outside the brain of {scan.path.name}, expected them "
                "inside; check that mask and image lie in one space"
            )
        elif outside:
            found.notes.append(f"{case.mask}: {outside} of {found.lesion_voxels} lesion voxels lie outside the brain")


def _voxel_ml(scan: Scan) -> float:
    return float(abs(np.linalg.det(scan.affine[:3, :3]))) / 1000.0
