"""``bench run`` and ``bench leaderboard``: output for scripts, exit codes, and what goes to which stream."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

FIELDS = [
    "protocol",
    "protocol_version",
    "method",
    "cohort",
    "modality",
    "variant",
    "level",
    "post",
    "stratum",
    "metric",
    "value",
    "low",
    "high",
    "n_cases",
    "provenance",
    "training_source",
    "preset",
    "seed",
    "status",
    "reason",
]
METRICS = {
    "ap", "auroc", "best_dice", "dice", "sensitivity", "specificity", "accuracy", "balanced_accuracy", "fpr",
    "fpr_at_95tpr", "sensitivity_at_1fpr", "sensitivity_at_5fpr", "sensitivity_at_10fpr", "brier", "prevalence",
}  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """The toy world after ``bench run`` of a good method and one that fails, with what the command printed."""
    path = Path(__file__).parents[1] / "run" / "conftest.py"
    spec = importlib.util.spec_from_file_location("toy_world_of_commands", path)
    assert spec is not None
    assert spec.loader is not None
    toys = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = toys  # dataclasses look their module up
    spec.loader.exec_module(toys)
    folder = tmp_path_factory.mktemp("commands")
    with pytest.MonkeyPatch.context() as patch:
        toys.install(folder / "site", patch)
        patch.setenv("CEREBENCH_CACHE", str(folder / "cache"))
        patch.delenv("CEREBENCH_DATA", raising=False)
        for name, lesion, card in (("healthy", False, toys.HEALTHY_CARD), ("lesion", True, toys.LESION_CARD)):
            place = folder / "data" / f"toy-{name}"
            place.mkdir(parents=True)
            (folder / "cards").mkdir(exist_ok=True)
            (folder / "cards" / f"toy-{name}.yaml").write_text(card)
            for index in range(4):
                toys.write_subject(place, f"p{index:02d}", index + 100 * lesion, lesion)
        words = ["run", "--methods", "toy-good,toy-raises-late", "--cohorts", "toy-*", "--protocols", "toy-transfer"]
        words += ["--data-root", str(folder / "data"), "--cards", str(folder / "cards"), "--device", "cpu"]
        words += ["--results", str(folder / "results"), "--in-process"]
        yield SimpleNamespace(words=words, results=folder / "results", first=call(words), environment=dict(patched()))


def patched() -> Iterator[tuple[str, str]]:
    import os

    for name in ("CEREBENCH_PLUGINS", "CEREBENCH_CACHE"):
        yield name, os.environ[name]


def call(words: list[str]) -> SimpleNamespace:
    """``bench`` with its streams kept apart, also where no test function is running."""
    import contextlib

    from cerebench.cli.main import main

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as ended:
        main(words)
    return SimpleNamespace(code=ended.value.code, out=out.getvalue(), err=err.getvalue())


@pytest.fixture
def toys(finished: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The finished world, with its plugins seen."""
    for name, value in finished.environment.items():
        monkeypatch.setenv(name, value)
    return finished


def test_run_prints_the_table_alone_and_tells_progress_and_failures_on_the_error_stream(toys):
    first = toys.first
    assert first.code == 1
    assert first.out.startswith("toy-transfer v1 · preset quick · real data · SMOKE TEST, NO RANKING")
    assert "Cells: 4 failed, 4 ok; 4 evaluated now" in first.out
    assert f"bench leaderboard --results {toys.results}" in first.out
    assert "toy-transfer v1, preset quick: 8 cells (0 already done)" in first.err
    assert "toy-good on toy-lesion-t1: ok" in first.err
    assert "ok" not in first.out.split("Cells:")[0].split("[1]")[0]
    assert first.err.count("Failed: toy-raises-late on ") == 4
    assert "ZeroDivisionError" in first.err


def test_dry_run_lists_cells_with_their_state_and_writes_nothing(toys, bench, tmp_path):
    elsewhere = tmp_path / "none"
    words = [str(elsewhere) if word == str(toys.results) else word for word in toys.words]
    fresh = bench(*words, "--dry-run")
    assert fresh.code == 0
    assert not elsewhere.exists()
    assert fresh.out.count("to do") == 8
    again = bench(*toys.words, "--dry-run")
    states = [line.split()[4] for line in again.out.splitlines() if line.startswith("toy-good ")]
    assert states == ["done"] * 4
    assert again.out.count("to do") == 4  # what failed is tried again


def test_dry_run_knows_sources_of_lesion_free_slices_before_their_twins_exist(bench, tmp_path, monkeypatch):
    monkeypatch.setenv("CEREBENCH_CACHE", str(tmp_path / "cache"))
    words = ["-p", "symmetry-transfer", "-m", "autoencoder", "--results", str(tmp_path / "none"), "--dry-run"]
    fresh = bench("run", *words)
    states = [line.split()[4:6] for line in fresh.out.splitlines() if line.startswith("autoencoder ")]
    assert (fresh.code, states) == (0, [["to", "do"]] * 5)


def test_json_has_exactly_the_contract(toys, bench):
    done = bench("leaderboard", "--results", str(toys.results), "--format", "json")
    assert (done.code, done.err) == (0, "")
    content = json.loads(done.out, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    assert list(content) == ["schema_version", "rows"]
    assert content["schema_version"] == 1
    rows = content["rows"]
    assert all(list(row)[: len(FIELDS)] == FIELDS for row in rows)
    assert {row["metric"] for row in rows} <= METRICS
    assert {row["level"] for row in rows} == {"voxel", "slice", "subject"}
    assert {row["post"] for row in rows if row["level"] == "voxel"} == {"raw", "median"}
    assert {row["provenance"] for row in rows} == {"real"}
    good = [row for row in rows if row["method"] == "toy-good"]
    assert all(row["status"] == "ok" and row["reason"] == "" for row in good)
    assert all(isinstance(row["value"], float) for row in good)
    assert not [row for row in good if row["cohort"] == "toy-healthy" and row["metric"] in ("ap", "best_dice")]
    bad = [row for row in rows if row["method"] == "toy-raises-late"]
    assert {(row["cohort"], row["modality"]) for row in bad} == {
        (cohort, modality) for cohort in ("toy-healthy", "toy-lesion") for modality in ("t1", "t2")
    }
    assert all(row["value"] is row["low"] is row["high"] is None for row in bad)
    assert all(row["status"] == "failed" and "ZeroDivisionError" in row["reason"] for row in bad)


def test_csv_holds_the_same_rows_in_full_precision(toys, bench):
    where = ("leaderboard", "--results", str(toys.results), "--format")
    rows = bench(*where, "json").json["rows"]
    table = list(csv.DictReader(io.StringIO(bench(*where, "csv").out)))
    assert len(table) == len(rows)
    for line, row in zip(table, rows, strict=True):
        assert line["metric"] == row["metric"]
        assert (line["value"] == "") if row["value"] is None else (float(line["value"]) == row["value"])


def test_csv_and_json_keep_what_the_options_name(toys, bench):
    where = ("leaderboard", "--results", str(toys.results), "--metric", "auroc", "--level", "subject", "--format")
    rows = bench(*where, "json").json["rows"]
    assert rows
    assert {(row["metric"], row["level"]) for row in rows} == {("auroc", "subject")}
    assert len(bench(*where, "csv").out.splitlines()) == len(rows) + 1
    median = bench("leaderboard", "--results", str(toys.results), "--post", "median", "--format", "json").json["rows"]
    assert {row["post"] for row in median if row["value"] is not None} == {"median"}
    assert any(row["value"] is None for row in median)


@pytest.mark.parametrize(
    ("style", "words"),
    [
        ("table", ("method", "---", "toy-good", "failed [", "Provenance: real")),
        ("markdown", ("### toy-transfer v1", "| method", "|:--", "| toy-good")),
        ("latex", (r"\begin{tabular}", r"\hline", "toy-good", r"\end{tabular}")),
    ],
)
def test_tables_for_people(toys, bench, style, words):
    done = bench("leaderboard", "--results", str(toys.results), "--format", style)
    assert (done.code, done.err) == (0, "")
    assert all(word in done.out for word in words), done.out
    value = next(
        row["value"]
        for row in bench("leaderboard", "--results", str(toys.results), "--format", "json").json["rows"]
        if (row["method"], row["cohort"], row["modality"]) == ("toy-good", "toy-lesion", "t1")
        and (row["metric"], row["level"], row["post"]) == ("ap", "voxel", "raw")
    )
    assert f"{value:.3f}" in done.out


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("--metric", "aurok"), "--metric 'aurok' is unknown: did you mean 'auroc'"),
        (("--level", "voxels"), "--level 'voxels' is unknown: did you mean 'voxel'"),
        (("--format", "markdwn"), "--format 'markdwn' is unknown: did you mean 'markdown'"),
        (("--post", "medain"), "--post 'medain' is unknown: did you mean 'median'"),
        (("--protocol", "toy-transfr"), "did you mean 'toy-transfer'"),
        (("--preset", "quik"), "did you mean 'quick'"),
        (("--format", "json", "--metric", "aurok"), "did you mean 'auroc'"),
        (("--format", "csv", "--preset", "quik"), "did you mean 'quick'"),
    ],
)
def test_unknown_words_are_usage_errors_with_a_suggestion(toys, bench, words, hint):
    done = bench("leaderboard", "--results", str(toys.results), *words)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("Error: ")
    assert hint in done.err
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize("style", ["table", "json", "csv"])
def test_no_results_is_a_usage_error(bench, tmp_path, style):
    done = bench("leaderboard", "--results", str(tmp_path), "--format", style)
    assert (done.code, done.out) == (2, "")
    assert f"no results in {tmp_path}: run `bench run` first" in done.err


def test_a_damaged_cell_is_shown_as_missing_not_as_a_number(toys, bench, tmp_path):
    shutil.copytree(toys.results, tmp_path / "copy")
    for path in (tmp_path / "copy").glob("runs/*/toy-good/toy-lesion-t1/*/metrics.json"):
        path.write_text("{")
    rows = bench("leaderboard", "--results", str(tmp_path / "copy"), "--format", "json").json["rows"]
    mine = [row for row in rows if (row["method"], row["cohort"], row["modality"]) == ("toy-good", "toy-lesion", "t1")]
    assert mine
    assert all(row["value"] is None and "metrics.json cannot be read" in row["reason"] for row in mine)


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("--methods", "toy-god"), "did you mean 'toy-good'"),
        (("--cohorts", "toy-lesions"), "did you mean 'toy-lesion'"),
        (("--workers", "-1"), "--workers -1: expected 1 or more"),
        (("--threads", "0"), "--threads 0: expected 1 or more"),
        (("--seeds", "0"), "--seeds 0: expected 1 or more"),
        (("--timeout", "0"), "--timeout 0: expected more than 0"),
        (("--memory-limit", "-2"), "--memory-limit -2: expected more than 0"),
    ],
)
def test_wrong_options_of_a_run_are_usage_errors(toys, bench, words, hint):
    done = bench(*toys.words, *words)
    assert (done.code, done.out) == (2, "")
    assert hint in done.err


def test_debug_adds_the_traceback_before_the_sentence(toys, bench):
    quiet = bench("leaderboard", "--results", str(toys.results), "--metric", "aurok")
    loud = bench("--debug", "leaderboard", "--results", str(toys.results), "--metric", "aurok")
    assert "Traceback" not in quiet.err
    assert "Traceback" in loud.err
    assert loud.err.splitlines()[-1] == quiet.err.strip()
    assert loud.code == quiet.code == 2


def test_interrupt_while_cases_are_prepared_ends_with_130_and_frees_the_results(toys, bench, monkeypatch, tmp_path):
    def stop(*words: object) -> None:
        raise KeyboardInterrupt

    words = [str(tmp_path / "results") if word == str(toys.results) else word for word in toys.words]
    with monkeypatch.context() as patch:
        patch.setattr("cerebench.plan.prepared.prepare_all", stop)
        done = bench(*words, "--methods", "toy-good")
    assert (done.code, done.out) == (130, "")
    assert "interrupted: what is finished is kept, and the same command goes on from there" in done.err
    assert bench(*words, "--methods", "toy-good").code == 0
