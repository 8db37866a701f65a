"""What a worker does with a job: stages, references, evaluations, each committed as it ends."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cerebench.errors import BenchError
from cerebench.plan.cells import EvaluationCell, Job, ReferenceCell, StageCell
from cerebench.store import Store

if TYPE_CHECKING:
    from cerebench.contract.method import Method
    from cerebench.loop.rows import Row

Kind = Literal["train", "reference", "evaluate"]


@dataclass(frozen=True)
class Event:
    """What a worker tells its parent.

    Attributes:
        kind: ``start`` (a cell begins), ``progress``, ``case`` (a case is scored), ``end`` (a cell is committed,
            whatever its status), ``done``.
        cell: path of the cell; empty for ``done``.
        what: ``train``, ``reference`` or ``evaluate``.
        status: of an ended cell; ``kept`` where it was there already.
        reason: of a failure.
        done, total, text: progress within the cell; of a scored case, ``text`` is its identifier.
        patient: of a scored case, ``cohort/patient``.
        values: of a scored case, its rows as ``level/post/metric`` → value.
    """

    kind: Literal["start", "progress", "case", "end", "done"]
    cell: str = ""
    what: Kind = "evaluate"
    status: str = ""
    reason: str = ""
    done: int = 0
    total: int = 0
    text: str = ""
    patient: str = ""
    values: Mapping[str, float] = field(default_factory=dict)


Emit = Callable[[Event], None]
Progress = Callable[[int, int, str], None]


def run_job(job: Job, store: Store, device: str, emit: Emit, threads: int | None = None) -> None:
    """Run every unfinished cell of a job. Failures are kept in the store and reported, never raised."""
    import torch

    from cerebench.loop.record import reproducible

    if threads:
        torch.set_num_threads(threads)
    target = torch.device(device)
    runner = _Runner(job, store, target, emit)
    with reproducible(target):
        runner.run()
    emit(Event("done"))


class _Runner:
    def __init__(self, job: Job, store: Store, target: Any, emit: Emit) -> None:
        self.job, self.store, self.target, self.emit = job, store, target, emit
        self._class: type[Method] | None = None
        self._model: Method | None = None
        self._model_of: str | None = "nothing yet"

    def run(self) -> None:
        broken = self._train()
        references = {cell.path: cell for cell in self.job.references}
        failed: dict[str, str] = {}
        for cell in self.job.evaluations:
            if self.store.done(cell.path):
                self._rescore(cell.path)
                self.emit(Event("end", cell.path, "evaluate", "kept"))
                continue
            if not broken and cell.reference not in failed:
                failed[cell.reference] = self._reference(references[cell.reference])
            reason = broken or failed[cell.reference]
            if reason:
                self.store.record_failure(cell.path, "failed", reason)
                self.emit(Event("end", cell.path, "evaluate", "failed", reason))
            else:
                self._attempt(cell.path, "evaluate", partial(self._evaluate, cell))

    def _train(self) -> str:
        """Run missing stages; returns why the artefact is missing, empty if it is there."""
        if all(self.store.done(cell.path) for cell in self.job.evaluations):
            return ""
        for cell in self.job.stages:
            if self.store.done(cell.path):
                continue
            reason = self._attempt(cell.path, "train", partial(self._stage, cell))
            if reason:
                return f"training stage {cell.name!r} failed: {reason}"
        return ""

    def _reference(self, cell: ReferenceCell) -> str:
        """Predict the validation cases if need be; returns why that failed, empty if it is fine."""
        if self.store.done(cell.path):
            return ""
        reason = self._attempt(cell.path, "reference", partial(self._validate, cell))
        return f"prediction of the validation cases failed: {reason}" if reason else ""

    def _stage(self, cell: StageCell, progress: Progress) -> None:
        from cerebench.loop.stages import run_stage

        run_stage(self._cls(), self.job, cell, self.store, self.target, progress)

    def _validate(self, cell: ReferenceCell, progress: Progress) -> None:
        from cerebench.loop.reference import run_reference

        run_reference(self._method(cell.artefact), self.job, cell, self.store, self.target, progress)

    def _evaluate(self, cell: EvaluationCell, progress: Progress) -> None:
        from cerebench.loop.evaluate import run_evaluation

        def scored(count: int, rows: list[Row]) -> None:
            values = {"/".join(filter(None, row[3:6])): row[6] for row in rows}
            case, patient, *_ = rows[0]  # every case has at least its facts
            total = len(cell.cases)
            self.emit(Event("case", cell.path, done=count + 1, total=total, text=case, patient=patient, values=values))

        run_evaluation(self._method(cell.artefact), self.job, cell, self.store, self.target, progress, scored)

    def _rescore(self, path: str) -> None:
        from cerebench.loop.summary import current, write_metrics

        if not current(self.store.path(path)):
            write_metrics(self.store.path(path))

    def _attempt(self, path: str, what: Kind, work: Callable[[Progress], Any]) -> str:
        """Run one cell; returns the reason of its failure, empty if it is fine."""
        from cerebench.loop.predict import out_of_memory

        self.emit(Event("start", path, what))

        def progress(done: int, total: int, text: str) -> None:
            self.emit(Event("progress", path, what, done=done, total=total, text=text))

        try:
            work(progress)
        except (Exception, SystemExit) as error:  # a plugin's sys.exit ends its cell, not the run
            self._model_of = "nothing yet"
            status: Literal["oom", "failed"] = "oom" if out_of_memory(error) else "failed"
            reason = sentence(error, self.job.method)
            self.store.record_failure(path, status, reason, traceback.format_exc())
            self.emit(Event("end", path, what, status, reason))
            return reason
        self.emit(Event("end", path, what, "ok"))
        return ""

    def _cls(self) -> type[Method]:
        if self._class is None:
            from cerebench.plugins.registry import Registry

            registry = Registry.discover([Path(folder) for folder in self.job.cards])
            self._class = registry.load_method(self.job.local or self.job.method)
            entry = registry.entry("method", self.job.method)
            plugin = {"distribution": entry.source, "version": entry.version}
            self.job = replace(self.job, provenance={**self.job.provenance, "plugin": plugin})
        return self._class

    def _method(self, artefact: str | None) -> Method:
        from cerebench.loop.models import trained_method

        if self._model is None or self._model_of != artefact:
            self._model = trained_method(self._cls(), self.job, artefact, self.store, self.target)
            self._model_of = artefact
        return self._model


def sentence(error: BaseException, method: str) -> str:
    """One sentence for a failure: ours as they stand, a plugin's with its type and the place it came from."""
    if isinstance(error, BenchError):
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    last = frames[-1] if frames else None
    where = f" at {os.path.basename(last.filename)}:{last.lineno}" if last else ""  # noqa: PTH119 - text only
    text = " ".join(str(error).split())
    return f"method {method!r} raised {type(error).__name__}{where}: {text[:300]}"


def quiet_output(log: Path) -> None:
    """Send what a worker and its libraries print into a file, so that the progress display stays whole."""
    log.parent.mkdir(parents=True, exist_ok=True)
    stream = log.open("ab", buffering=0)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(stream.fileno(), 1)
    os.dup2(stream.fileno(), 2)
