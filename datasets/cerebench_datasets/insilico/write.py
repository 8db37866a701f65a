"""Write an in-silico cohort in its real layout: the simulator ``phantom``."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from cerebench.api import UsageError
from cerebench_datasets.insilico.centres import make_centre
from cerebench_datasets.insilico.lesion import label_map, label_values
from cerebench_datasets.insilico.lesions import PARTS
from cerebench_datasets.insilico.nifti import save_nifti
from cerebench_datasets.insilico.parameters import PhantomParameters, Scanner
from cerebench_datasets.insilico.subject import make_subject
from cerebench_datasets.insilico.template import load_template

if TYPE_CHECKING:
    import numpy as np

    from cerebench.api import Card

_SERIAL_BELOW_MM = 1.5


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
    load_template()  # once, before the threads start
    labels: dict[str, int] = {}
    if plan.lesion != "none":
        anomalies = [value for value, state in layout.labels.items() if state == "anomaly"]
        labels = label_values(plan.lesion, PARTS[plan.lesion], anomalies, parameters.tissue_labels, card.name)

    def write_case(index: int) -> str:
        fields = plan.field_values(index)
        place = plan.centre(index)
        centre = make_centre(card.name, place, parameters.scanner, parameters.centres.get(place or "", Scanner()))
        subject = make_subject(seed, card.name, index, spacing, plan.lesion, parameters)

        def save(kind: str, values: np.ndarray, dtype: str) -> None:
            target = out / layout.path(kind, **fields)
            save_nifti(target, values, subject.tissue.grid.affine, parameters.orientation, dtype)

        for modality in plan.modalities:
            save(modality, subject.scan(modality, centre, parameters.lesion_contrast), parameters.dtype)
        if layout.brain_mask is not None:
            save("brain_mask", subject.brain, "uint8")
        if labels:
            save("mask", label_map(subject.lesion.extent, subject.brain, labels), "uint8")
        return layout.case_id(fields)

    # subjects are independent and spend their time in scipy, which lets go of the interpreter
    with ThreadPoolExecutor(_workers(spacing)) as pool:
        written = [pool.submit(write_case, index) for index in range(cases)]
        try:
            for done, case in enumerate(written, start=1):
                name = case.result()
                if progress is not None:
                    progress(done, cases, name)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _workers(spacing: float) -> int:
    """Threads: a subject at 1 mm needs about 1 GB, at 2 mm an eighth of it."""
    return 1 if spacing < _SERIAL_BELOW_MM else min(4, os.cpu_count() or 1)
