"""Events: frozen, and JSON without loss."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError
from datetime import UTC, datetime, timedelta

import pytest

from cerebench.reporting.events import RunFinished
from cerebench.testing import mock_events


def test_events_are_json_and_say_what_they_are(tmp_path):
    events = mock_events(tmp_path)
    told = [json.loads(json.dumps(event.to_json(), allow_nan=False)) for event in events]
    assert [line["event"] for line in told] == [event.name for event in events]
    assert told[0]["tables"][0]["methods"] == ["bad", "good"]
    assert told[0]["provenance"] == {"cerebench": "0.1.0", "libraries": {"torch": "2"}}
    assert told[4]["cell"]["cohort"] == "mock-cohort"
    assert told[4]["values"] == {"voxel/raw/ap": 0.25, "subject/score": None}
    average = {"level": "voxel", "post": "raw", "metric": "ap", "value": 0.25, "low": 0.125, "high": 0.5, "n_cases": 1}
    assert told[5]["metrics"][0] == average
    assert told[7]["problems"] == [["bad on mock-cohort t1", told[6]["reason"]]]
    age = datetime.now(UTC) - datetime.fromisoformat(told[0]["time"])
    assert timedelta(0) <= age + timedelta(milliseconds=1) < timedelta(minutes=1)


def test_events_are_frozen_to_the_bottom(tmp_path):
    start, *_, case, _, _, _ = mock_events(tmp_path)
    with pytest.raises(FrozenInstanceError):
        case.case = "p2"
    with pytest.raises(TypeError):
        case.values["voxel/raw/ap"] = 1.0
    with pytest.raises(TypeError):
        start.provenance["libraries"]["torch"] = "3"


def test_what_an_event_was_made_of_may_change_later():
    counts = {"ok": 1}
    event = RunFinished("run-1", "finished", counts, 1, (), 1.0)
    counts["ok"] = 2
    assert event.counts["ok"] == 1
