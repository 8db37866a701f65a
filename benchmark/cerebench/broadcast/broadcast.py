"""From the plan and the workers' events of a run to what reporters are told."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from cerebench.broadcast.choose import Chosen
from cerebench.broadcast.delivery import Delivery
from cerebench.jsonio import read_json
from cerebench.reporting.events import (
    CaseScored,
    CellFinished,
    CellName,
    CellStarted,
    Measured,
    PlannedTable,
    RunEvent,
    RunFinished,
    RunStarted,
)
from cerebench.request import RunResult
from cerebench.store import Store

if TYPE_CHECKING:
    from cerebench.executors.work import Event
    from cerebench.plan.cells import Job
    from cerebench.plan.model import Plan


class Broadcast:
    """Tells the reporters of one run; without reporters it does nothing.

    Args:
        chosen: the reporters.
        store: the run's results.
        warn: told of a reporter that failed, once.
    """

    def __init__(self, chosen: Sequence[Chosen], store: Store, warn: Callable[[str], None]) -> None:
        self._chosen, self._store, self._warn = tuple(chosen), store, warn
        self._deliveries: list[Delivery] = []
        self._run = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"
        self._begun: dict[str, float] = {}

    @contextmanager
    def run(self, result: RunResult, shard: tuple[int, int]) -> Iterator[None]:
        """Around the jobs of a run: ``result`` is complete when the block ends."""
        if not self._chosen:
            yield
            return
        start = time.monotonic()
        self._deliveries = [Delivery(item.label, item.reporter) for item in self._chosen]
        status: Literal["finished", "interrupted", "failed"] = "failed"
        try:
            self._tell(self._started(result, shard))
            yield
            status = "finished"
        except KeyboardInterrupt:
            status = "interrupted"
            raise
        finally:
            seconds = time.monotonic() - start
            problems = tuple(result.problems)
            self._tell(RunFinished(self._run, status, dict(result.counts), result.evaluated, problems, seconds))
            for delivery in self._deliveries:
                delivery.close()
            self._complain()

    def event(self, job: Job, event: Event) -> None:
        """A worker reports."""
        if not self._deliveries or event.kind == "progress" or event.status == "kept":
            return
        cell = cell_name(job, event)
        if event.kind == "start":
            self._begun[event.cell] = time.monotonic()
            self._tell(CellStarted(self._run, cell))
        elif event.kind == "case":
            case = (event.text, event.patient, event.done, event.total, event.values)
            self._tell(CaseScored(self._run, cell, *case))
        elif event.kind == "end":
            begun = self._begun.pop(event.cell, None)
            seconds = 0.0 if begun is None else time.monotonic() - begun
            measured = self._measured(event) if event.status == "ok" else ()
            self._tell(CellFinished(self._run, cell, event.status, event.reason, seconds, measured))

    def _tell(self, event: RunEvent) -> None:
        for delivery in self._deliveries:
            delivery.tell(event)
        self._complain()

    def _complain(self) -> None:
        for delivery in [item for item in self._deliveries if item.failure]:
            self._deliveries.remove(delivery)
            self._warn(delivery.failure)

    def _started(self, result: RunResult, shard: tuple[int, int]) -> RunStarted:
        provenance = next((job.provenance for plan in result.plans for job in plan.jobs), {})
        tables = tuple(self._table(plan, shard) for plan in result.plans)
        return RunStarted(self._run, str(self._store.root.absolute()), tables, provenance)

    def _table(self, plan: Plan, shard: tuple[int, int]) -> PlannedTable:
        cells = [cell for job in plan.shard(*shard) for cell in job.evaluations]
        return PlannedTable(
            protocol=plan.protocol.name,
            protocol_version=plan.protocol.version,
            preset=plan.preset_name,
            methods=tuple(sorted({cell.identity.method for cell in cells})),
            cohorts=tuple(sorted({cell.identity.cohort for cell in cells})),
            cells=len(cells),
            kept=sum(self._store.done(cell.path) for cell in cells),
            skipped=len(plan.skipped),
        )

    def _measured(self, event: Event) -> tuple[Measured, ...]:
        if event.what != "evaluate":
            return ()
        names = ("level", "post", "metric", "value", "low", "high", "n_cases")
        try:
            rows = read_json(self._store.path(event.cell) / "metrics.json")["rows"]
            found = [row for row in rows if row["value"] is not None and row["stratum"] == "all"]
            return tuple(Measured(**{name: row[name] for name in names}) for row in found)
        except (OSError, ValueError, KeyError):  # the run does not depend on what is only told of it
            return ()


def cell_name(job: Job, event: Event) -> CellName:
    """What the cell of a worker's event is about."""
    evaluation = next((cell for cell in job.evaluations if cell.path == event.cell), None)
    identity = (evaluation or job.evaluations[0]).identity
    return CellName(
        path=event.cell,
        kind=event.what,
        protocol=identity.protocol,
        protocol_version=identity.protocol_version,
        preset=identity.preset,
        method=identity.method,
        variant=identity.variant,
        seed=job.seed,
        cohort=identity.cohort if evaluation else "",
        modality=identity.modality if evaluation else "+".join(job.modalities),
        provenance=(identity.provenance or "") if evaluation else "",
    )
