"""Accepted baselines: immutable numbered folders of two files, small enough to be committed."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cerebench.errors import UsageError
from cerebench.jsonio import read_json, write_json

if TYPE_CHECKING:
    from cerebench.compare.snapshot import Snapshot

SCHEMA_VERSION = 1
ABOUT, VALUES = "baseline.json", "values.parquet"


@dataclass(frozen=True)
class Accepted:
    """One accepted baseline.

    Attributes:
        folder: where it lies.
        version: 1, 2, ….
        date: when it was accepted, ISO 8601 in UTC.
        reason: why, in the words of who accepted it.
        origin: commit, versions and machine of its cells.
        cells: number of cells.
        ok: number of cells that have values.
    """

    folder: Path
    version: int
    date: str
    reason: str
    origin: dict[str, Any]
    cells: int
    ok: int


def accept(results: Path, reason: str, baselines: Path) -> Accepted:
    """Record a results folder as the next baseline.

    Raises:
        UsageError: no reason, or no finished cell in the folder.
    """
    from cerebench.compare.reading import read_results

    if not reason.strip():
        raise UsageError("--reason is empty: say in a sentence why these numbers are the ones to hold others against")
    snapshot = read_results(results)
    ok = sum(cell.status == "ok" for cell in snapshot.cells)
    if not ok:
        raise UsageError(f"{results} has no finished cell: a baseline without values would let everything pass")
    baselines.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".tmp-", dir=baselines))
    try:
        return _write(snapshot, reason.strip(), baselines, scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _write(snapshot: Snapshot, reason: str, baselines: Path, scratch: Path) -> Accepted:
    from pyarrow import parquet

    dictionary = [name for name in snapshot.values.column_names if name not in ("cell", "value")]
    parquet.write_table(snapshot.values, scratch / VALUES, compression="zstd", use_dictionary=dictionary)
    about = {
        "schema_version": SCHEMA_VERSION,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "reason": reason,
        "origin": dict(snapshot.origin),
        "cells": [cell.to_json() for cell in snapshot.cells],
    }
    scratch.chmod(0o755)
    while True:
        version = max((item.version for item in baselines_in(baselines)), default=0) + 1
        write_json(scratch / ABOUT, {**about, "version": version})
        try:
            os.rename(scratch, baselines / f"{version:04d}")  # noqa: PTH104 - unlike Path.replace it must not merge
        except OSError:
            if not (baselines / f"{version:04d}").exists():
                raise
        else:
            return _about(baselines / f"{version:04d}")


def baselines_in(folder: Path) -> list[Accepted]:
    """All baselines of a folder, oldest first."""
    return sorted(
        (_about(path.parent) for path in folder.glob(f"[0-9]*/{ABOUT}")), key=lambda accepted: accepted.version
    )


def load(path: Path) -> Snapshot:
    """A results folder, a baseline, or the newest baseline of a folder of them.

    Raises:
        UsageError: the path is none of these, or a baseline's files are damaged.
    """
    if (path / "runs").is_dir():
        from cerebench.compare.reading import read_results

        return read_results(path)
    if (path / ABOUT).is_file():
        return _read(path)
    known = baselines_in(path) if path.is_dir() else []
    if known:
        return _read(known[-1].folder)
    what = "is no folder" if not path.is_dir() else "holds neither runs/ nor an accepted baseline"
    raise UsageError(f"{path} {what}: expected a results folder of `bench run` or one of `bench baseline accept`")


def _about(folder: Path) -> Accepted:
    content = _content(folder)
    ok = sum(cell["status"] == "ok" for cell in content["cells"])
    return Accepted(
        folder=folder,
        version=content["version"],
        date=content["date"],
        reason=content["reason"],
        origin=content["origin"],
        cells=len(content["cells"]),
        ok=ok,
    )


def _content(folder: Path) -> dict[str, Any]:
    try:
        content = dict(read_json(folder / ABOUT))
    except (OSError, ValueError) as error:
        raise UsageError(f"{folder / ABOUT} cannot be read ({error}); restore it or remove the folder") from None
    if content.get("schema_version") != SCHEMA_VERSION:
        raise UsageError(
            f"{folder / ABOUT} has form {content.get('schema_version')!r}, expected {SCHEMA_VERSION}: "
            "accept a baseline with this version of cerebench"
        )
    return content


def _read(folder: Path) -> Snapshot:
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    from cerebench.compare.snapshot import CellFacts, Snapshot

    content = _content(folder)
    try:
        values = ParquetFile(folder / VALUES).read(use_threads=False)
    except (OSError, ArrowException) as error:
        raise UsageError(f"{folder / VALUES} cannot be read ({error}); restore it or accept a new baseline") from None
    label = f"baseline {content['version']} of {content['date'][:10]} ({content['reason']})"
    cells = tuple(CellFacts.from_json(cell) for cell in content["cells"])
    return Snapshot(label, content["origin"], cells, values)
