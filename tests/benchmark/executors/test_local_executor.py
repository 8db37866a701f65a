"""Worker processes in trouble: what a method does to its process costs the cell it is at, never the run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

import cerebench
from cerebench.boards import leaderboard_rows
from cerebench.executors import local

COLUMNS = {(cohort, modality) for cohort in ("toy-dwarf", "toy-healthy", "toy-lesion") for modality in ("t1", "t2")}


def cells(results: Path, method: str) -> dict[tuple[str, str], tuple[str, str]]:
    """(cohort, modality) → status and reason."""
    rows = [row for row in leaderboard_rows(results) if row["method"] == method]
    return {(row["cohort"], row["modality"]): (row["status"], row["reason"]) for row in rows}


def gone_within(seconds: float, processes: list[psutil.Process]) -> bool:
    """Whether all have ended in time (a zombie that nobody waits for has)."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        if not any(item.is_running() and item.status() != psutil.STATUS_ZOMBIE for item in processes if _there(item)):
            return True
        time.sleep(0.05)
    return False


def _there(process: psutil.Process) -> bool:
    return psutil.pid_exists(process.pid)


@pytest.fixture(scope="module")
def finished(trouble):
    """One run of every method that ends by itself, two workers at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cerebench.executors.local._EXIT_S", 0.5)
        patch.setenv("CEREBENCH_PLUGINS", "cerebench-toy*")
        methods = "trouble-column,trouble-prints,trouble-exits,trouble-thread,trouble-child,toy-good"
        begin = time.monotonic()
        result = cerebench.run(methods, "toy-*", **trouble.options(workers=2, timeout_s=100))
        yield result, time.monotonic() - begin
    for note in trouble.notes.glob("child-*"):
        os.kill(int(note.name.partition("-")[2]), signal.SIGKILL)


def test_crash_on_one_column_costs_that_column_only(finished):
    result, _ = finished
    found = cells(result.results, "trouble-column")
    assert set(found) == COLUMNS
    bad = {column for column, (status, _) in found.items() if status != "ok"}
    assert bad == {("toy-dwarf", "t1"), ("toy-dwarf", "t2")}
    assert all("was ended by SIGSEGV" in found[column][1] for column in bad)


def test_megabytes_of_output_neither_block_a_worker_nor_reach_the_screen(finished, capfd):
    result, _ = finished
    assert {status for status, _ in cells(result.results, "trouble-prints").values()} == {"ok"}
    captured = capfd.readouterr()
    assert "out out" not in captured.out
    assert "err err" not in captured.err


def test_exit_inside_a_method_is_a_failed_cell(finished):
    result, _ = finished
    found = cells(result.results, "trouble-exits")
    assert set(found) == COLUMNS
    assert all(status == "failed" and "raised SystemExit at methods.py" in reason for status, reason in found.values())


def test_threads_left_behind_do_not_keep_the_run_waiting(finished):
    result, seconds = finished
    assert {status for status, _ in cells(result.results, "trouble-thread").values()} == {"ok"}
    assert seconds < 90


def test_a_child_that_outlives_its_worker_does_not_keep_the_run_waiting(finished, trouble):
    result, seconds = finished
    found = cells(result.results, "trouble-child")
    assert {status for status, _ in found.values()} == {"failed"}
    assert all("ended with exit code 7" in reason for _, reason in found.values())
    assert list(trouble.notes.glob("child-*"))
    assert seconds < 90


def test_nothing_temporary_is_left_and_the_good_method_is_complete(finished):
    result, _ = finished
    assert cells(result.results, "toy-good") == dict.fromkeys(COLUMNS, ("ok", ""))
    assert result.exit_code == 1
    assert not list(result.results.rglob(".tmp-*"))


def test_one_process_and_workers_write_the_same_bytes(finished, trouble):
    result, _ = finished
    alone = cerebench.run("toy-good", "toy-*", **trouble.options(in_process=True, results=trouble.results("alone")))
    assert alone.exit_code == 0
    expected = {path.relative_to(alone.results): path.read_bytes() for path in alone.results.rglob("cases.parquet")}
    found = {path.relative_to(result.results): path.read_bytes() for path in result.results.rglob("cases.parquet")}
    assert len(expected) == len(COLUMNS)
    assert {path: found[path] for path in expected} == expected


def test_exit_inside_a_method_does_not_end_a_run_in_one_process(trouble):
    options = trouble.options(in_process=True, results=trouble.results("exits"))
    result = cerebench.run("trouble-exits,toy-good", "toy-lesion", **options)
    assert result.exit_code == 1
    assert cells(result.results, "toy-good") == {("toy-lesion", name): ("ok", "") for name in ("t1", "t2")}


def test_two_devices_run_two_workers_at_once(trouble, monkeypatch):
    monkeypatch.setattr("cerebench.loop.device.devices", lambda word: ["cpu", "cpu"])
    result = cerebench.run("trouble-sleeps", "toy-lesion", **trouble.options(workers=1, results=trouble.results("two")))
    assert result.exit_code == 0
    spans = [
        [tuple(map(float, line.split())) for line in note.read_text().splitlines()]
        for note in sorted(trouble.notes.glob("sleeps-*"))
    ]
    assert len(spans) == 2  # one worker a job, one job a modality
    first, second = ((min(begin for begin, _ in part), max(end for _, end in part)) for part in spans)
    assert max(first[0], second[0]) < min(first[1], second[1])


def test_workers_see_the_environment_of_the_run_not_of_the_server_s_start(trouble, monkeypatch, tmp_path):
    monkeypatch.setenv("TROUBLE_NOTES", str(tmp_path))
    monkeypatch.setenv("CEREBENCH_WRITABLE", str(tmp_path))
    monkeypatch.setenv("TROUBLE_SECONDS", "0")
    cerebench.run("trouble-sleeps", "toy-lesion", **trouble.options(results=tmp_path / "results"))
    assert list(tmp_path.glob("sleeps-*"))


SCRIPT = """
import json
import sys
import cerebench

print("the script runs", flush=True)
options = json.loads(sys.argv[1])
print("good:", cerebench.run("toy-good", "toy-lesion", **options).exit_code, flush=True)
cerebench.run("trouble-sleeps", "toy-lesion", timeout_s=3000, **options)
"""


def test_a_script_without_guard_runs_once_and_leaves_no_process_when_killed(trouble, tmp_path, monkeypatch):
    monkeypatch.setenv("TROUBLE_NOTES", str(tmp_path))
    monkeypatch.setenv("CEREBENCH_WRITABLE", str(tmp_path))
    monkeypatch.setenv("TROUBLE_SECONDS", "600")
    (tmp_path / "script.py").write_text(SCRIPT)
    options = json.dumps(trouble.options(results=tmp_path / "results"), default=str)
    with (tmp_path / "out").open("w") as out:
        parent = subprocess.Popen([sys.executable, str(tmp_path / "script.py"), options], stdout=out, stderr=out)
    limit = time.monotonic() + 60
    while not list(tmp_path.glob("sleeps-*")) and time.monotonic() < limit and parent.poll() is None:
        time.sleep(0.1)
    workers = {int(path.name.partition("-")[2]) for path in tmp_path.glob("sleeps-*")}
    assert workers, (tmp_path / "out").read_text()
    children = psutil.Process(parent.pid).children(recursive=True)
    assert workers <= {child.pid for child in children}
    parent.kill()
    parent.wait(10)
    assert gone_within(15, children)
    assert (tmp_path / "out").read_text().splitlines() == ["the script runs", "good: 0"]


def job(*stages: str) -> SimpleNamespace:
    return SimpleNamespace(stages=[SimpleNamespace(path=path) for path in stages])


def test_a_free_worker_takes_no_job_whose_training_another_one_is_at():
    shared, other = job("pretrain/a", "fit/b"), job("fit/c")
    waiting = [shared, other]
    at_work = [SimpleNamespace(training={"pretrain/a", "fit/a"})]
    assert local._next_job(waiting, at_work) is other
    assert local._next_job(waiting, at_work) is None
    assert waiting == [shared]
    at_work[0].training.discard("pretrain/a")  # it is there now
    assert local._next_job(waiting, at_work) is shared
    assert local._next_job(waiting, []) is None


def test_a_worker_that_says_nothing_is_ended_and_the_cell_it_should_have_begun_says_why(trouble, monkeypatch):
    from cerebench_toy_trouble.methods import sleep_whatever_is_asked  # only on the path while the world is there

    monkeypatch.setattr(local, "_SILENT_S", 1.0)
    monkeypatch.setattr(local, "_main", sleep_whatever_is_asked)
    result = cerebench.run("toy-good", "toy-lesion", **trouble.options(results=trouble.results("deaf"), workers=2))
    found = cells(result.results, "toy-good")
    assert {status for status, _ in found.values()} == {"timeout"}
    assert all("began no cell within 1 s" in reason for _, reason in found.values())
