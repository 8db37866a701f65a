"""The intended matrix of every run, so that a missing cell is visible."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from cerebench.jsonio import digest, read_json, write_json
from cerebench.plan.model import Plan
from cerebench.store import SCHEMA_VERSION, Store

IDENTITY = ("protocol", "protocol_version", "preset", "method", "variant", "cohort", "modality", "seed", "provenance")


@dataclass(frozen=True)
class Cell:
    """One cell of the matrix with what is known of it now.

    Attributes:
        identity: fields of :class:`cerebench.plan.cells.Identity`.
        path: folder below the results root; ``None`` for a cell that was never to run.
        healthy: whether the column holds healthy subjects only.
        status: ``ok``, ``failed``, ``timeout``, ``oom``, ``skipped`` or ``missing``.
        reason: one sentence where the status is not ``ok``.
        table: what the table has to say: banner, ranked, headline, preparation.
    """

    identity: dict[str, Any]
    path: str | None
    healthy: bool
    status: str
    reason: str
    table: dict[str, Any]


def write_manifest(store: Store, plan: Plan) -> None:
    """Record the matrix of a plan; the same matrix keeps its file."""
    cells: list[dict[str, Any]] = [
        {**asdict(cell.identity), "healthy": cell.healthy, "path": cell.path, "status": "planned", "reason": ""}
        for job in plan.jobs
        for cell in job.evaluations
    ]
    cells += [
        {
            **asdict(skipped.identity),
            "healthy": skipped.healthy,
            "path": None,
            "status": "failed" if skipped.failed else "skipped",
            "reason": skipped.reason,
        }
        for skipped in plan.skipped
    ]
    about = {
        "protocol": plan.protocol.name,
        "protocol_version": plan.protocol.version,
        "title": plan.protocol.title,
        "preset": plan.preset_name,
        "banner": plan.preset.banner,
        "ranked": plan.preset.ranked,
        "headline": list(plan.protocol.headline),
        "headline_level": plan.protocol.headline_level,
        "task": plan.protocol.task,
        "preparation": plan.spec.digest(),
        "spacing_mm": plan.spec.spacing_mm,
    }
    name = f"manifest-{digest([about, cells], 8)}.json"
    store.runs.mkdir(parents=True, exist_ok=True)
    write_json(
        store.runs / name,
        {
            "schema_version": SCHEMA_VERSION,
            "updated": datetime.now(UTC).isoformat(timespec="microseconds"),
            "about": about,
            "cells": cells,
        },
    )


def read_cells(store: Store) -> list[Cell]:
    """All cells of all manifests with their status; of equal identities the newest manifest's counts."""
    newest: dict[tuple[Any, ...], tuple[dict[str, Any], dict[str, Any]]] = {}
    for manifest in _manifests(store):
        for cell in manifest["cells"]:
            newest[tuple(cell[name] for name in IDENTITY)] = (cell, manifest["about"])
    return [_cell(store, cell, about) for _, (cell, about) in sorted(newest.items(), key=lambda item: str(item[0]))]


def _manifests(store: Store) -> Iterator[dict[str, Any]]:
    found = []
    for path in sorted(store.runs.glob("manifest-*.json")):
        try:
            found.append(dict(read_json(path)))
        except (OSError, ValueError):
            continue
    yield from sorted(found, key=lambda manifest: manifest["updated"])


def _cell(store: Store, cell: dict[str, Any], about: dict[str, Any]) -> Cell:
    identity = {name: cell[name] for name in (*IDENTITY, "training_source")}
    if cell["path"] is None:
        return Cell(identity, None, cell["healthy"], cell["status"], cell["reason"], about)
    status = store.status(cell["path"])
    if status is None:
        return Cell(
            identity, cell["path"], cell["healthy"], "missing", "not finished yet: run the same command again", about
        )
    return Cell(identity, cell["path"], cell["healthy"], status["status"], status["reason"], about)
