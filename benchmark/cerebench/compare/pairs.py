"""Which cell of one run stands against which of the other, and what its status alone says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cerebench.compare.report import Finding, Kind
from cerebench.compare.snapshot import TABLE, CellFacts, Snapshot

_WORDS = ("protocol", "version", "preset", "provenance")


@dataclass(frozen=True, eq=False)
class Pair:
    """Two finished cells of one identity: their places in the snapshots, and whether equal code gives equal bits."""

    baseline: int
    current: int
    cell: CellFacts
    exact: bool


@dataclass(frozen=True)
class Pairing:
    """Cells of two snapshots side by side: what can be compared, what must not be, and what changed by status."""

    pairs: list[Pair]
    findings: list[Finding]
    incomparable: list[str]
    notes: list[str]


def pair_cells(baseline: Snapshot, current: Snapshot) -> Pairing:
    """Match cells by identity. A cell that the baseline has and the current run lacks is a regression, unless the
    current run is of another version, preset or provenance of the protocol: then nothing may be compared.
    """
    theirs = {cell.key: index for index, cell in enumerate(current.cells)}
    found = Pairing([], [], [], [])
    tables = {cell.table for cell in current.cells}
    refused = _other_tables(baseline.cells, tables)
    found.incomparable.extend(dict.fromkeys(refused.values()))
    if nothing := _unmeasured(current) or _unmeasured(baseline):
        found.notes.append(nothing)
        return found
    still = elsewhere = 0
    for index, old in enumerate(baseline.cells):
        if old.table in refused:
            continue
        place = theirs.get(old.key)
        new = None if place is None else current.cells[place]
        if old.status != "ok":
            if new is not None and new.status == "ok":
                found.findings.append(_status("improvement", old, new, f"now finishes (was {old.status})"))
            elif old.status != "skipped":
                still += 1
        elif new is None or place is None:
            found.findings.append(_status("regression", old, None, "is missing: the run no longer plans it"))
        elif new.status != "ok":
            found.findings.append(_status("regression", old, new, f"now {_became(new)}"))
        elif problem := _differs(old, new):
            found.incomparable.append(f"{old.name}: {problem}")
        else:
            found.pairs.append(Pair(index, place, old, old.exact is not None and old.exact == new.exact))
            elsewhere += bool(_other_data(old, new))
    fresh = {cell.key for cell in current.cells if cell.status == "ok"} - {cell.key for cell in baseline.cells}
    if fresh:
        found.notes.append(f"{len(fresh)} finished cells are new: accept a baseline to have them watched")
    if elsewhere:
        found.notes.append(f"{elsewhere} cells have in-silico twins of other bytes, made on another machine or library")
    if still:
        found.notes.append(f"{still} cells fail as they did in the baseline")
    return found


def _other_tables(cells: Sequence[CellFacts], tables: set[tuple[object, ...]]) -> dict[tuple[object, ...], str]:
    """Tables of the baseline that the current run has in another version, preset or provenance alone."""
    refused = {}
    for table, section in {cell.table: cell.section for cell in cells}.items():
        related = sorted({other for other in tables if other[0] == table[0]}, key=str)
        if table in tables or not related:
            continue
        near = related[0]
        parts = [
            f"{word} {old} in the baseline, {new} now"
            for word, old, new in zip(_WORDS[: len(TABLE)], table, near, strict=True)
            if old != new
        ]
        refused[table] = f"{section}: {', '.join(parts)}; accept a baseline of the new kind, or run the old one"
    return refused


def _differs(old: CellFacts, new: CellFacts) -> str:
    """Why two cells of one identity must not be compared; empty where they may."""
    advice = "accept a new baseline with this as its reason"
    if old.preparation != new.preparation:
        return f"the preparation of images changed; {advice}"
    if None not in (old.metric_version, new.metric_version) and old.metric_version != new.metric_version:
        return f"metrics of version {old.metric_version} in the baseline, {new.metric_version} now; {advice}"
    other = _other_data(old, new)
    if other and (old.identity["provenance"] == "real" or old.exact == new.exact):
        return f"not the same cases ({', '.join(other)}); {advice}"
    return ""


def _other_data(old: CellFacts, new: CellFacts) -> list[str]:
    """Uses of which the two cells had other cases."""
    return sorted(use for use in set(old.data) & set(new.data) if old.data[use] != new.data[use])


def _status(kind: Kind, old: CellFacts, new: CellFacts | None, text: str) -> Finding:
    where = f"{old.column} seed {old.identity['seed']}"
    status = "missing" if new is None else new.status
    sentence = f"{old.name}: {text}"
    return Finding(kind, "cell", old.section, old.method, (where,), status, None, None, None, None, 0, sentence)


def _became(cell: CellFacts) -> str:
    return f"{cell.status}: {cell.reason}" if cell.reason else cell.status


def _unmeasured(snapshot: Snapshot) -> str:
    """Why a run says nothing at all; empty where it does. A run whose cells all failed does say something."""
    states = {cell.status for cell in snapshot.cells}
    if states - {"skipped", "missing"}:
        return ""
    what = "every cell was skipped" if states == {"skipped"} else "no cell has begun" if states else "there is no cell"
    reasons = list(dict.fromkeys(cell.reason for cell in snapshot.cells if cell.reason))
    return f"{what} in {snapshot.label}" + (f" ({reasons[0]})" if reasons else "")


def groups(pairs: Sequence[Pair]) -> Iterator[tuple[tuple[str, str], list[Pair]]]:
    """Pairs by section and method, in order."""
    found: dict[tuple[str, str], list[Pair]] = {}
    for pair in pairs:
        found.setdefault((pair.cell.section, pair.cell.method), []).append(pair)
    yield from sorted(found.items())
