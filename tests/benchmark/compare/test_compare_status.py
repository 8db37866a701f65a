"""Lost and new cells, and runs that must not be compared or say nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from cerebench.compare.accepted import load
from cerebench.compare.engine import compare
from cerebench.compare.report import Report
from cerebench.errors import UsageError


def judged(old, new) -> Report:
    return compare(load(old.root), load(new.root))


def test_a_cohort_that_now_fails_is_named_with_its_reason(folder) -> None:
    old = folder("old").add().add(cohort="there")
    new = folder("new").add().add(cohort="there", status="failed", reason="mask.nii.gz cannot be read")
    report = judged(old, new)
    assert report.exit_code == 1
    (found,) = report.findings
    assert (found.kind, found.subject) == ("regression", "cell")
    assert found.text == "one on there t1 seed 0: now failed: mask.nii.gz cannot be read"


@pytest.mark.parametrize("how", ["dropped", "skipped", "missing", "timeout"])
def test_a_lost_cell_is_a_regression(folder, how) -> None:
    old = folder("old").add().add(cohort="there")
    new = folder("new").add()
    if how != "dropped":
        new.add(cohort="there", status=how, reason="because")
    report = judged(old, new)
    assert report.exit_code == 1
    assert report.findings[0].cells == ("there t1 seed 0",)


def test_what_fails_as_before_is_a_note_and_what_finishes_again_an_improvement(folder) -> None:
    old = folder("old").add().add(cohort="a", status="failed").add(cohort="b", status="failed")
    new = folder("new").add().add(cohort="a", status="failed").add(cohort="b")
    report = judged(old, new)
    assert report.exit_code == 0
    assert [(one.kind, one.cells) for one in report.findings] == [("improvement", ("b t1 seed 0",))]
    assert "1 cells fail as they did in the baseline" in report.notes


def test_new_cells_are_a_note(folder) -> None:
    report = judged(folder("old").add(), folder("new").add().add("two"))
    assert report.exit_code == 0
    assert "1 finished cells are new" in report.notes[0]


@pytest.mark.parametrize(
    ("about", "word"),
    [
        ({"protocol_version": 2}, "version 1 in the baseline, 2 now"),
        ({"preset": "quick"}, "preset nightly in the baseline, quick now"),
    ],
)
def test_another_version_or_preset_is_never_compared(folder, about, word) -> None:
    report = judged(folder("old").add(), folder("new", **about).add())
    assert report.exit_code == 2
    assert word in report.verdict
    assert (report.compared, report.findings) == (0, ())


@pytest.mark.parametrize(
    ("planted", "word"),
    [
        ({"provenance": "real"}, "provenance in-silico in the baseline, real now"),
        ({"version": 4}, "metrics of version 3 in the baseline, 4 now"),
        ({"data": "other"}, "not the same cases (tested)"),
    ],
)
def test_other_data_or_metrics_are_never_compared(folder, planted, word) -> None:
    report = judged(folder("old").add(), folder("new").add(**planted))
    assert (report.exit_code, report.compared) == (2, 0)
    assert word in report.verdict


def test_twins_of_other_bytes_from_another_machine_are_compared_with_a_note(folder, machine) -> None:
    report = judged(folder("old").add(), folder("new").add(data="other", machine={**machine, "name": "Other chip"}))
    assert (report.compared, report.exact) == (1, 0)
    assert "1 cells have in-silico twins of other bytes" in report.notes[0]


def test_other_real_data_are_refused_on_every_machine(folder, machine) -> None:
    old = folder("old").add(provenance="real")
    new = folder("new").add(provenance="real", data="other", machine={**machine, "name": "Other chip"})
    assert judged(old, new).exit_code == 2


def test_another_preparation_is_never_compared(folder) -> None:
    report = judged(folder("old").add(), folder("new", preparation="1").add())
    assert (report.exit_code, report.compared) == (2, 0)


def test_a_regression_beside_something_incomparable_is_still_a_regression(folder, usual) -> None:
    worse = {name: value - 0.1 for name, value in usual("here").items()}
    old = folder("old").add().add("two")
    report = judged(old, folder("new").add(values=worse).add("two", data="other"))
    assert report.exit_code == 1
    assert len(report.incomparable) == 1


def test_an_all_skipped_and_an_empty_run_say_nothing(folder) -> None:
    old = folder("old").add()
    report = judged(old, folder("new").add(status="skipped", reason="no healthy source"))
    assert report.exit_code == 3
    assert "every cell was skipped" in report.verdict
    assert "no healthy source" in report.verdict
    empty = folder("empty")
    (empty.root / "runs").mkdir(parents=True)
    assert judged(old, empty).exit_code == 3
    assert "there is no cell" in judged(old, empty).verdict
    assert judged(empty, old).exit_code == 3


def test_an_interrupted_run_without_results_says_nothing(folder) -> None:
    report = judged(folder("old").add(), folder("new").add(status="missing"))
    assert report.exit_code == 3


def test_a_wrong_path_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no folder"):
        load(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="neither runs/ nor an accepted baseline"):
        load(tmp_path)
