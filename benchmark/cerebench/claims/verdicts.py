"""Verdicts: each claim against the stored cells, apart for every provenance, preset and version."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from cerebench.claims.effects import Effect, Weighted, difference
from cerebench.claims.ledger import Claim, Contrast, Side
from cerebench.claims.tables import NoValue, Table, read_table
from cerebench.manifest import Cell, read_cells
from cerebench.store import Store

Word = Literal["supported", "not supported", "undecided", "not measured"]
State = Literal["holds", "fails", "open", "missing"]
GROUP = ("protocol", "protocol_version", "preset", "provenance", "preparation")


@dataclass(frozen=True)
class Finding:
    """One contrast in one group of cells.

    Attributes:
        contrast: what is claimed.
        state: ``holds``: the whole interval lies above the margin; ``fails``: at or below it; ``open``: the margin lies
            inside, or there is no interval; ``missing``: a cell or its metric is not there.
        effect: the difference, ``None`` where it is missing.
        seeds: seeds behind the higher and the lower side.
        reason: why it is missing or has no interval.
    """

    contrast: Contrast
    state: State
    effect: Effect | None
    seeds: tuple[int, ...]
    reason: str


@dataclass(frozen=True)
class Verdict:
    """A claim on cells of one protocol version, preset, provenance and preparation, which never mix.

    Attributes:
        word: ``supported`` if every contrast holds; ``not supported`` if one fails; else ``not measured`` if one is
            missing; else ``undecided``. Presets that are not ranked are never more than ``not measured``.
        reason: one sentence where it is ``not measured``.
        group: the fields of :data:`GROUP`; empty values where nothing has been run.
        findings: one a contrast.
    """

    word: Word
    reason: str
    group: Mapping[str, Any]
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Judged:
    """A claim with its verdicts, at least one."""

    claim: Claim
    verdicts: tuple[Verdict, ...]


def judge(claims: Sequence[Claim], store: Store, preset: str | None = None) -> list[Judged]:
    """Claims against the cells of a results folder.

    Args:
        claims: of a ledger.
        store: results folder; may be empty or absent.
        preset: only cells of this preset.

    Raises:
        DataError: the files of a finished cell are damaged.
    """
    cells = [cell for cell in read_cells(store) if preset in (None, cell.identity["preset"])]
    reader = _Reader(store)
    return [Judged(claim, tuple(_verdicts(claim, cells, reader))) for claim in claims]


def command(claim: Claim, preset: str | None = None) -> str:
    """The ``bench run`` that measures a claim."""
    sides = [side for contrast in claim.contrasts for side in (contrast.higher, contrast.lower)]
    methods = ",".join(dict.fromkeys(_asked(side) for side in sides))
    cohorts = ",".join(dict.fromkeys(cohort for side in sides for cohort in side.cohort))
    chosen = preset or next(iter(claim.presets), "nightly")
    words = ["bench", "run", "--protocols", claim.protocol, "--methods", methods, "--cohorts", cohorts]
    return shlex.join([*words, "--preset", chosen])


def _asked(side: Side) -> str:
    """The row as a selection: an adapted row comes with the plain one."""
    settings = ",".join(part for part in side.variant.split(",") if part not in ("", "adapted"))
    return f"{side.method}[{settings}]" if settings else side.method


class _Reader:
    """Tables of cells, each read once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[tuple[str, str, str, str], Table] = {}

    def table(self, cell: Cell, contrast: Contrast) -> Table:
        """The contrast's metric of a finished cell."""
        assert cell.path is not None
        key = (cell.path, contrast.metric, contrast.level, contrast.post)
        if key not in self._known:
            self._known[key] = read_table(self._store.path(cell.path), contrast)
        return self._known[key]


def _verdicts(claim: Claim, cells: Sequence[Cell], reader: _Reader) -> Iterable[Verdict]:
    wanted = {
        (side.method, side.variant, *column)
        for contrast in claim.contrasts
        for side in (contrast.higher, contrast.lower)
        for column in side.columns
    }
    mine = [
        cell
        for cell in cells
        if cell.identity["protocol"] == claim.protocol
        and (not claim.presets or cell.identity["preset"] in claim.presets)
        and _place(cell) in wanted
    ]
    groups: dict[tuple[Any, ...], list[Cell]] = {}
    for cell in mine:
        groups.setdefault(_group(cell), []).append(cell)
    for key in sorted(groups, key=lambda names: tuple(map(str, names))):
        yield _verdict(claim, dict(zip(GROUP, key, strict=True)), groups[key], reader)
    if not groups:
        nothing = tuple(Finding(contrast, "missing", None, (), "not run") for contrast in claim.contrasts)
        group = {**dict.fromkeys(GROUP, ""), "protocol": claim.protocol}
        yield Verdict("not measured", "no cell of it has been run", group, nothing)


def _place(cell: Cell) -> tuple[str, str, str, str]:
    name = cell.identity
    return name["method"], name["variant"], name["cohort"], name["modality"]


def _group(cell: Cell) -> tuple[Any, ...]:
    return (*(cell.identity[name] for name in GROUP[:-1]), cell.table["preparation"])


def _verdict(claim: Claim, group: Mapping[str, Any], cells: Sequence[Cell], reader: _Reader) -> Verdict:
    findings = tuple(_finding(contrast, cells, reader) for contrast in claim.contrasts)
    states = [finding.state for finding in findings]
    missing = next((finding.reason for finding in findings if finding.state == "missing"), "")
    if not all(cell.table["ranked"] for cell in cells):
        return Verdict("not measured", f"preset {group['preset']} is a smoke test", group, findings)
    if "fails" in states:
        return Verdict("not supported", "", group, findings)
    if missing:
        return Verdict("not measured", missing, group, findings)
    return Verdict("undecided" if "open" in states else "supported", "", group, findings)


def _finding(contrast: Contrast, cells: Sequence[Cell], reader: _Reader) -> Finding:
    try:
        higher, first = _side(contrast.higher, contrast, cells, reader)
        lower, second = _side(contrast.lower, contrast, cells, reader)
    except NoValue as reason:
        return Finding(contrast, "missing", None, (), str(reason))
    effect = difference(higher, lower)
    seeds = (first, second)
    if effect.low is None or effect.high is None:
        few = f"no interval from {min(effect.n_patients)} patients"
        return Finding(contrast, "open", effect, seeds, few)
    state: State = "open"
    if effect.low > contrast.margin:
        state = "holds"
    elif effect.high <= contrast.margin:
        state = "fails"
    return Finding(contrast, state, effect, seeds, "")


def _side(side: Side, contrast: Contrast, cells: Sequence[Cell], reader: _Reader) -> tuple[list[Weighted], int]:
    """The side's tables, a mean over seeds within a mean over columns, and the fewest seeds of a column.

    Raises:
        NoValue: a cell or its metric is not there.
    """
    parts: list[Weighted] = []
    seeds: list[int] = []
    for cohort, modality in side.columns:
        mine = [cell for cell in cells if _place(cell) == (side.method, side.variant, cohort, modality)]
        name = f"{side.row} on {cohort} {modality}"
        if not mine:
            raise NoValue(f"{name}: not run")
        unfinished = next((cell for cell in mine if cell.status != "ok"), None)
        if unfinished is not None:
            raise NoValue(f"{name}: {unfinished.status}: {unfinished.reason}")
        try:
            tables = [reader.table(cell, contrast) for cell in mine]
        except NoValue as reason:
            raise NoValue(f"{name}: {reason}") from None
        share = 1 / (len(side.columns) * len(tables))
        parts += [Weighted(share, table) for table in tables]
        seeds.append(len(tables))
    return parts, min(seeds)
