"""docs/results.md: every file, column and status is there, and its pandas examples run."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest

import cerebench
from cerebench.boards import COLUMNS
from cerebench.loop.artefact import SETTINGS, WEIGHTS
from cerebench.loop.rows import COLUMNS as CASE_COLUMNS
from cerebench.scoring.metrics import ALL_LEVELS
from cerebench.store import Status

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    """The part of the page below a heading."""
    return TEXT.split(f"## {title}\n")[1].split("\n## ")[0]


def first_cells(text: str) -> set[str]:
    """Words in code font in the first column of the tables."""
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    return {name for cell in rows for name in re.findall(r"`([\w.]+)`", cell)}


def test_every_file_of_a_cell_is_named() -> None:
    sources = [*(ROOT / "benchmark/cerebench/loop").glob("*.py"), ROOT / "benchmark/cerebench/store.py"]
    written = {WEIGHTS, SETTINGS}
    for path in sources:
        names = re.findall(r'(?:folder|scratch) / "([\w.]+)"', path.read_text(encoding="utf-8"))
        written |= {name for name in names if not name.endswith(".npy")}
    assert {"cases.parquet", "log.txt", "validation.json"} <= written
    assert {name for name in written if f"`{name}`" in section("The folder")} == written


def test_every_leaderboard_field_is_explained() -> None:
    assert first_cells(section("Leaderboard JSON")) == set(COLUMNS)
    assert all(f"`{level}`" in section("Leaderboard JSON") for level in ALL_LEVELS)


def test_every_column_of_the_long_table_is_explained(results_folder: Path) -> None:
    columns = set(cerebench.results(results_folder).columns)
    assert columns >= set(CASE_COLUMNS)
    table = section("Per-case rows").split("| level | metrics |")[0]
    assert first_cells(table) == columns


def test_every_status_that_occurs_is_explained() -> None:
    explained = first_cells(section("Status"))
    assert explained - {"missing"} <= set(get_args(Status))
    assert {"ok", "failed", "timeout", "oom", "skipped", "missing"} <= explained


def test_a_cell_without_result_has_rows_with_its_reason(results_folder: Path) -> None:
    board = cerebench.leaderboard(results_folder)
    skipped = board[board["status"] == "skipped"]
    assert skipped["reason"].tolist() == ["no t1"]
    assert skipped["value"].isna().all()


def test_examples_run(
    results_folder: Path,
    blocks: Callable[[str, str], list[str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(results_folder.parent)
    examples = blocks(TEXT, "python")
    assert len(examples) == 2
    for example in examples:
        exec(compile(example, "docs/results.md", "exec"), {})
    printed = capsys.readouterr().out
    assert "0.25" in printed
    assert "0.625" in printed  # median Dice of the two cases
