"""What reporters are told of a run: frozen, and plain enough for JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, ClassVar, Literal

CellKind = Literal["train", "reference", "evaluate"]


def now() -> str:
    """The time as ISO 8601 in UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@dataclass(frozen=True)
class RunEvent:
    """What all events have.

    Attributes:
        run: identifier of the run, the same in all of its events.
        time: when it happened, ISO 8601 in UTC.
    """

    name: ClassVar[str] = ""
    """Name of the event: ``run-started``, ``cell-started``, ``case-scored``, ``cell-finished``, ``run-finished``."""

    run: str
    time: str = field(default_factory=now, kw_only=True)

    def __post_init__(self) -> None:
        for item in fields(self):
            object.__setattr__(self, item.name, _frozen(getattr(self, item.name)))

    def to_json(self) -> dict[str, Any]:
        """The event as JSON values, ``event`` being its name; numbers that are not finite become ``None``."""
        return {"event": self.name, **_plain(self)}


@dataclass(frozen=True)
class PlannedTable:
    """One protocol's share of a run.

    Attributes:
        protocol, protocol_version, preset: what is run.
        methods, cohorts: names that have cells, sorted.
        cells: evaluation cells of this run.
        kept: those that are there from earlier runs; nothing is told of them.
        skipped: cells that cannot run.
    """

    protocol: str
    protocol_version: int
    preset: str
    methods: tuple[str, ...]
    cohorts: tuple[str, ...]
    cells: int
    kept: int
    skipped: int


@dataclass(frozen=True)
class CellName:
    """What a cell is about.

    Attributes:
        path: its folder below the results folder.
        kind: ``train`` (a training stage), ``reference`` (prediction of the validation cases) or ``evaluate``.
        protocol, protocol_version, preset, method, variant, seed: as in the leaderboard.
        cohort: the tested cohort; empty unless the kind is ``evaluate``, because other cells serve several.
        modality: the tested modality, or those that are trained on, joined by ``+``.
        provenance: ``real`` or ``in-silico`` of the tested cases; empty unless the kind is ``evaluate``.
    """

    path: str
    kind: CellKind
    protocol: str
    protocol_version: int
    preset: str
    method: str
    variant: str
    seed: int
    cohort: str
    modality: str
    provenance: str


@dataclass(frozen=True)
class Measured:
    """One metric of a finished cell, over all of its cases; ``low`` and ``high`` bound its interval."""

    level: str
    post: str
    metric: str
    value: float
    low: float | None
    high: float | None
    n_cases: int


@dataclass(frozen=True)
class RunStarted(RunEvent):
    """The plan is made, no cell has begun.

    Attributes:
        results: absolute path of the results folder.
        tables: one entry a protocol.
        provenance: versions, commit and command of the run.
    """

    name: ClassVar[str] = "run-started"
    results: str
    tables: tuple[PlannedTable, ...]
    provenance: Mapping[str, Any]


@dataclass(frozen=True)
class CellStarted(RunEvent):
    """A worker begins a cell."""

    name: ClassVar[str] = "cell-started"
    cell: CellName


@dataclass(frozen=True)
class CaseScored(RunEvent):
    """A case of an evaluation cell is predicted and scored.

    Attributes:
        cell: the evaluation cell.
        case: identifier within the cohort.
        patient: ``cohort/patient``.
        index: of the case within the cell, from 1.
        total: cases of the cell.
        values: ``level/post/metric`` (``level/metric`` where nothing is post-processed) → value, as in the cell's
            ``cases.parquet``. The cell is not finished: it may still fail.
    """

    name: ClassVar[str] = "case-scored"
    cell: CellName
    case: str
    patient: str
    index: int
    total: int
    values: Mapping[str, float]


@dataclass(frozen=True)
class CellFinished(RunEvent):
    """A cell is in the results folder.

    Attributes:
        cell: which.
        status: ``ok``, ``failed``, ``timeout`` or ``oom``.
        reason: one sentence unless the status is ``ok``.
        seconds: since its start; 0 where it never began.
        metrics: of an evaluation cell that is ``ok``.
    """

    name: ClassVar[str] = "cell-finished"
    cell: CellName
    status: str
    reason: str
    seconds: float
    metrics: tuple[Measured, ...]


@dataclass(frozen=True)
class RunFinished(RunEvent):
    """Nothing more will happen.

    Attributes:
        status: ``finished`` (with or without failed cells), ``interrupted``, or ``failed`` (the harness gave up).
        counts: status → number of evaluation cells of the plan; empty unless the status is ``finished``.
        evaluated: evaluation cells computed by this run.
        problems: (cell, reason) of every cell that is neither ``ok`` nor skipped.
        seconds: since the run started.
    """

    name: ClassVar[str] = "run-finished"
    status: Literal["finished", "interrupted", "failed"]
    counts: Mapping[str, int]
    evaluated: int
    problems: tuple[tuple[str, str], ...]
    seconds: float


def _frozen(value: Any) -> Any:
    """A value that no reporter can change under another's eyes."""
    if isinstance(value, Mapping):
        return MappingProxyType({key: _frozen(each) for key, each in value.items()})
    if isinstance(value, (list, tuple)):
        return tuple(_frozen(each) for each in value)
    return value


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {item.name: _plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
