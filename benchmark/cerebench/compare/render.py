"""A report for people: plain text for a terminal, Markdown for the summary of a job."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Literal

from cerebench.compare.report import FINE, STATES, Finding, Report

_SHOWN = 30
"""Lines of one kind; JSON has all."""
_HEADINGS = {
    "regression": "Regressions",
    "improvement": "Improvements",
    "change": "Other changes",
}


def render(report: Report, style: Literal["table", "markdown"] = "table") -> str:
    """The verdict, one line for each method × metric that differs, and what could not be compared."""
    heading = {"table": "{}:", "markdown": "### {}"}[style]
    mark = "" if style == "table" else ("✅ " if report.exit_code == FINE else "❌ ")
    blocks = [
        f"{mark}{report.verdict[:1].upper()}{report.verdict[1:]}.",
        f"Baseline: {report.baseline}\n\nCurrent: {report.current}"
        if style == "markdown"
        else f"Baseline: {report.baseline}\nCurrent:  {report.current}",
    ]
    if report.incomparable and report.exit_code in STATES:
        blocks.append(_list(heading.format("Not comparable"), report.incomparable))
    for kind, title in _HEADINGS.items():
        mine = report.of(kind)  # type: ignore[arg-type]
        if mine:
            blocks += [heading.format(f"{title} ({len(mine)})"), _table(mine, style)]
    if report.notes:
        blocks.append(_list(heading.format("Notes"), report.notes))
    return "\n\n".join(blocks)


def _list(heading: str, lines: Sequence[str]) -> str:
    shown = [f"- {line}" for line in lines[:_SHOWN]]
    more = [f"- … and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
    return "\n".join([heading, "", *shown, *more])


def _table(findings: Sequence[Finding], style: str) -> str:
    from tabulate import tabulate

    rows = list(_rows(findings))
    columns = ["method", "what", "where", "baseline", "current", "difference", "detail"]
    text = tabulate(rows[:_SHOWN], columns, tablefmt="pipe" if style == "markdown" else "simple", disable_numparse=True)
    return f"{text}\n… and {len(rows) - _SHOWN} more (see --json)" if len(rows) > _SHOWN else text


def _rows(findings: Sequence[Finding]) -> Iterator[list[str]]:
    """One row a method × metric: the cell that differs most, and how many others do."""
    for _, group in groupby(findings, key=lambda one: (one.subject, one.section, one.method, one.what)):
        members = sorted(group, key=lambda one: -abs(one.difference or 0.0))
        worst = members[0]
        where = worst.cells[0] if worst.cells else "all cells"
        others = sum(len(one.cells) for one in members) - 1
        if others > 0:
            where += f" and {others} more"
        detail = worst.text.partition(": ")[2]
        numbers = [_number(worst, value) for value in (worst.baseline, worst.current)]
        yield [worst.method or "(whole run)", worst.what, where, *numbers, _difference(worst), detail]


def _number(finding: Finding, value: float | None) -> str:
    if value is None:
        return ""
    if finding.subject == "memory":
        return f"{value / 2**20:.0f} MiB"
    return f"{value:.1f} s" if finding.subject == "time" else f"{value:.4f}"


def _difference(finding: Finding) -> str:
    if finding.difference is None:
        return ""
    return f"×{finding.difference:.2f}" if finding.subject in ("time", "memory") else f"{finding.difference:+.4f}"
