"""Made-up results folders: cells with per-case numbers, machines and times, without any run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cerebench.jsonio import write_json
from cerebench.loop.rows import COLUMNS
from cerebench.manifest import IDENTITY
from cerebench.store import Store, status_record

MACHINE = {
    "device": "cpu",
    "name": "Chip",
    "capability": "AVX2",
    "cores": 2,
    "threads": 1,
    "torch": "2",
    "determinism": {"deterministic_algorithms": True},
}
CASES = 12


class Folder:
    """A results folder that grows by cells; every cell of a method holds the same cases unless told otherwise."""

    def __init__(self, root: Path, **about: Any) -> None:
        self.store = Store(root)
        self.cells: list[dict[str, Any]] = []
        self.about = {
            "protocol": "p",
            "protocol_version": 1,
            "preset": "nightly",
            "banner": "",
            "ranked": True,
            "headline": ["ap"],
            "task": "anomaly",
            "preparation": "0",
            **about,
        }

    @property
    def root(self) -> Path:
        return self.store.root

    def add(
        self,
        method: str = "one",
        cohort: str = "here",
        seed: int = 0,
        status: str = "ok",
        reason: str = "",
        machine: dict[str, Any] | None = MACHINE,
        provenance: str = "in-silico",
        healthy: bool = False,
        values: dict[str, Any] | None = None,
        predict: float = 10.0,
        training: float = 20.0,
        rss: int = 2**29,
        version: int = 3,
        data: str = "d",
    ) -> Folder:
        """One cell; ``values`` are arrays by metric, ``ap`` and ``dice`` of every case by default."""
        about = self.about
        names = (about["protocol"], about["protocol_version"], about["preset"], method, "", cohort, "t1", seed)
        identity = {**dict(zip(IDENTITY, (*names, provenance), strict=True)), "training_source": "x"}
        path = None if status == "skipped" else f"runs/{method}/{cohort}/seed{seed}"
        planned = "skipped" if status == "skipped" else "planned"
        self.cells.append({**identity, "healthy": healthy, "path": path, "status": planned, "reason": reason})
        write_json_in(self.store.runs / "manifest-0.json", {"updated": "1", "about": about, "cells": self.cells})
        if status in ("skipped", "missing"):
            return self
        if status != "ok":
            self.store.record_failure(str(path), status, reason)  # type: ignore[arg-type]
            return self
        arrays = default_values(cohort) if values is None else values
        stage = f"artefacts/fit/{method}-{seed}"
        write_json_in(self.store.path(stage) / "timing.json", {"seconds": {"fit": training}})
        with self.store.writing(str(path)) as folder:
            rows = [
                (f"c{index:02d}", f"{cohort}/p{index:02d}", "", "voxel", "raw", metric, float(value))
                for metric, array in arrays.items()
                for index, value in enumerate(array)
                if np.isfinite(value)
            ]
            pd.DataFrame(rows, columns=list(COLUMNS)).to_parquet(folder / "cases.parquet", index=False)
            pooled = [
                {"level": "voxel", "post": "raw", "stratum": "all", "metric": metric, "value": float(np.nanmean(array))}
                for metric, array in arrays.items()
            ]
            write_json(folder / "metrics.json", {"metric_version": version, "rows": pooled})
            write_json(folder / "cell.json", {"stages": [stage], "artefact": stage})
            write_json(folder / "timing.json", {"seconds": {"predict": predict}, "peak_bytes": {"rss": rss}})
            source = {
                "data": {"tested": {"cases": 12, "fingerprint": data}},
                "libraries": {"torch": "2"},
                "platform": "Linux",
            }
            write_json(folder / "provenance.json", source | ({"machine": machine} if machine else {}))
            write_json(folder / "status.json", status_record("ok"))
        return self


def write_json_in(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, value)


def default_values(cohort: str) -> dict[str, Any]:
    """Metrics of twelve cases, fixed by the cohort's name."""
    rng = np.random.default_rng(sum(map(ord, cohort)))
    ap = rng.uniform(0.2, 0.6, CASES)
    return {"ap": ap, "dice": ap + 0.1}


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Folder]:
    """``folder("a")``: an empty results folder; keywords go to what the manifest says of the protocol."""
    return lambda name, **about: Folder(tmp_path / name, **about)


@pytest.fixture
def usual() -> Callable[[str], dict[str, Any]]:
    """``usual("here")``: the metrics that a cell on that cohort has by default."""
    return default_values


@pytest.fixture
def machine() -> dict[str, Any]:
    """The machine of every cell."""
    return dict(MACHINE)
