"""Runs in worker processes: locks, signals, kills. What hostile methods come to: ``test_hostile_plugins.py``."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

import cerebench
from cerebench.errors import UsageError
from cerebench.store import Store


def command(world, *words: str) -> list[str]:
    options = ["--protocols", "toy-transfer", "--cohorts", "toy-*", "--data-root", str(world.data), "--device", "cpu"]
    options += ["--cards", str(world.cards), "--results", str(world.results)]
    return [sys.executable, "-c", "from cerebench.cli.main import main; main()", "run", *words, *options]


def test_two_runs_on_one_folder_are_refused(world):
    words = f"in use by another run \\(process {os.getpid()}\\)"
    with Store(world.results).lock(), pytest.raises(UsageError, match=words):
        cerebench.run("toy-good", "toy-*", **world.options())


def test_unwritable_results_folder_is_named(world, tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        cerebench.run("toy-good", "toy-*", **world.options(results=blocker / "results"))


def test_interrupt_ends_with_130_and_a_rerun_completes(world):
    # a shell that starts the tests in the background makes all of them ignore the signal
    process = subprocess.Popen(
        command(world, "--methods", "toy-good,toy-hangs"),
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "on toy-lesion-t2: ok" in line:
            break
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    process.stderr.close()
    done = {path: path.stat().st_mtime_ns for path in world.results.rglob("cases.parquet")}
    assert done
    assert cerebench.run("toy-good", "toy-*", **world.options(in_process=True)).exit_code == 0
    assert {path: path.stat().st_mtime_ns for path in done} == done


@pytest.mark.slow
def test_twenty_kills_lose_nothing_and_repeat_nothing(world, tmp_path):
    words = ("--methods", "toy-good,toy-good[power=1],toy-good[power=3],toy-feature-*,toy-adapted")
    whole = world.options(results=tmp_path / "whole")
    methods = words[1]
    cerebench.run(methods, "toy-*", **whole)
    expected = {
        path.relative_to(tmp_path / "whole"): path.read_bytes() for path in (tmp_path / "whole").rglob("cases.parquet")
    }
    assert expected
    finished: dict[str, int] = {}
    import random

    rng = random.Random(7)
    for _ in range(20):
        process = subprocess.Popen(command(world, *words), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        time.sleep(rng.uniform(2, 14))
        process.kill()
        process.wait()
        time.sleep(0.3)
        now = {
            str(path): path.stat().st_ino for path in world.results.rglob("cases.parquet") if ".tmp-" not in str(path)
        }
        assert all(now.get(path) == inode for path, inode in finished.items())  # nothing finished is done again
        finished = now
    assert subprocess.run(command(world, *words), check=False, capture_output=True).returncode == 0
    found = {path.relative_to(world.results): path.read_bytes() for path in world.results.rglob("cases.parquet")}
    assert found == expected
