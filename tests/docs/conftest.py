"""The pages of the repository, and a small results folder for their examples."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from cerebench.boards import COLUMNS
from cerebench.jsonio import write_json
from cerebench.loop.rows import COLUMNS as CASE_COLUMNS
from cerebench.manifest import IDENTITY

ROOT = Path(__file__).resolve().parents[2]
CELL = "runs/toy@1/toy-method/toy-cohort-t2/seed0-00000000"


@pytest.fixture(scope="session")
def root() -> Path:
    """Root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def read() -> Callable[[str], str]:
    """``read("docs/results.md")``."""
    return lambda path: (ROOT / path).read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def blocks() -> Callable[[str, str], list[str]]:
    """``blocks(text, "python")``: fenced blocks of a language; ``""`` for those without one."""
    return lambda text, language: re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


@pytest.fixture
def results_folder(tmp_path: Path) -> Path:
    """A results folder with one finished cell of two cases and one that was skipped."""
    values = ("toy", 1, "quick", "toy-method", "", "toy-cohort", "t2", 0, "in-silico")
    identity = {**dict(zip(IDENTITY, values, strict=True)), "training_source": "nothing"}
    about = {
        "protocol": "toy",
        "protocol_version": 1,
        "preset": "quick",
        "banner": "",
        "ranked": True,
        "headline": ["ap"],
        "task": "anomaly",
        "preparation": "0",
    }
    cells = [
        {**identity, "healthy": False, "path": CELL, "status": "planned", "reason": ""},
        {**identity, "modality": "t1", "healthy": False, "path": None, "status": "skipped", "reason": "no t1"},
    ]
    results = tmp_path / "results"
    folder = results / CELL
    folder.mkdir(parents=True)
    write_json(results / "runs/manifest-00000000.json", {"updated": "2000", "about": about, "cells": cells})
    own = set(COLUMNS) - set(identity) - {"status", "preparation"}
    row = dict.fromkeys(own, "") | {"level": "voxel", "post": "raw", "metric": "ap", "stratum": "all", "flagged": True}
    row |= {"value": 0.25, "low": 0.1, "high": 0.4, "n_cases": 2}
    write_json(folder / "metrics.json", {"metric_version": 1, "rows": [row]})
    write_json(folder / "status.json", {"status": "ok", "reason": ""})
    rows = [
        (f"c{index}", f"toy-cohort/p{index}", "", level, post, name, value + index)
        for index in range(2)
        for level, post, name, value in (("voxel", "raw", "best_dice", 0.125), ("case", "", "lesion_ml", 3.0))
    ]
    pd.DataFrame(rows, columns=list(CASE_COLUMNS)).to_parquet(folder / "cases.parquet", index=False)
    return results
