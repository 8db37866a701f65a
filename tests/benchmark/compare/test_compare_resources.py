"""Time and memory: ratios on the same device, beyond what one cell or a busy machine explains."""

from __future__ import annotations

import pytest

from cerebench.compare.accepted import load
from cerebench.compare.engine import compare
from cerebench.compare.report import Report
from cerebench.jsonio import read_json, write_json


def judged(old, new) -> Report:
    return compare(load(old.root), load(new.root))


def board(folder, name, seconds, **more):
    """Three columns a method, with seconds by method."""
    side = folder(name)
    for method, predict in seconds.items():
        for cohort in ("a", "b", "c"):
            side.add(method, cohort, predict=predict, **more)
    return side


def test_a_method_one_and_a_half_times_slower_is_named(folder) -> None:
    report = judged(board(folder, "old", {"x": 4.0, "y": 4.0}), board(folder, "new", {"x": 4.0, "y": 6.0}))
    assert report.exit_code == 1
    (found,) = report.of("regression")
    assert (found.method, found.subject, found.what) == ("y", "time", "predict seconds")
    assert found.difference == pytest.approx(1.5)


def test_a_method_twice_as_fast_is_an_improvement(folder) -> None:
    report = judged(board(folder, "old", {"x": 4.0}), board(folder, "new", {"x": 2.0}))
    assert (report.exit_code, [one.method for one in report.of("improvement")]) == (0, ["x"])


def test_one_slow_cell_is_no_slow_method(folder) -> None:
    new = folder("new").add("x", "a", predict=40.0).add("x", "b", predict=4.0).add("x", "c", predict=4.0)
    assert judged(board(folder, "old", {"x": 4.0}), new).exit_code == 0


def test_fractions_of_a_second_are_noise(folder) -> None:
    assert judged(board(folder, "old", {"x": 0.1}), board(folder, "new", {"x": 0.3})).exit_code == 0


def test_longer_training_is_named(folder) -> None:
    old, new = board(folder, "old", {"x": 4.0}), board(folder, "new", {"x": 4.0}, training=31.0)
    (found,) = judged(old, new).of("regression")
    assert (found.what, found.n) == ("training seconds", 1)  # three cells share one training


def test_a_slow_night_is_told_once_and_a_slow_method_still_stands_out(folder) -> None:
    names = [f"m{index}" for index in range(6)]
    old = board(folder, "old", dict.fromkeys(names, 4.0))
    new = board(folder, "new", {**dict.fromkeys(names, 6.0), "m3": 12.0})
    found = judged(old, new).of("regression")
    assert [one.method for one in found] == ["", "m3"]
    assert "the whole run" in found[0].text


def test_another_device_has_no_times(folder, machine) -> None:
    old = board(folder, "old", {"x": 4.0})
    new = board(folder, "new", {"x": 40.0}, machine={**machine, "cores": 64})
    report = judged(old, new)
    assert report.exit_code == 0
    assert any("time and memory of 3 cells not compared" in note for note in report.notes)


def test_waiting_for_a_busy_machine_is_not_counted(folder) -> None:
    old, new = board(folder, "old", {"x": 4.0}), board(folder, "new", {"x": 9.0})
    for path in new.store.runs.rglob("timing.json"):
        write_json(path, {**read_json(path), "waiting": {"predict": 5.0}})
    assert judged(old, new).exit_code == 0


def test_much_more_memory_is_named(folder) -> None:
    report = judged(board(folder, "old", {"x": 4.0}), board(folder, "new", {"x": 4.0}, rss=2**30))
    assert [one.what for one in report.of("regression")] == ["peak memory (rss)"]
    little = judged(board(folder, "a", {"x": 4.0}, rss=2**20), board(folder, "b", {"x": 4.0}, rss=2**22))
    assert little.exit_code == 0
