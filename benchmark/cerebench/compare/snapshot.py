"""What a comparison needs of a results folder: facts of every cell, and its per-case and pooled values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from cerebench.manifest import IDENTITY

if TYPE_CHECKING:
    import pyarrow as pa

VALUE_COLUMNS = ("cell", "case", "patient", "level", "post", "metric", "value")
"""Columns of the values: ``cell`` is the cell's place in the snapshot, an empty ``case`` means all patients pooled."""
TABLE = ("protocol", "protocol_version", "preset", "provenance")
"""Fields of an identity that a comparison never crosses."""


@dataclass(frozen=True)
class CellFacts:
    """One cell.

    Attributes:
        identity: fields named in :data:`cerebench.manifest.IDENTITY`.
        status, reason: as in the results folder; ``ok`` cells have values.
        healthy: whether the column holds healthy subjects only.
        headline: metrics of the protocol's printed table.
        headline_level: their level; ``None`` for the finest there is.
        preparation: digest of grid and intensity steps.
        metric_version: version of what the metrics mean; ``None`` if unknown.
        data: use (tested, validation, training) → fingerprint of its cases; empty if unknown.
        exact: equal on both sides where equal code has to give equal bits; ``None`` where nothing promises that.
        device: what times and memory may be compared on; ``None`` if unknown.
        predict_s: seconds in the method's ``predict``, without those in which other processes had the CPU.
        training_s: path of every training stage → seconds, likewise.
        peak_bytes: highest memory by kind (``rss``, ``cuda``).
    """

    identity: Mapping[str, Any]
    status: str
    reason: str
    healthy: bool
    headline: tuple[str, ...]
    headline_level: str | None
    preparation: str
    metric_version: int | None = None
    data: Mapping[str, str] = field(default_factory=dict)
    exact: str | None = None
    device: str | None = None
    predict_s: float | None = None
    training_s: Mapping[str, float] = field(default_factory=dict)
    peak_bytes: Mapping[str, int] = field(default_factory=dict)

    @property
    def key(self) -> tuple[Any, ...]:
        """The identity as a key."""
        return tuple(self.identity[name] for name in IDENTITY)

    @property
    def table(self) -> tuple[Any, ...]:
        """Protocol, version, preset and provenance."""
        return tuple(self.identity[name] for name in TABLE)

    @property
    def method(self) -> str:
        """Method with its variant."""
        variant = self.identity["variant"]
        return f"{self.identity['method']}[{variant}]" if variant else str(self.identity["method"])

    @property
    def column(self) -> str:
        """Cohort and modality."""
        return f"{self.identity['cohort']} {self.identity['modality']}"

    @property
    def name(self) -> str:
        """The cell in words."""
        return f"{self.method} on {self.column} seed {self.identity['seed']}"

    @property
    def section(self) -> str:
        """Protocol, version, preset and provenance in words."""
        protocol, version, preset, provenance = self.table
        return f"{protocol} v{version}, preset {preset}, {provenance}"

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> CellFacts:
        """The inverse of :meth:`to_json`."""
        return cls(**{**values, "headline": tuple(values["headline"])})


@dataclass(frozen=True)
class Snapshot:
    """Everything that is compared.

    Attributes:
        label: where it came from, in words.
        origin: commit, versions and machine of the last cell.
        cells: all cells of the matrix.
        values: table with the columns of :data:`VALUE_COLUMNS`.
    """

    label: str
    origin: Mapping[str, Any]
    cells: tuple[CellFacts, ...]
    values: pa.Table

    def only(self, wanted: Callable[[CellFacts], bool]) -> Snapshot:
        """The cells that are wanted, with their values left in place (others are never looked at)."""
        blank = {index for index, cell in enumerate(self.cells) if not wanted(cell)}
        if not blank:
            return self
        import numpy as np

        kept = [index for index in range(len(self.cells)) if index not in blank]
        places = np.full(len(self.cells), -1)
        places[kept] = range(len(kept))
        moved = places[self.values["cell"].to_numpy()]
        values = self.values.set_column(0, "cell", [moved]).filter(moved >= 0)
        return Snapshot(self.label, self.origin, tuple(self.cells[index] for index in kept), values)
