"""docs/make_leaderboard.py: pages marked in silico, and the excerpt in the README."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from cerebench.errors import UsageError


@pytest.fixture
def script(root: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_leaderboard", root / "docs" / "make_leaderboard.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_pages_and_excerpt(script: ModuleType, results_folder: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    readme = site / "README.md"
    readme.write_text(f"# House\n\n{script.BEGIN}\nold\n{script.END}\n\nEnd.\n", encoding="utf-8")
    for _ in range(2):  # the second time replaces the first
        script.main([str(results_folder), "--root", str(site), "--date", "2026-01-31"])
    page = (site / "results/leaderboards/toy@1-quick-in-silico.md").read_text(encoding="utf-8")
    assert page.startswith("# IN SILICO: toy v1, preset quick\n\n2026-01-31, cerebench ")
    assert "0.250" in page
    text = readme.read_text(encoding="utf-8")
    assert text.startswith("# House\n")
    assert text.endswith("End.\n")
    assert "old" not in text
    assert text.count("**IN SILICO: toy v1, preset quick**") == 1
    assert "(results/leaderboards/toy@1-quick-in-silico.md)" in text


def test_a_readme_without_markers_is_left_alone(script: ModuleType, results_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# House\n", encoding="utf-8")
    with pytest.raises(UsageError, match="lacks the markers"):
        script.main([str(results_folder), "--root", str(tmp_path)])
    assert not (tmp_path / "results/leaderboards").exists()


def test_real_data_are_never_published_as_in_silico(script: ModuleType, results_folder: Path) -> None:
    manifest = next((results_folder / "runs").glob("manifest-*.json"))
    manifest.write_text(manifest.read_text(encoding="utf-8").replace("in-silico", "real"), encoding="utf-8")
    with pytest.raises(UsageError, match="no finished in-silico cell"):
        script.pages(results_folder, "2026-01-31")


def test_the_excerpt_of_a_large_table_is_its_beginning_and_the_last_column(script: ModuleType) -> None:
    header = ["method", *(f"c{index}" for index in range(20)), "mean rank"]
    body = [[f"m{row}", *["0.5"] * 20, str(row)] for row in range(60)]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in [header, ["---"] * 22, *body])
    text = script.excerpt("page.md", f"# IN SILICO: toy\n\nabout\n\nap:\n\n{table}\n")
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert [cell.strip() for cell in lines[0].split("|")[1:-1]] == ["method", "c0", "c1", "c2", "c3", "c4", "mean rank"]
    assert [len(lines), {line.count("|") for line in lines}] == [26, {8}]
    assert lines[-1].endswith("| 23 |")
    assert "… and 36 more rows and 15 more columns." in text


def test_where_methods_are_columns_the_excerpt_shows_those_of_best_rank(script: ModuleType) -> None:
    ranks = [9, 3, 8, 1, 7, 2, 6, 4, 5]
    rows = [["column", *(f"m{rank}" for rank in ranks)], ["---"] * 10, ["c t1", *["0.5"] * 9]]
    rows.append(["mean rank", *(f"{rank}.00" for rank in ranks)])
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in rows)
    text = script.excerpt("page.md", f"# IN SILICO: toy\n\nabout\n\nap:\n\n{table}\n")
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert [cell.strip() for cell in lines[0].split("|")[1:-1]] == ["column", *(f"m{rank}" for rank in range(1, 7))]
    assert lines[-1] == "| mean rank | 1.00 | 2.00 | 3.00 | 4.00 | 5.00 | 6.00 |"
