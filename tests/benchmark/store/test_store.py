"""The results folder: whole cells or none, whatever ends a writer and whoever writes beside it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from cerebench.errors import UsageError
from cerebench.jsonio import read_json, write_json
from cerebench.store import Store, status_record

CELL = "runs/p@1/method/cohort-t1/seed0-12345678"


def write(store: Store, path: str = CELL, text: str = "rows") -> None:
    with store.writing(path) as folder:
        (folder / "cases.txt").write_text(text)
        write_json(folder / "status.json", status_record("ok"))


def leftovers(store: Store) -> list[Path]:
    return sorted(store.root.rglob(".tmp-*"))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results")


def test_a_cell_appears_whole_and_at_the_end(store):
    with store.writing(CELL) as folder:
        (folder / "cases.txt").write_text("rows")
        assert not store.path(CELL).exists()
        write_json(folder / "status.json", status_record("ok"))
        assert store.status(CELL) is None
    assert store.done(CELL)
    assert (store.path(CELL) / "cases.txt").read_text() == "rows"
    assert store.path(CELL).stat().st_mode & 0o777 == 0o755
    assert leftovers(store) == []


def test_an_exception_leaves_nothing(store):
    def interrupted() -> None:
        with store.writing(CELL) as folder:
            write_json(folder / "status.json", status_record("ok"))
            raise KeyError("in the middle")

    with pytest.raises(KeyError):
        interrupted()
    assert not store.done(CELL)
    assert not store.path(CELL).exists()
    assert leftovers(store) == []


KILLED = """
import os, signal, sys
from pathlib import Path
from cerebench import store as module
from cerebench.jsonio import write_json

store, moment = module.Store(Path(sys.argv[1])), sys.argv[2]
end = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
if moment == "sync":
    module._sync = end
elif moment == "rename":
    module.Store._replace = end
with store.writing(sys.argv[3]) as folder:
    (folder / "cases.txt").write_text("half")
    if moment == "write":
        end()
    write_json(folder / "status.json", module.status_record("ok"))
"""


@pytest.mark.parametrize("moment", ["write", "sync", "rename"])
def test_a_killed_writer_leaves_nothing_that_counts_and_its_rest_is_swept(store, moment):
    store.record_failure(CELL, "failed", "the first try")
    done = subprocess.run([sys.executable, "-c", KILLED, str(store.root), moment, CELL], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not store.done(CELL)
    status = store.status(CELL)
    assert status is not None
    assert status["reason"] == "the first try"
    assert len(leftovers(store)) == 1
    store.sweep()
    assert leftovers(store) == []
    write(store)
    assert store.done(CELL)


def test_a_failure_is_kept_shown_and_replaced_by_success(store):
    store.record_failure(CELL, "oom", "ran out", detail="Traceback …")
    assert not store.done(CELL)
    assert store.status(CELL) == {"schema_version": 1, "status": "oom", "reason": "ran out"}
    assert (store.path(CELL) / "log.txt").read_text() == "Traceback …"
    store.record_failure(CELL, "failed", "again")
    assert store.status(CELL)["reason"] == "again"
    write(store)
    assert store.done(CELL)
    assert sorted(path.name for path in store.path(CELL).iterdir()) == ["cases.txt", "status.json"]
    store.record_failure(CELL, "timeout", "a late report")
    assert store.done(CELL)


def test_the_first_of_two_writers_wins_and_the_second_does_no_harm(store):
    with store.writing(CELL) as folder:
        write_json(folder / "status.json", status_record("ok"))
        write(store, text="first")
    assert (store.path(CELL) / "cases.txt").read_text() == "first"
    assert leftovers(store) == []


def test_many_writers_at_once_leave_one_whole_cell(store):
    faults: list[BaseException] = []
    ready = threading.Barrier(8)

    def work(number: int) -> None:
        ready.wait()
        try:
            if number % 2:
                store.record_failure(CELL, "failed", f"writer {number}")
            write(store, text=f"writer {number}")
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert store.done(CELL)
    assert (store.path(CELL) / "cases.txt").read_text().startswith("writer")
    assert leftovers(store) == []


@pytest.mark.parametrize("path", ["../outside", "runs/../../outside", "/tmp/outside"])
def test_paths_that_leave_the_folder_are_refused(store, path):
    for call in (store.path, store.status, store.done, lambda p: store.record_failure(p, "failed", "x")):
        with pytest.raises(UsageError, match="leaves the results folder"):
            call(path)
    with pytest.raises(UsageError, match="leaves the results folder"), store.writing(path):
        pass


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"schema_version": 1}', "null"])
def test_a_damaged_status_means_not_finished(store, text):
    write(store)
    (store.path(CELL) / "status.json").write_text(text)
    assert store.status(CELL) is None
    assert not store.done(CELL)
    write(store)
    assert store.done(CELL)


def test_the_lock_names_the_other_run_and_ends_with_it(store):
    with (
        store.lock(),
        pytest.raises(UsageError, match=rf"in use by another run \(process {os.getpid()}\)"),
        Store(store.root).lock(),
    ):
        pass
    with Store(store.root).lock():
        pass


def test_a_killed_run_holds_no_lock(store):
    code = "import sys,time; from pathlib import Path; from cerebench.store import Store\n"
    code += "with Store(Path(sys.argv[1])).lock(): print('held', flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code, str(store.root)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(UsageError, match=f"process {process.pid}"), store.lock():
            pass
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    with store.lock():
        pass


def test_an_unwritable_folder_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("x")
    words = r"cannot be written .* give a writable --results folder"
    with pytest.raises(UsageError, match=words), Store(tmp_path / "file" / "results").lock():
        pass


def test_json_is_replaced_whole(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"value": 1})
    with pytest.raises(ValueError):
        write_json(path, {"value": float("nan")})
    assert read_json(path) == {"value": 1}
    assert list(tmp_path.iterdir()) == [path]
