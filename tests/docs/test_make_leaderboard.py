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
