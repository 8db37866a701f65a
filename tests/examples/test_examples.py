"""The packages in ``examples/``: made to look installed, they are found and their own tests pass, without network."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted(path.parent for path in (ROOT / "examples").glob("*/pyproject.toml"))
PROVIDES = {
    "cerebench-card": {"cohorts": 1},
    "cerebench-pca": {"methods": 1},
    "cerebench-reporter": {"reporters": 1},
}


def project(folder: Path) -> dict:
    return tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment of a process in which the packages are installed."""
    site = tmp_path_factory.mktemp("site")
    for folder in EXAMPLES:
        about = project(folder)
        record = site / f"{about['name'].replace('-', '_')}-{about['version']}.dist-info"
        record.mkdir()
        record.joinpath("METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {about['name']}\nVersion: {about['version']}\n"
        )
        lines = [f"{name} = {target}\n" for name, target in about["entry-points"]["cerebench"].items()]
        record.joinpath("entry_points.txt").write_text("[cerebench]\n" + "".join(lines))
    path = [str(site), *(str(folder / "src") for folder in EXAMPLES), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(part for part in path if part),
        "CEREBENCH_PLUGINS": ",".join(project(folder)["name"] for folder in EXAMPLES),
        "CEREBENCH_CACHE": str(tmp_path_factory.mktemp("cache")),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def call(environment: dict[str, str], *words: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *words], env=environment, cwd=folder, capture_output=True, text=True, check=False
    )


def test_their_own_tests_pass(installed):
    done = call(
        installed, "pytest", "-q", "-p", "no:cacheprovider", "-o", "addopts=--import-mode=importlib", "examples"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\b9 passed in", done.stdout), done.stdout


def test_they_are_found_load_and_provide_what_they_say(installed, tmp_path):
    done = call(installed, "cerebench.cli.main", "plugins", "list", "--load", "--json", folder=tmp_path)
    found = {row["distribution"]: row for row in json.loads(done.stdout)}
    assert {name: (found[name]["state"], found[name]["provides"]) for name in PROVIDES} == {
        name: ("ok", provides) for name, provides in PROVIDES.items()
    }


def test_all_of_them_are_tested_and_explained():
    assert {project(folder)["name"] for folder in EXAMPLES} == set(PROVIDES) == {folder.name for folder in EXAMPLES}
    index = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    for folder in EXAMPLES:
        assert f"[{folder.name}]({folder.name})" in index
        page = (folder / "README.md").read_text(encoding="utf-8")
        files = re.findall(r"^\| `([\w./-]+)` \|", page, re.MULTILINE)
        assert len(files) >= 4
        assert [name for name in files if not (folder / name).is_file()] == []


@pytest.mark.slow
def test_the_three_work_together_in_a_run(installed, tmp_path):
    words = ["run", "--methods", "pca-reconstruction", "--cohorts", "example-lesions", "--preset", "quick"]
    done = call(installed, "cerebench.cli.main", *words, "--report", "csv", "--device", "cpu", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = (tmp_path / "results" / "cells.csv").read_text().splitlines()
    assert len(rows) > 1
    assert all(",pca-reconstruction,example-lesions," in row and ",ok," in row for row in rows[1:])
