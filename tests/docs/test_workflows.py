"""The workflows: their commands exist, their permissions are few, and the nightly's configuration is valid."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cerebench.cli.main import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
FLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def jobs(path: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"])


def commands(path: Path) -> Iterator[list[str]]:
    """Words of every line of every script."""
    for job in jobs(path).values():
        for step in job["steps"]:
            for line in step.get("run", "").splitlines():
                yield shlex.split(line, comments=True)


@pytest.mark.parametrize("path", FLOWS, ids=lambda path: path.stem)
def test_every_bench_command_and_file_exists(path: Path) -> None:
    seen = 0
    for words in commands(path):
        if words[:1] == ["bench"]:
            assert words[1] in COMMANDS
            seen += 1
        for word in words:
            if re.match(r"(\.github|\.ci|examples)/|examples$", word):
                assert (ROOT / word).exists(), word
    assert seen


def test_only_the_report_may_write_and_only_issues() -> None:
    for path in FLOWS:
        assert yaml.safe_load(path.read_text(encoding="utf-8"))["permissions"] == {"contents": "read"}
        for name, job in jobs(path).items():
            allowed = {"contents": "read", "issues": "write"} if name == "report" else None
            assert job.get("permissions") == allowed


def test_the_report_follows_a_regression_alone() -> None:
    report = jobs(ROOT / ".github/workflows/nightly.yml")["report"]
    assert report["needs"] == "table"
    assert "needs.table.outputs.code == '1'" in report["if"]
    script = report["steps"][-1]["run"]
    assert script.index("gh issue comment") < script.index("gh issue create")


def test_the_nightly_ends_with_the_exit_code_of_bench() -> None:
    import subprocess

    steps = jobs(ROOT / ".github/workflows/nightly.yml")["table"]["steps"]
    (script,) = [step["run"] for step in steps if step.get("id") == "night"]
    stand_in = 'GITHUB_OUTPUT=/dev/stdout RUNNER_TEMP=. ; bench() { echo "$@"; return 3; }\n'
    done = subprocess.run(["bash", "-e", "-o", "pipefail", "-c", stand_in + script], capture_output=True, text=True)
    assert done.returncode == 3
    assert done.stdout.splitlines()[-1] == "code=3"


def test_the_nightly_configuration_is_valid() -> None:
    from cerebench.nightly.config import load_config

    config = load_config(ROOT / ".github" / "nightly.yaml")
    assert (config.run.preset, config.run.methods) == ("nightly", "all")


def test_the_example_plugins_of_ci_are_all_there_are() -> None:
    ci = (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    packages = {path.parent.name for path in (ROOT / "examples").glob("*/pyproject.toml")}
    assert packages
    assert set(re.findall(r"-e examples/([\w-]+)", ci)) == packages


def test_the_page_explains_every_field_and_exit_code() -> None:
    from cerebench.compare.report import STATES
    from cerebench.nightly.config import Bounds, Nightly, Run

    page = (ROOT / "docs" / "nightly.md").read_text(encoding="utf-8")
    example = re.findall(r"^```yaml\n(.*?)^```", page, re.DOTALL | re.MULTILINE)[0]
    config = Nightly.model_validate(yaml.safe_load(example))
    assert config == Nightly(schema=1)  # the example shows the defaults
    prose = page.replace("`", " ").replace(":", " ").split()
    fields = {*Nightly.model_fields, *Run.model_fields, *Bounds.model_fields} - {"schema_version"}
    assert not [name for name in fields if not any(word.strip(",.") == name for word in prose)]
    assert all(f"| {code} |" in page for code in STATES)
