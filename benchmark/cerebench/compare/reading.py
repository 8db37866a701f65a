"""From a results folder to a snapshot; nothing here imports torch or runs a method."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cerebench.compare.snapshot import CellFacts, Snapshot
from cerebench.errors import UsageError
from cerebench.jsonio import digest, read_json
from cerebench.manifest import IDENTITY, Cell, read_cells
from cerebench.scoring.metrics import METRICS
from cerebench.store import Store

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

_COLUMNS = ["case", "patient", "level", "post", "metric", "value"]
_LIBRARIES = ("torch", "monai", "timm", "numpy", "scipy", "scikit-learn")


def read_results(root: Path) -> Snapshot:
    """Everything that is comparable in a results folder.

    Raises:
        UsageError: it is no results folder.
    """
    store = Store(root)
    found = read_cells(store)
    if not found and not store.runs.is_dir():
        raise UsageError(f"{root} holds no run: expected runs/manifest-*.json; name a results folder of `bench run`")
    cells: list[CellFacts] = []
    tables: list[pa.Table] = []
    origins: list[Mapping[str, Any]] = []
    times: dict[str, float] = {}
    for index, cell in enumerate(found):
        facts, table, origin = _read_cell(store, cell, index, times)
        cells.append(facts)
        tables += [] if table is None else [table]
        origins += [origin] if origin else []
    import pyarrow as pa

    values = pa.concat_tables(tables) if tables else pa.schema(_schema()).empty_table()
    return Snapshot(str(root), origins[-1] if origins else {}, tuple(cells), values)


def _schema() -> list[tuple[str, Any]]:
    import pyarrow as pa

    texts = [(name, pa.large_string()) for name in _COLUMNS[:-1]]
    return [("cell", pa.int64()), *texts, ("value", pa.float64())]


def _read_cell(
    store: Store, cell: Cell, index: int, times: dict[str, float]
) -> tuple[CellFacts, pa.Table | None, Mapping[str, Any]]:
    base: dict[str, Any] = {
        "identity": {name: cell.identity[name] for name in IDENTITY},
        "status": cell.status,
        "reason": cell.reason,
        "healthy": cell.healthy,
        "headline": tuple(cell.table["headline"]),
        "headline_level": cell.table.get("headline_level"),
        "preparation": str(cell.table["preparation"]),
    }
    if cell.status != "ok" or cell.path is None:
        return CellFacts(**base), None, {}
    folder = store.path(cell.path)
    try:
        metrics = read_json(folder / "metrics.json")
        table = _values(folder, index, metrics["rows"])
    except (OSError, ValueError, KeyError):
        base |= {"status": "missing", "reason": "its files cannot be read: run the same command again"}
        return CellFacts(**base), None, {}
    about, timing, source = (_optional(folder / f"{name}.json") for name in ("cell", "timing", "provenance"))
    stages = about.get("stages") or [path for path in (about.get("artefact"),) if path]
    facts = CellFacts(
        **base,
        metric_version=metrics.get("metric_version"),
        data={use: item["fingerprint"] for use, item in source.get("data", {}).items()},
        exact=_exact(source),
        device=_device(source),
        predict_s=_seconds(timing).get("predict"),
        training_s={path: _training_seconds(store, path, times) for path in stages},
        peak_bytes=timing.get("peak_bytes", {}),
    )
    kept = ("git", "cerebench", "libraries", "python", "platform", "machine")
    return facts, table, {name: source[name] for name in kept if name in source}


def _values(folder: Path, index: int, pooled: list[dict[str, Any]]) -> pa.Table:
    """Per-case rows of metrics and scores, the parts of areas under ROC curves, and the cell's pooled metrics."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow.parquet import ParquetFile

    rows = ParquetFile(folder / "cases.parquet").read(columns=_COLUMNS, use_threads=False)
    rows = rows.replace_schema_metadata(None)
    detection = rows.filter(pc.is_in(rows["metric"], pa.array(["score", "label"], rows["metric"].type)))
    wanted = pa.array([*METRICS, "score"], rows["metric"].type)
    parts = [rows.filter(pc.is_in(rows["metric"], wanted)).cast(pa.schema(_schema()[1:]))]
    extra = [*_placements(folder, detection), *_pooled(pooled)]
    parts += [pa.Table.from_pylist(extra, schema=pa.schema(_schema()[1:]))] if extra else []
    table = pa.concat_tables(parts)
    return table.add_column(0, "cell", pa.array(np.full(len(table), index)))


def _pooled(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for row in rows:
        if row["value"] is not None and row["stratum"] == "all":
            yield {"case": "", "patient": "", **{name: row[name] for name in _COLUMNS[2:]}}


def _placements(folder: Path, rows: pa.Table) -> Iterator[dict[str, Any]]:
    """What every positive adds to the area under the ROC curve: the share of negatives that it outranks, ties half;
    for negatives the share of positives that outrank them. Patients without healthy ones among them are held against
    the cell's controls.
    """
    import numpy as np

    for level in set(rows["level"].to_pylist()):
        mine: dict[tuple[str, str], dict[str, float]] = {}
        for row in rows.to_pylist():
            if row["level"] == level:
                mine.setdefault((row["case"], row["patient"]), {})[row["metric"]] = row["value"]
        both = {key: value for key, value in mine.items() if len(value) == 2}
        scores = {flag: np.sort([v["score"] for v in both.values() if v["label"] == flag]) for flag in (0.0, 1.0)}
        if level == "subject" and not scores[0.0].size:
            known = {patient for _, patient in both}
            controls = _optional(folder / "controls.json") or []
            scores[0.0] = np.sort(
                [item["score"] for item in controls if item["score"] is not None and item["patient"] not in known]
            )
        for (case, patient), value in both.items():
            others = scores[1.0 - value["label"]]
            if others.size:
                share = _outranked(others, value["score"])
                yield {
                    "case": case,
                    "patient": patient,
                    "level": level,
                    "post": "raw",
                    "metric": "auroc",
                    "value": share if value["label"] else 1 - share,
                }


def _outranked(others: npt.NDArray[np.float64], score: float) -> float:
    import numpy as np

    below, upto = (int(np.searchsorted(others, score, side)) for side in ("left", "right"))
    return (below + upto) / 2 / others.size


def _exact(source: Mapping[str, Any]) -> str | None:
    """Digest of what has to be equal for equal bits; ``None`` where operations without a deterministic kernel ran."""
    machine = source.get("machine")
    if machine is None or source.get("nondeterministic_operations"):
        return None
    if machine["device"] != "cpu" and not machine["determinism"]["deterministic_algorithms"]:
        return None
    same = {name: value for name, value in machine.items() if name not in ("cores", "determinism")}
    libraries = {name: source.get("libraries", {}).get(name) for name in _LIBRARIES}
    return digest([same, libraries, source.get("platform"), source.get("precision")], 16)


def _device(source: Mapping[str, Any]) -> str | None:
    machine = source.get("machine")
    if machine is None:
        return None
    return f"{machine['name']}, {machine['cores']} cores, {machine['threads']} threads"


def _training_seconds(store: Store, path: str, known: dict[str, float]) -> float:
    if path not in known:
        known[path] = sum(_seconds(_optional(store.path(path) / "timing.json")).values())
    return known[path]


def _seconds(timing: Mapping[str, Any]) -> dict[str, float]:
    """Seconds by stage without those in which other processes had the CPU."""
    waiting = timing.get("waiting", {})
    return {stage: max(0.0, spent - waiting.get(stage, 0.0)) for stage, spent in timing.get("seconds", {}).items()}


def _optional(path: Path) -> Any:
    try:
        return read_json(path)
    except (OSError, ValueError):
        return {}
