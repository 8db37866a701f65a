"""``bench data prepare``: options, what is printed, exit codes. The steps are stood in for."""

from __future__ import annotations

import json

import pytest
import typer
from typer.testing import CliRunner

from cerebench.cli.data_prepare import prepare
from cerebench.errors import UsageError

app = typer.Typer()
app.command()(prepare)


@pytest.fixture
def data(small_listing, toy, tmp_path, monkeypatch):
    monkeypatch.delenv("CEREBENCH_DATA", raising=False)
    monkeypatch.setattr("cerebench.extraction.case.extract", toy)
    small_listing("a", "b")
    (tmp_path / "cards").mkdir()
    (tmp_path / "heads.yaml").rename(tmp_path / "cards" / "heads.yaml")
    return tmp_path / "data"


def run(tmp_path, *arguments, code=0):
    words = ["heads", "--cards", str(tmp_path / "cards"), *map(str, arguments)]
    result = CliRunner().invoke(app, words)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.stdout


def test_by_default_the_result_lies_in_the_data_root(data, tmp_path):
    text = run(tmp_path, "--data-root", data)
    assert "heads: 2 cases done now, 0 there already" in text
    assert "index.html" in text
    assert (data / "prepared" / "heads" / "a" / "t1.nii.gz").is_file()
    assert "0 cases done now, 2 there already" in run(tmp_path, "--data-root", data)


def test_dry_run_and_cases(data, tmp_path):
    assert "1 case would be done" in run(tmp_path, "--data-root", data, "--cases", "b", "--dry-run")
    assert not (data / "prepared").exists()
    found = json.loads(run(tmp_path, "--data-root", data, "--cases", "b", "--out", tmp_path / "o", "--json"))
    assert [(case["case"], case["status"]) for case in found["cases"]] == [("b", "prepared")]
    assert found["folder"] == str(tmp_path / "o" / "heads")
    assert found["cases"][0]["brain_ml"] == 1400.0
    assert found["faults"] == []


def test_faults_are_told_at_the_end_with_exit_code_1(data, tmp_path):
    (data / "a.do").write_text("fault")
    text = run(tmp_path, "--data-root", data, "--workers", "1", code=1)
    assert "fault: case a of heads: the head is upside down\n" in text
    assert "1 case done now, 0 there already; 1 could not be done" in text
    found = json.loads(run(tmp_path, "--data-root", data, "--json", code=1))
    assert [case["status"] for case in found["cases"]] == ["failed", "present"]
    assert found["faults"] == ["case a of heads: the head is upside down"]


def test_mistakes_are_named(data, tmp_path):
    with pytest.raises(UsageError, match="--data-root DIR or set CEREBENCH_DATA"):
        run(tmp_path)
    with pytest.raises(UsageError, match=r"'heads' is missing under .*expected a folder named heads: Make them up"):
        run(tmp_path, "--data-root", tmp_path / "cards")
    with pytest.raises(UsageError, match="--spacing 9 mm"):
        run(tmp_path, "--data-root", data, "--spacing", "9")


def test_without_ants_one_sentence_says_what_to_install(data, tmp_path, monkeypatch):
    from cerebench.extraction import cohort, engine

    monkeypatch.setattr(engine, "find_spec", lambda name: None)
    monkeypatch.setattr(cohort, "require_ants", engine.require_ants)
    with pytest.raises(UsageError, match=r"pip install 'cerebench\[prepare\]'"):
        run(tmp_path, "--data-root", data)
    assert not (data / "prepared").exists()


def test_help_needs_no_heavy_library():
    import subprocess
    import sys

    code = (
        "import sys, cerebench.cli.data_prepare\n"
        "print([m for m in ('ants', 'numpy', 'scipy', 'nibabel', 'PIL', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
