"""Evaluation cells: one method on one column. No method's and no cohort's name is known here."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from cerebench.contract.method import Method
from cerebench.jsonio import write_json
from cerebench.loop.cases import predict_case
from cerebench.loop.device import StageTimer, peak_memory
from cerebench.loop.feed import feed
from cerebench.loop.predict import BatchBackoff
from cerebench.loop.record import cell_provenance, data_of
from cerebench.loop.reference import load_reference
from cerebench.loop.rows import Row, case_rows, case_table, slice_table
from cerebench.loop.summary import write_metrics
from cerebench.loop.thresholds import Scored, Thresholds
from cerebench.plan.cells import EvaluationCell, Job
from cerebench.scoring.storage import save_sketches
from cerebench.store import Store, status_record

if TYPE_CHECKING:
    from torch import device


def run_evaluation(
    method: Method,
    job: Job,
    cell: EvaluationCell,
    store: Store,
    target: device,
    progress: Callable[[int, int, str], None],
    scored: Callable[[int, list[Row]], None] = lambda count, rows: None,
) -> None:
    """Predict and score every case of a column, then commit the cell; ``scored`` is told each case's rows."""
    timer = StageTimer(target)
    batch = BatchBackoff(job.options.slice_batch)
    rule, controls = load_reference(store.path(cell.reference), job.options.percentiles)
    rows: list[Row] = []
    kept: list[Scored] = []
    thresholds: dict[str, Thresholds] = {}
    for count, loaded in enumerate(feed(cell.cases, target)):
        progress(count, len(cell.cases), loaded.ref.id)
        scores = predict_case(method, loaded, job.options, job.seed, batch, timer)
        chosen = thresholds.setdefault(loaded.ref.patient, rule.for_patient(loaded.ref.patient))
        with timer.stage("score"):
            mine = case_rows(scores, chosen, loaded.spacing)
        rows += mine
        scored(count, mine)
        kept.append(Scored.of(scores))  # drops map and masks
    for control in controls:
        thresholds.setdefault(control.patient, rule.for_patient(control.patient))
    with store.writing(cell.path) as folder:
        sketches = {f"{item.case}/{post}": sketch for item in kept for post, sketch in item.sketches.items()}
        save_sketches(folder / "sketches.npz", sketches)
        case_table(rows).to_parquet(folder / "cases.parquet", index=False)
        slice_table(kept).to_parquet(folder / "slices.parquet", index=False)
        write_json(folder / "thresholds.json", {patient: _plain(item) for patient, item in thresholds.items()})
        write_json(
            folder / "controls.json",
            [{"case": item.case, "patient": item.patient, "score": item.score} for item in controls],
        )
        write_json(
            folder / "cell.json",
            {
                **asdict(cell.identity),
                "method_settings": method.settings.model_dump(mode="json"),
                "options": asdict(job.options),
                "artefact": cell.artefact,
                "stages": [stage.path for stage in job.stages],
                "reference": cell.reference,
                "notes": list(cell.notes),
                "mixed": rule.mixed,
                "n_cases": len(cell.cases),
            },
        )
        with timer.stage("summarise"):
            write_metrics(folder)
        write_json(
            folder / "timing.json",
            {
                "seconds": dict(timer.seconds),
                "waiting": dict(timer.waiting),
                "peak_bytes": peak_memory(target),
                "slice_batch": batch.size,
                "batch_reductions": batch.reductions,
                "device": str(target),
            },
        )
        write_json(folder / "provenance.json", cell_provenance(job, target, data_of(job, cell), job.seed))
        write_json(folder / "status.json", status_record("ok"))


def _plain(thresholds: Thresholds) -> dict[str, Any]:
    """Thresholds as JSON; an infinite one (nothing is ever positive) becomes the word ``inf``."""

    def value(number: float | None) -> float | str | None:
        return "inf" if number is not None and math.isinf(number) else number

    return {
        "dice": {post: value(number) for post, number in thresholds.dice.items()},
        "healthy": {
            post: {f"{percent}fpr": value(number) for percent, number in points.items()}
            for post, points in thresholds.healthy.items()
        },
        "subject": value(thresholds.subject),
        "slice": value(thresholds.slice),
        "percentiles": {
            f"p{percent}": {level: value(number) for level, number in levels.items()}
            for percent, levels in thresholds.percentiles.items()
        },
        "balanced": {post: value(number) for post, number in thresholds.balanced.items()},
    }
