"""Write an in-silico cohort in its real layout: the simulator ``phantom``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from cerebench.errors import UsageError
from cerebench_datasets.insilico.centres import make_centre
from cerebench_datasets.insilico.lesion import label_map, label_values
from cerebench_datasets.insilico.lesions import PARTS
from cerebench_datasets.insilico.nifti import save_nifti
from cerebench_datasets.insilico.parameters import PhantomParameters, Scanner
from cerebench_datasets.insilico.subject import make_subject

if TYPE_CHECKING:
    from cerebench.cohorts.card import Card


def simulate(
    card: Card,
    out: Path,
    cases: int,
    spacing: float,
    seed: int,
    progress: Callable[[int, int, str], None] | None = None,
) -> None:
    """Write ``cases`` subjects of the card's twin below ``out``.

    Images are skull-stripped (background exactly 0) on one grid a subject, with axes and number type as the card's
    ``simulate.parameters`` say. The same arguments give the same bytes, and more cases change no earlier one.

    Args:
        card: with a ``simulate`` section.
        out: the cohort's root; created.
        cases: number of subjects.
        spacing: isotropic voxel size in mm.
        seed: of the whole tree.
        progress: called with (done, total, case) after each subject.

    Raises:
        UsageError: the card has no ``simulate`` section, or asks for what the phantom does not model.
    """
    plan = card.simulate
    if plan is None:
        raise UsageError(f"card {card.name!r} has no `simulate` section: add one, or choose another cohort")
    parameters = PhantomParameters.of(card.name, plan.parameters)
    layout = card.layout(plan.layout)
    labels: dict[str, int] = {}
    if plan.lesion != "none":
        anomalies = [value for value, state in layout.labels.items() if state == "anomaly"]
        labels = label_values(plan.lesion, PARTS[plan.lesion], anomalies, parameters.tissue_labels, card.name)
    for index in range(cases):
        fields = plan.field_values(index)
        place = plan.centre(index)
        centre = make_centre(card.name, place, parameters.scanner, parameters.centres.get(place or "", Scanner()))
        subject = make_subject(seed, card.name, index, spacing, plan.lesion, parameters)
        affine = subject.tissue.grid.affine
        for modality in plan.modalities:
            image = subject.scan(modality, centre, parameters.lesion_contrast)
            target = out / layout.path(modality, **fields)
            save_nifti(target, image, affine, parameters.orientation, parameters.dtype)
        if layout.brain_mask is not None:
            target = out / layout.path("brain_mask", **fields)
            save_nifti(target, subject.brain, affine, parameters.orientation, "uint8")
        if labels:
            mask = label_map(subject.lesion.extent, subject.brain, labels)
            save_nifti(out / layout.path("mask", **fields), mask, affine, parameters.orientation, "uint8")
        if progress is not None:
            progress(index + 1, cases, layout.case_id(fields))
