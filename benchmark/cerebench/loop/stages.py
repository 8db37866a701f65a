"""Training stages: build, take over the parent's artefact, train, save."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cerebench.contract.method import FitRun, Method
from cerebench.errors import MethodError
from cerebench.jsonio import write_json
from cerebench.loop.artefact import restore_artefact, save_artefact, to_device
from cerebench.loop.device import StageTimer, peak_memory
from cerebench.loop.models import new_method
from cerebench.loop.record import cell_provenance
from cerebench.loop.training_data import training_volumes, unlabelled_volumes
from cerebench.plan.cells import CaseRef, Job, StageCell
from cerebench.store import Store, status_record
from cerebench.training.seeding import derived_seed, seed_all

if TYPE_CHECKING:
    from torch import device

Progress = Callable[[int, int, str], None]


def run_stage(
    cls: type[Method], job: Job, cell: StageCell, store: Store, target: device, progress: Progress
) -> dict[str, float]:
    """Run one training stage unless its artefact is there; returns the seconds it took, empty if nothing was done.

    Several jobs may share a stage: the first to arrive trains, the others wait and take the artefact.
    """
    with _exclusive(store, cell.path):
        if store.done(cell.path):
            return {}
        scratch = store.path(f"artefacts/.work/{cell.path.replace('/', '-')}")
        scratch.mkdir(parents=True, exist_ok=True)
        timer = StageTimer(target)
        method = new_method(cls, job, cell.seed)
        if cell.parent is not None:
            restore_artefact(method, store.path(cell.parent), target, partial=True)
        to_device(method, target)
        run = FitRun(
            device=target,
            precision=job.options.precision if target.type == "cuda" else "32-true",
            seed=derived_seed(cell.seed, cell.name),
            folder=scratch,
            progress=progress,
        )
        crop = job.options.lesion_crop_mm
        train, validation = (
            unlabelled_volumes(part, cls.info, crop)
            if cell.unlabelled
            else training_volumes(part, cls.info, cell.with_labels, crop)
            for part in (cell.train, cell.validation)
        )
        stage = getattr(method, cell.name, None)
        if stage is None:
            raise MethodError(f"method {cls.info.name!r} declares a stage {cell.name!r} but has no method of that name")
        seed_all(run.seed)
        with timer.stage(cell.name):
            stage(train, validation, run)
        with store.writing(cell.path) as folder:
            save_artefact(method, folder, cell.keeps, {"method": job.method, "stage": cell.name, "seed": cell.seed})
            _write_curves(folder, run)
            spent = {"seconds": dict(timer.seconds), "waiting": dict(timer.waiting)}
            write_json(folder / "timing.json", {**spent, "peak_bytes": peak_memory(target)})
            learnt = {"training_cases": [ref.key for ref in cell.train], "training_centres": centres(cell.train)}
            write_json(
                folder / "provenance.json",
                cell_provenance(job, target, {"training": (*cell.train, *cell.validation)}, cell.seed, **learnt),
            )
            write_json(folder / "status.json", status_record("ok"))
        shutil.rmtree(scratch, ignore_errors=True)
        return dict(timer.seconds)


def centres(cases: Sequence[CaseRef]) -> list[str]:
    """``cohort/centre`` of every case, sorted; ``cohort/`` where the centre is unknown."""
    return sorted({f"{ref.patient.partition('/')[0]}/{ref.centre or ''}" for ref in cases})


def _write_curves(folder: Path, run: FitRun) -> None:
    import pandas as pd

    pd.DataFrame(run.curves or [{"step": 0.0}]).to_parquet(folder / "curves.parquet", index=False)


@contextmanager
def _exclusive(store: Store, path: str) -> Iterator[None]:
    locks = store.artefacts / ".locks"
    locks.mkdir(parents=True, exist_ok=True)
    with (locks / path.replace("/", "-")).open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
