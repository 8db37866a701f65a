"""Write an in-silico cohort in its real layout: the simulator ``phantom``."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from cerebench.api import UsageError
from cerebench_datasets.insilico.centres import make_centre
from cerebench_datasets.insilico.kinds.table import kind_named
from cerebench_datasets.insilico.lesion import label_map, label_values
from cerebench_datasets.insilico.nifti import save_nifti, thicken
from cerebench_datasets.insilico.parameters import PhantomParameters, Scanner
from cerebench_datasets.insilico.rows import table_rows, write_table
from cerebench_datasets.insilico.slices import save_slices
from cerebench_datasets.insilico.subject import Examination, make_subject
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

    Images are skull-stripped (background exactly 0) on one grid a subject (but for ``thick_slices``), with axes and
    number type as the card's ``simulate.parameters`` say; the table of the layout is written too, if it has one. The
    same arguments give the same bytes, and more cases change no earlier one.

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
    kind = kind_named(plan.lesion)
    kind.read(card.name, parameters.lesion)
    load_template()  # once, before the threads start
    labels: dict[str, int] = {}
    if layout.mask is not None:
        anomalies = [value for value, state in layout.labels.items() if state == "anomaly"]
        labels = label_values(plan.lesion, kind.parts, anomalies, layout.labels, parameters.tissue_labels, card.name)

    def write_case(index: int) -> tuple[str, list[dict[str, str]]]:
        slot, fields = plan.slot(index), plan.field_values(index)
        own = parameters.centres.get(slot.centre or "", Scanner())
        centre = make_centre(card.name, slot.centre, parameters.scanner, own)
        who = Examination(seed, card.name, slot.patient, slot.visit, slot.affected)
        subject = make_subject(who, spacing, plan.lesion, parameters)

        def save(kind: str, values: np.ndarray, dtype: str) -> None:
            target = out / layout.path(kind, **fields)
            if layout.slices is not None and layout.patterns()[kind].endswith(".png"):
                save_slices(target, values, layout.slices.axes, labels=kind in ("mask", "brain_mask"))
                return
            affine = subject.tissue.grid.affine
            if kind in parameters.thick_slices:
                values, affine = thicken(values, affine, parameters.thick_slices[kind])
            save_nifti(target, values, affine, parameters.orientation, dtype)

        for modality in plan.modalities:
            save(modality, subject.scan(modality, centre, parameters.lesion_contrast), parameters.dtype)
        if layout.brain_mask is not None:
            save("brain_mask", subject.brain, "uint8")
        if labels and slot.affected:
            numbers = subject.lesion.numbers if layout.numbered_lesions else None
            mask = label_map(subject.lesion.extent, subject.brain, labels, numbers)
            save("mask", mask, str(mask.dtype))
        return layout.case_id(fields), list(table_rows(layout, fields, subject.lesion.findings, slot.affected))

    # subjects are independent and spend their time in scipy, which lets go of the interpreter
    with ThreadPoolExecutor(_workers(spacing)) as pool:
        written = [pool.submit(write_case, index) for index in range(cases)]
        rows: list[dict[str, str]] = []
        try:
            for done, case in enumerate(written, start=1):
                name, of_case = case.result()
                rows += of_case
                if progress is not None:
                    progress(done, cases, name)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    if layout.table is not None and rows:
        write_table(out / layout.table.file, rows)


def _workers(spacing: float) -> int:
    """Threads: a subject at 1 mm needs about 1 GB, at 2 mm an eighth of it."""
    return 1 if spacing < _SERIAL_BELOW_MM else min(4, os.cpu_count() or 1)
