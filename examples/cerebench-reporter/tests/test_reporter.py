"""What the reporter writes of a run."""

import csv

import pytest
from cerebench_reporter.reporter import COLUMNS, CsvReporter

from cerebench.errors import UsageError
from cerebench.plugins.registry import Registry
from cerebench.testing import mock_events, tell


def rows(path):
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_one_row_for_each_evaluation(tmp_path):
    tell(CsvReporter(), mock_events(tmp_path))
    good, bad = rows(tmp_path / "cells.csv")
    assert tuple(good) == COLUMNS
    assert (good["method"], good["cohort"], good["status"], good["value"]) == ("good", "mock-cohort", "ok", "0.25")
    assert (bad["method"], bad["status"], bad["value"]) == ("bad", "failed", "")
    assert "KeyError" in bad["reason"]


def test_rows_are_there_at_once_and_each_run_begins_anew(tmp_path):
    settings = CsvReporter.settings_for("csv", {"path": str(tmp_path / "new" / "night.csv"), "metric": "auroc"})
    for _ in range(2):
        reporter, events = CsvReporter(settings), mock_events(tmp_path)
        tell(reporter, events[:6])
        (row,) = rows(tmp_path / "new" / "night.csv")
        assert (row["metric"], row["value"]) == ("auroc", "")
        tell(reporter, events[6:])
        assert len(rows(tmp_path / "new" / "night.csv")) == 2


def test_it_is_registered():
    assert Registry.discover().load_reporter("csv") is CsvReporter


def test_a_wrong_setting_is_named():
    with pytest.raises(UsageError, match="reporter 'csv' has no setting 'pth': did you mean 'path'"):
        CsvReporter.settings_for("csv", {"pth": "x"})
