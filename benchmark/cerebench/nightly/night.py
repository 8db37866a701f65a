"""One night from its configuration to its exit code."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cerebench.compare.accepted import baselines_in, load
from cerebench.compare.engine import compare
from cerebench.compare.reading import read_results
from cerebench.compare.render import render
from cerebench.compare.report import ERROR, NOTHING, STATES, Report
from cerebench.compare.snapshot import Snapshot
from cerebench.errors import UsageError
from cerebench.jsonio import write_text
from cerebench.nightly import history
from cerebench.nightly.config import NIGHT, Nightly
from cerebench.nightly.figures import headline_figures, seconds
from cerebench.nightly.summary import summary
from cerebench.provenance import run_provenance
from cerebench.request import Display, Quiet

_LISTED = 50


@dataclass(frozen=True)
class Night:
    """What came of a night.

    Attributes:
        exit_code: 0 fine, 1 regression, 2 harness or configuration, 3 nothing or too little measured.
        verdict: one sentence.
        page: the Markdown summary.
        entry: the night's file in the history.
    """

    exit_code: int
    verdict: str
    page: Path
    entry: Path


def tonight() -> str:
    """Today's date in UTC."""
    return datetime.now(UTC).date().isoformat()


def run_night(config: Nightly, night: str, display: Display | None = None, page: Path | None = None) -> Night:
    """Run, compare, record, summarise. The same night again resumes its run and compares anew.

    Args:
        config: what runs and where.
        night: date that names the night, ``YYYY-MM-DD``.
        display: whom the run tells.
        page: file of the summary; ``None`` for ``summary.md`` in the results folder.

    Raises:
        UsageError: the night is no date, or the run's options are wrong. Other faults of the harness are recorded in
            the history with exit code 2 before they are raised.
    """
    from cerebench.runner import execute

    _check(night)
    page = page or config.results / "summary.md"
    request = config.request(night)
    start = time.monotonic()
    try:
        execute(request, display or Quiet())
        snapshot = read_results(config.folder(night))
        report, comparison = _compared(config, snapshot)
    except Exception as error:
        text = " ".join(str(error).split())
        blank = Snapshot(night, run_provenance(), (), None)
        entry = _entry(config, night, blank, ERROR, f"error: {type(error).__name__}: {text}", None, start)
        _record(config, night, page, entry, f"The run could not be carried out: {text}")
        raise
    code = NOTHING if report is None else report.exit_code
    verdict = comparison if report is None else report.verdict
    entry = _entry(config, night, snapshot, code, verdict, report, start)
    recorded = _record(config, night, page, entry, comparison)
    _clear(config, night)
    return Night(code, verdict, page, recorded)


def _check(night: str) -> None:
    try:
        valid = bool(NIGHT.fullmatch(night)) and bool(datetime.strptime(night, "%Y-%m-%d"))
    except ValueError:
        valid = False
    if not valid:
        raise UsageError(f"--night {night!r}: expected a date such as 2026-01-31")


def _compared(config: Nightly, snapshot: Snapshot) -> tuple[Report | None, str]:
    if not baselines_in(config.baseline):
        folder = config.results / "nights"
        return None, (
            f"no accepted baseline in {config.baseline}: look at the numbers, then "
            f"`bench baseline accept {folder}/<night> --reason ... --baselines {config.baseline}`"
        )
    report = compare(load(config.baseline), snapshot, config.limits.limits())
    return report, render(report, "markdown")


def _entry(
    config: Nightly, night: str, snapshot: Snapshot, code: int, verdict: str, report: Report | None, start: float
) -> dict[str, Any]:
    regressions = [] if report is None else [finding.text for finding in report.of("regression")]
    improvements = [] if report is None else [finding.text for finding in report.of("improvement")]
    known = ("git", "cerebench", "libraries", "python", "platform", "machine")
    accepted = baselines_in(config.baseline)
    return {
        "name": config.name,
        "night": night,
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "exit_code": code,
        "state": STATES[code],
        "verdict": verdict,
        "baseline": accepted[-1].version if accepted and report is not None else None,
        "origin": {name: snapshot.origin[name] for name in known if name in snapshot.origin},
        "cells": dict(Counter(cell.status for cell in snapshot.cells)),
        "regressions": regressions[:_LISTED],
        "improvements": improvements[:_LISTED],
        "headline": [] if snapshot.values is None else headline_figures(snapshot),
        "seconds": seconds(snapshot),
        "wall_s": round(time.monotonic() - start, 1),
    }


def _record(config: Nightly, night: str, page: Path, entry: dict[str, Any], comparison: str) -> Path:
    path = history.append(config.history, entry)
    nights = history.entries(config.history, config.trend)
    page.parent.mkdir(parents=True, exist_ok=True)
    write_text(page, summary(config.name, entry, comparison, nights, config.folder(night)))
    return path


def _clear(config: Nightly, night: str) -> None:
    """Remove the results of nights beyond those to keep; nothing but folders named like nights is touched."""
    folders = sorted(path for path in (config.results / "nights").iterdir() if NIGHT.fullmatch(path.name))
    for path in folders[: -config.keep]:
        if path.name != night:
            shutil.rmtree(path)
