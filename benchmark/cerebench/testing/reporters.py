"""The events of a small run that never was, for tests of reporters."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cerebench.reporting.events import (
    CaseScored,
    CellFinished,
    CellKind,
    CellName,
    CellStarted,
    Measured,
    PlannedTable,
    RunEvent,
    RunFinished,
    RunStarted,
)
from cerebench.reporting.reporter import Reporter

__all__ = ["mock_events", "tell"]


def mock_events(results: str | Path, run: str = "run-1") -> list[RunEvent]:
    """A training, an evaluation of one case that ends well, and one that never begins because its training failed.

    Args:
        results: the results folder that the events name; nothing is written to it.
        run: identifier of the run.
    """
    good, trained, bad = _cell("evaluate", "good"), _cell("train", "good"), _cell("evaluate", "bad", "width=2")
    table = PlannedTable("mock", 1, "quick", ("bad", "good"), ("mock-cohort",), cells=2, kept=0, skipped=0)
    case: dict[str, Any] = {"voxel/raw/ap": 0.25, "subject/score": float("inf")}
    reason = "training stage 'fit' failed: method 'bad' raised KeyError at method.py:3: 'a bug'"
    measured = (
        Measured("voxel", "raw", "ap", 0.25, 0.125, 0.5, n_cases=1),
        Measured("subject", "raw", "prevalence", 1.0, None, None, n_cases=1),
    )
    return [
        RunStarted(run, str(results), (table,), {"cerebench": "0.1.0", "libraries": {"torch": "2"}}),
        CellStarted(run, trained),
        CellFinished(run, trained, "ok", "", 2.0, ()),
        CellStarted(run, good),
        CaseScored(run, good, "p1", "mock-cohort/p1", 1, 1, case),
        CellFinished(run, good, "ok", "", 3.0, measured),
        CellFinished(run, bad, "failed", reason, 0.0, ()),
        RunFinished(run, "finished", {"ok": 1, "failed": 1}, 1, (("bad on mock-cohort t1", reason),), 6.0),
    ]


def tell(reporter: Reporter, events: Iterable[RunEvent]) -> None:
    """Call the reporter's hooks as a run does, except that what they raise is not caught."""
    for event in events:
        getattr(reporter, event.name.replace("-", "_"))(event)


def _cell(kind: CellKind, method: str, variant: str = "") -> CellName:
    tested = kind == "evaluate"
    return CellName(
        path=f"runs/mock@1/{method}/mock-cohort-t1/seed0-00000000" if tested else f"artefacts/fit/{method}-00000000",
        kind=kind,
        protocol="mock",
        protocol_version=1,
        preset="quick",
        method=method,
        variant=variant,
        seed=0,
        cohort="mock-cohort" if tested else "",
        modality="t1",
        provenance="in-silico" if tested else "",
    )
