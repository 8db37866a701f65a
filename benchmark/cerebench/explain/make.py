"""The cell behind an explanation: what is missing of it is computed as ``bench run`` would."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cerebench.errors import MethodError, UsageError
from cerebench.request import Display
from cerebench.store import Store

if TYPE_CHECKING:
    from cerebench.executors.work import Event
    from cerebench.explain.target import Target


def ensure(target: Target, store: Store, device: str, display: Display) -> None:
    """Train, validate and evaluate the target's one column, as far as that has not been done.

    What comes of it has the same keys and folders as in a run: a later run keeps it, and the leaderboard shows it.

    Raises:
        UsageError: another run holds the results folder, or an artefact was deleted.
        MethodError: the method failed.
    """
    from cerebench.executors.work import run_job
    from cerebench.manifest import write_manifest

    cell, stages = target.cell, target.job.stages
    if store.done(cell.path):
        # cells outlive artefacts only where somebody deleted them, and are not computed twice
        for path in [*(stage.path for stage in stages[-1:]), target.reference.path]:
            if not store.done(path):
                raise UsageError(
                    f"{store.root / path} is gone, which {store.root / cell.path} was made with; "
                    "delete that folder too and ask again"
                )
        return

    def listen(event: Event) -> None:
        display.event(target.job, event)

    with store.lock():
        write_manifest(store, replace(target.plan, jobs=[target.job], skipped=[]))
        display.planned(target.plan, [target.job], 0)
        run_job(target.job, store, device, listen, threads=1)
    status = store.status(cell.path) or {"status": "failed", "reason": "it ended without a word"}
    if status["status"] != "ok":
        raise MethodError(f"{target.job.id} cannot be explained: {status['status']}: {status['reason']}")
