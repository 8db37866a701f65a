"""The reporter ``jsonl``."""

from __future__ import annotations

import json

from cerebench.reporting.jsonl import JsonLines
from cerebench.testing import mock_events, tell


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_every_event_is_a_line_at_once(tmp_path):
    reporter, told = JsonLines(), mock_events(tmp_path / "results")
    for count, event in enumerate(told, 1):
        tell(reporter, [event])
        assert len(lines(tmp_path / "results" / "events.jsonl")) == count
    assert lines(tmp_path / "results" / "events.jsonl") == [event.to_json() for event in told]


def test_runs_follow_each_other_in_a_file_of_choice(tmp_path):
    path = tmp_path / "new" / "runs.jsonl"
    for run in ("run-1", "run-2"):
        tell(JsonLines(JsonLines.settings_for("jsonl", {"path": str(path)})), mock_events(tmp_path / "results", run))
    assert [line["run"] for line in lines(path)] == ["run-1"] * 8 + ["run-2"] * 8
    assert not (tmp_path / "results").exists()
