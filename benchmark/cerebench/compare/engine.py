"""One comparison from two snapshots to a report."""

from __future__ import annotations

from cerebench.compare.chance import chance_findings
from cerebench.compare.exact import exact_findings
from cerebench.compare.pairs import pair_cells
from cerebench.compare.report import Limits, Report, ordered
from cerebench.compare.resources import resource_findings
from cerebench.compare.snapshot import Snapshot
from cerebench.compare.values import side_by_side


def compare(baseline: Snapshot, current: Snapshot, limits: Limits | None = None) -> Report:
    """Hold a run against a baseline.

    Cells are paired by identity and never across versions, presets or provenances of a protocol. Where both ran
    deterministically on the same machine with the same libraries every difference counts; elsewhere differences are
    tested. Time and memory are compared on the same device only.
    """
    limits = limits or Limits()
    found = pair_cells(baseline, current)
    findings = list(found.findings)
    notes = list(found.notes)
    tested = 0
    if found.pairs:
        table = side_by_side(baseline, current, found.pairs)
        findings += exact_findings(table, found.pairs)
        chance, tested, untested = chance_findings(table, found.pairs, limits)
        resources, elsewhere = resource_findings(baseline, current, found.pairs, limits)
        findings += [*chance, *resources]
        notes += [*untested, *elsewhere]
    return Report(
        baseline=baseline.label,
        current=current.label,
        findings=ordered(findings),
        compared=len(found.pairs),
        exact=sum(pair.exact for pair in found.pairs),
        tested=tested,
        incomparable=tuple(found.incomparable),
        notes=tuple(notes),
    )
