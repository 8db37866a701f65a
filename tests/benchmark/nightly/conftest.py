"""Nights whose run is replaced by one that writes a small results folder."""

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
from cerebench.nightly.config import Nightly
from cerebench.request import Request, RunResult
from cerebench.store import Store, status_record


class FakeRun:
    """Stands for the runner: one method on one cohort with ``ap`` of twelve cases around ``level``."""

    def __init__(self) -> None:
        self.level = 0.5
        self.status = "ok"
        self.error: Exception | None = None
        self.requests: list[Request] = []

    def __call__(self, request: Request, display: Any) -> RunResult:
        self.requests.append(request)
        if self.error:
            raise self.error
        store = Store(Path(request.results))
        values = ("p", 1, str(request.preset), "one", "", "here", "t1", 0, "in-silico")
        identity = {**dict(zip(IDENTITY, values, strict=True)), "training_source": "x"}
        path = "runs/p@1/one/here-t1/seed0-00000000"
        about = {"protocol": "p", "protocol_version": 1, "preset": request.preset, "banner": "", "ranked": True}
        about |= {"headline": ["ap"], "task": "anomaly", "preparation": "0"}
        cell = {**identity, "healthy": False, "path": path, "status": "planned", "reason": ""}
        if self.status == "skipped":
            cell |= {"path": None, "status": "skipped", "reason": "no data"}
        store.runs.mkdir(parents=True, exist_ok=True)
        write_json(store.runs / "manifest-0.json", {"updated": "1", "about": about, "cells": [cell]})
        if self.status == "ok" and not store.done(path):
            self._write(store, path)
        return RunResult(store.root, [])

    def _write(self, store: Store, path: str) -> None:
        array = self.level + np.linspace(-0.1, 0.1, 12)
        head = [(f"c{index}", f"here/p{index}", "", "voxel", "raw", "ap", value) for index, value in enumerate(array)]
        row = {"level": "voxel", "post": "raw", "stratum": "all", "metric": "ap", "value": self.level, "low": 0.1}
        row |= {"high": 0.9, "n_cases": 12, "reason": "", "flagged": True, "interval": "bootstrap-t"}
        machine = {"device": "cpu", "name": "Chip", "capability": "AVX2", "cores": 2, "threads": 1, "torch": "2"}
        source = {"machine": machine, "git": {"commit": "0" * 40, "dirty": False}, "cerebench": "1"}
        with store.writing(path) as folder:
            pd.DataFrame(head, columns=list(COLUMNS)).to_parquet(folder / "cases.parquet", index=False)
            write_json(folder / "metrics.json", {"metric_version": 3, "rows": [row]})
            write_json(folder / "cell.json", {"stages": []})
            write_json(folder / "timing.json", {"seconds": {"predict": 1.5}, "peak_bytes": {"rss": 1}})
            write_json(folder / "provenance.json", source)
            write_json(folder / "status.json", status_record("ok"))


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeRun:
    """The stand-in of ``cerebench.runner.execute``."""
    import cerebench.runner

    stand_in = FakeRun()
    monkeypatch.setattr(cerebench.runner, "execute", stand_in)
    return stand_in


@pytest.fixture
def config(tmp_path: Path) -> Callable[..., Nightly]:
    """``config(keep=2)``: a configuration below the test's folder."""
    places = {"results": tmp_path / "results", "baseline": tmp_path / "results/baseline"}
    return lambda **fields: Nightly(schema=1, **{**places, **fields})
