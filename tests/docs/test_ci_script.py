"""The script and the workflows of continuous integration: ``.ci/run`` with stand-ins for Python's tools."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ("pip", "ruff", "mypy", "pytest")

PYTHON = """#!/bin/sh
echo "python3 $*" >> "$CI_LOG"
mkdir -p "$3/bin"
echo "PATH=\\"$CI_TOOLS:$PATH\\"" > "$3/bin/activate"
"""
TOOL = """#!/bin/sh
echo "$(basename "$0") $*" >> "$CI_LOG"
echo "cache=$CEREBENCH_CACHE data=${CEREBENCH_DATA-none} ci=$CI pwd=$PWD" >> "$CI_LOG.env"
[ "$(basename "$0")" != "$CI_BREAKS" ]
"""


class Repository:
    """A copy of what ``.ci/run`` reads, and the stand-ins that note how they were called."""

    def __init__(self, folder: Path) -> None:
        self.root, self.log, self.temp = folder / "repo", folder / "log", folder / "temp"
        (self.root / ".ci").mkdir(parents=True)
        self.temp.mkdir()
        shutil.copy(ROOT / ".ci" / "run", self.root / ".ci" / "run")
        shutil.copy(ROOT / "README.md", self.root / "README.md")
        self.python, self.tools = folder / "python", folder / "tools"
        for place, names, text in ((self.python, ("python3",), PYTHON), (self.tools, TOOLS, TOOL)):
            place.mkdir()
            for name in names:
                (place / name).write_text(text)
                (place / name).chmod(0o755)

    def run(self, breaks: str = "") -> subprocess.CompletedProcess[str]:
        """Run the script from elsewhere."""
        env = {
            "PATH": f"{self.python}:{os.environ['PATH']}",
            "TMPDIR": str(self.temp),
            "CEREBENCH_DATA": "/somewhere",
            "CI_LOG": str(self.log),
            "CI_TOOLS": str(self.tools),
            "CI_BREAKS": breaks,
        }
        command = [str(self.root / ".ci" / "run")]
        return subprocess.run(command, env=env, cwd="/", capture_output=True, text=True, timeout=60)

    def calls(self) -> list[str]:
        """Tools in the order they were called."""
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


def test_runs_everything_in_a_fresh_environment_and_cleans_up(repository: Repository) -> None:
    done = repository.run()
    assert done.returncode == 0, done.stderr
    venv, *rest = repository.calls()
    assert venv.startswith(f"python3 -m venv {repository.temp}/")
    expected = ["pip install -e .[test]", "ruff check .", "ruff format --check .", "mypy ", "pytest "]
    assert rest == expected
    environment = Path(f"{repository.log}.env").read_text().splitlines()
    assert all("data=none ci=true" in line and line.endswith(f"pwd={repository.root}") for line in environment)
    assert all(line.startswith(f"cache={repository.temp}/") for line in environment)
    assert list(repository.temp.iterdir()) == []


@pytest.mark.parametrize("tool", ["ruff", "mypy", "pytest"])
def test_a_failure_is_told_and_the_rest_still_runs(repository: Repository, tool: str) -> None:
    done = repository.run(breaks=tool)
    assert done.returncode == 1
    assert f"\n  {tool}" in done.stderr.partition("Failed:")[2]
    assert repository.calls()[-1] == "pytest "
    assert list(repository.temp.iterdir()) == []


def test_a_failed_installation_ends_it(repository: Repository) -> None:
    done = repository.run(breaks="pip")
    assert done.returncode != 0
    assert repository.calls()[-1] == "pip install -e .[test]"


def test_refuses_another_command_in_the_readme(repository: Repository) -> None:
    readme = repository.root / "README.md"
    text = readme.read_text(encoding="utf-8")
    assert text.count("&& pytest\n") == 1
    readme.write_text(text.replace("&& pytest\n", "&& pytest -x\n"), encoding="utf-8")
    done = repository.run()
    assert done.returncode == 1
    assert "pytest -x" in done.stderr
    assert repository.calls() == []


def test_script_is_executable() -> None:
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


@pytest.mark.parametrize("name", ["ci", "nightly"])
def test_workflow_is_sound(name: str) -> None:
    flow = yaml.safe_load((ROOT / ".github" / "workflows" / f"{name}.yml").read_text(encoding="utf-8"))
    assert flow[True]  # YAML 1.1 reads the key `on` as true
    assert flow["permissions"] == {"contents": "read"}
    for job in flow["jobs"].values():
        assert job["timeout-minutes"] <= 360
        assert all(("uses" in step) != ("run" in step) for step in job["steps"])


def test_workflows_run_what_they_should() -> None:
    ci = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))["jobs"]
    assert ci["check"]["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13"]
    assert [step["run"] for step in ci["check"]["steps"] if "run" in step] == [".ci/run"]
    assert any("--resolution lowest-direct" in step.get("run", "") for step in ci["lowest"]["steps"])
    nightly = yaml.safe_load((ROOT / ".github" / "workflows" / "nightly.yml").read_text(encoding="utf-8"))["jobs"]
    commands = [step.get("run", "") for job in nightly.values() for step in job["steps"]]
    assert "pytest -m slow" in commands
    assert any("bench nightly .github/nightly.yaml" in command for command in commands)
