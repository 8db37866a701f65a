"""Progress of a run: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cerebench.text import human_duration

if TYPE_CHECKING:
    from cerebench.executors.work import Event
    from cerebench.plan.cells import Job
    from cerebench.plan.model import Plan

_WORDS = {"train": "training", "reference": "validation", "evaluate": "testing"}


class PlainDisplay:
    """One line an event that matters, on the error stream, so that tables can be piped."""

    def __init__(self) -> None:
        self._last = ""
        self._total = self._done = self._kept = 0
        self._planned = time.monotonic()

    def phase(self, done: int, total: int, text: str) -> None:
        """A line when a phase begins."""
        name = text if text.startswith("simulating") else "preparing cases"
        if name != self._last:
            self._last = name
            self._line(f"{name} ({total})")

    def planned(self, plan: Plan, jobs: Sequence[Job], kept: int) -> None:
        """The size of the plan."""
        cells = sum(len(job.evaluations) for job in jobs)
        self._total += cells
        self._done += kept
        self._kept += kept
        self._planned = time.monotonic()
        skipped = len(plan.skipped)
        self._line(
            f"{plan.protocol.name} v{plan.protocol.version}, preset {plan.preset_name}: "
            f"{cells} cells ({kept} already done), {skipped} skipped or failed beforehand"
        )

    def event(self, job: Job, event: Event) -> None:
        """A line when a cell ends."""
        if event.kind != "end" or event.status == "kept":
            return
        if event.what == "evaluate":
            self._done += 1
            left = self._estimate()
            self._line(f"[{self._done}/{self._total}] {_cell(event.cell)}: {event.status}{_why(event)}{left}")
        else:
            self._line(f"{_WORDS[event.what]} of {job.id}: {event.status}{_why(event)}")

    def warn(self, text: str) -> None:
        """A line with the warning."""
        self._line(f"Warning: {text}")

    def close(self) -> None:
        """Nothing to put away."""

    def _estimate(self) -> str:
        left, new = self._total - self._done, self._done - self._kept
        if left <= 0 or not new:
            return ""
        return f", about {human_duration((time.monotonic() - self._planned) / new * left)} left"

    def _line(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)


class BarDisplay:
    """Bars of rich: all cells with an estimate of the time left, and what each worker is doing."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=False,
            speed_estimate_period=24 * 3600,  # cells take minutes: rich's 30 s would hold one and estimate nothing
        )
        self._bars.start()
        self._phase: Any = None
        self._cells: Any = None
        self._workers: dict[str, Any] = {}

    def phase(self, done: int, total: int, text: str) -> None:
        """One bar for simulation and preparation."""
        if self._phase is None:
            self._phase = self._bars.add_task(text, total=total)
        self._bars.update(self._phase, completed=done, total=total, description=text[:48])

    def planned(self, plan: Plan, jobs: Sequence[Job], kept: int) -> None:
        """The bar of all cells appears."""
        if self._phase is not None:
            self._bars.remove_task(self._phase)
            self._phase = None
        cells = sum(len(job.evaluations) for job in jobs)
        if self._cells is None:
            self._cells = self._bars.add_task("cells", total=0)
        task = next(item for item in self._bars.tasks if item.id == self._cells)
        self._bars.update(self._cells, total=(task.total or 0) + cells, completed=task.completed + kept)

    def event(self, job: Job, event: Event) -> None:
        """A worker's bar moves; a failure is told at once."""
        if event.kind == "end":
            worker = self._workers.pop(job.id, None)
            if worker is not None:
                self._bars.remove_task(worker)
            if event.what == "evaluate" and event.status != "kept":
                self._bars.update(self._cells, advance=1)
            if event.status not in ("ok", "kept"):
                self._bars.console.print(f"{_cell(event.cell)}: {event.status}{_why(event)}", style="red", markup=False)
            return
        text = f"  {_WORDS[event.what]} {job.id}"[:60]
        if job.id not in self._workers:
            self._workers[job.id] = self._bars.add_task(text, total=None)
        total = event.total if event.kind == "progress" and event.total else None
        self._bars.update(self._workers[job.id], description=text, completed=event.done, total=total)

    def warn(self, text: str) -> None:
        """The warning above the bars."""
        self._bars.console.print(f"Warning: {text}", style="yellow", markup=False)

    def close(self) -> None:
        """Take the bars off the screen."""
        self._bars.stop()


def make_display() -> PlainDisplay | BarDisplay:
    """Bars if a person is watching."""
    return BarDisplay() if sys.stderr.isatty() else PlainDisplay()


def _cell(path: str) -> str:
    """``runs/p@1/method/cohort-mod/seed0-abc`` → ``method on cohort-mod``."""
    parts = path.split("/")
    return f"{parts[2]} on {parts[3]}" if parts[0] == "runs" and len(parts) > 3 else path


def _why(event: Event) -> str:
    return f" ({event.reason})" if event.reason else ""
