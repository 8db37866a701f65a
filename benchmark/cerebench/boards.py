"""Leaderboards and long tables from the store; nothing here runs a method."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from cerebench.errors import UsageError
from cerebench.jsonio import read_json
from cerebench.manifest import Cell, read_cells
from cerebench.store import Store

if TYPE_CHECKING:
    import pandas as pd

SCHEMA_VERSION = 1
COLUMNS = (
    "protocol",
    "protocol_version",
    "method",
    "cohort",
    "modality",
    "variant",
    "level",
    "post",
    "stratum",
    "metric",
    "value",
    "low",
    "high",
    "n_cases",
    "provenance",
    "training_source",
    "preset",
    "seed",
    "status",
    "reason",
    "flagged",
    "interval",
    "preparation",
)


def leaderboard_rows(results: Path, protocol: str | None = None) -> list[dict[str, Any]]:
    """One row for each cell × metric where the metric is defined, full precision.

    A cell that failed or was skipped has rows with ``value: None`` for the protocol's headline metrics, and the reason.

    Raises:
        UsageError: there is nothing in the results folder.
    """
    return [row for cell in _cells(results, protocol) for row in _rows(Store(results), cell)]


def leaderboard(path: str | Path = "results", protocol: str | None = None) -> pd.DataFrame:
    """The leaderboard as a table with the columns of :data:`COLUMNS`.

    Args:
        path: results folder.
        protocol: only this protocol.

    Raises:
        UsageError: there is nothing in the results folder.
    """
    import pandas as pd

    return pd.DataFrame(leaderboard_rows(Path(path), protocol), columns=list(COLUMNS))


def results(path: str | Path = "results", protocol: str | None = None) -> pd.DataFrame:
    """The primary data: one row a cell × case × metric.

    Columns: the cell's ``protocol, protocol_version, preset, method, variant, cohort, modality, seed, provenance,
    training_source``; then ``case`` and ``patient`` identifiers, ``centre``, ``level`` (``voxel``; ``subject`` or
    ``lesion`` for ``score`` and ``label``; ``case`` for facts such as ``lesion_ml``), ``post`` (``raw``, ``median`` or
    empty), ``metric`` (metric names, and ``tp, fp, fn, tn`` voxel counts at the transferred threshold), ``value``.

    Raises:
        UsageError: there is nothing in the results folder.
    """
    import pandas as pd

    store = Store(Path(path))
    tables = []
    for cell in _cells(Path(path), protocol):
        if cell.status == "ok" and cell.path is not None:
            table = pd.read_parquet(store.path(cell.path) / "cases.parquet")
            for position, (name, value) in enumerate(cell.identity.items()):
                table.insert(position, name, value)
            tables.append(table)
    if not tables:
        raise UsageError(f"no cell in {path} has finished; look at `bench leaderboard` for the reasons")
    return pd.concat(tables, ignore_index=True)


def tables_about(
    results: Path,
) -> tuple[dict[tuple[Any, ...], str], dict[str, list[str]], dict[str, str | None]]:
    """(protocol, version, preset) → banner (empty where methods are ranked); protocol → headline metrics, and level."""
    banners: dict[tuple[Any, ...], str] = {}
    headlines: dict[str, list[str]] = {}
    levels: dict[str, str | None] = {}
    for cell in read_cells(Store(results)):
        about = cell.table
        banner = "" if about["ranked"] else about["banner"] or "not ranked"
        banners[about["protocol"], about["protocol_version"], about["preset"]] = banner
        headlines[about["protocol"]] = list(about["headline"])
        levels[about["protocol"]] = about.get("headline_level")
    return banners, headlines, levels


def _cells(path: Path, protocol: str | None) -> list[Cell]:
    cells = read_cells(Store(path))
    if not cells:
        raise UsageError(f"no results in {path}: run `bench run` first, or name another --results folder")
    chosen = [cell for cell in cells if protocol in (None, cell.identity["protocol"])]
    if not chosen:
        from cerebench.text import did_you_mean

        known = sorted({str(cell.identity["protocol"]) for cell in cells})
        raise UsageError(f"no results of protocol {protocol!r} in {path}: {did_you_mean(str(protocol), known)}")
    return chosen


def _rows(store: Store, cell: Cell) -> list[dict[str, Any]]:
    base = {**cell.identity, "status": cell.status, "preparation": cell.table["preparation"]}
    reason = cell.reason
    if cell.status == "ok" and cell.path is not None:
        try:
            return [_ordered({**base, **row}) for row in read_json(store.path(cell.path) / "metrics.json")["rows"]]
        except (OSError, ValueError, KeyError):
            base["status"], reason = "missing", "metrics.json cannot be read: run the same command again"
    # no lesion metric is defined on healthy subjects
    metrics = ["fpr"] if cell.healthy else cell.table["headline"]
    return [_empty(base, name, cell.table["task"], reason) for name in metrics]


def _empty(base: dict[str, Any], metric: str, task: str, reason: str) -> dict[str, Any]:
    level = "voxel" if task == "anomaly" else "lesion"
    blank = {
        "level": level,
        "post": "raw",
        "stratum": "all",
        "metric": metric,
        "value": None,
        "low": None,
        "high": None,
    }
    return _ordered({**base, **blank, "n_cases": 0, "reason": reason, "flagged": False, "interval": ""})


def _ordered(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in COLUMNS}
