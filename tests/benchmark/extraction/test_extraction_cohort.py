"""A whole cohort: what is done, done again, not done, and what a killed run leaves. The steps are stood in for."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from cerebench.cohorts.reader import MARKER, PREPARED_MARKER, read_cohort
from cerebench.errors import UsageError
from cerebench.extraction import cohort as module
from cerebench.extraction.cohort import prepare_cohort, source_folder
from cerebench.extraction.settings import Options

OPTIONS = Options()


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out" / "heads"


def pids(report):
    return {name: record["by"] for name, record in {**report.present, **report.done}.items()}


def test_every_case_is_done_in_a_process_of_its_own(small_listing, toy, out):
    seen = []
    report = prepare_cohort(
        small_listing("a", "b", "c"), out, OPTIONS, toy, workers=2, progress=lambda *what: seen.append(what)
    )
    assert sorted(report.done) == ["a", "b", "c"]
    assert report.faults == {}
    assert report.present == {}
    assert len(set(pids(report).values()) | {os.getpid()}) == 4
    assert [done for done, _, _ in seen] == [0, 1, 2, 3]
    assert {total for _, total, _ in seen} == {3}


def test_the_result_is_the_cohort_without_skull(small_listing, toy, out):
    listing = small_listing("a", "b")
    assert listing.unready == ("a", "b")
    prepare_cohort(listing, out, OPTIONS, toy)
    again = read_cohort(listing.card, out)
    assert [case.id for case in again.cases] == ["a", "b"]
    assert again.unready == ()
    assert again.policy.skull_stripped
    assert again.provenance == "real"
    marker = json.loads((out / PREPARED_MARKER).read_text())
    assert marker["cohort"] == "heads"
    assert marker["skull_stripped"] is True
    assert marker["spacing_mm"] == 1.0
    assert marker["complete"] is True
    assert marker["cases"] == 2
    assert (out / "quality" / "index.html").is_file()


def test_finished_cases_are_not_done_again(small_listing, toy, out):
    listing = small_listing("a", "b")
    first = prepare_cohort(listing, out, OPTIONS, toy)
    second = prepare_cohort(listing, out, OPTIONS, toy)
    assert sorted(second.present) == ["a", "b"]
    assert second.done == {}
    assert pids(second) == pids(first)


@pytest.mark.parametrize("change", ["source", "output damaged", "output gone", "record damaged", "numbers", "version"])
def test_whatever_no_longer_fits_is_done_again(small_listing, toy, out, change, monkeypatch, helpers):
    import numpy as np

    listing = small_listing("a", "b")
    prepare_cohort(listing, out, OPTIONS, toy)
    if change == "source":
        helpers.save(listing.cases[0].images["t1"], np.ones((8, 8, 8), np.uint8), np.eye(4))
    elif change == "output damaged":
        content = bytearray((out / "a" / "t1.nii.gz").read_bytes())
        content[-1] ^= 1  # the same size
        (out / "a" / "t1.nii.gz").write_bytes(content)
    elif change == "output gone":
        (out / "a" / "lesion.nii.gz").unlink()
    elif change == "record damaged":
        (out / "records" / "a.json").write_text("{")
    else:
        from cerebench.extraction import records

        if change == "version":
            monkeypatch.setattr(records, "EXTRACTION_VERSION", 99)
        else:
            monkeypatch.setattr(records, "NUMBERS", replace(records.NUMBERS, margin_mm=9.0))
    report = prepare_cohort(listing, out, OPTIONS, toy, dry_run=True)
    assert report.waiting == (("a",) if change not in ("numbers", "version") else ("a", "b"))


def test_transforms_asked_for_later_make_the_case_again(small_listing, toy, out):
    listing = small_listing("a")
    prepare_cohort(listing, out, OPTIONS, toy)
    report = prepare_cohort(listing, out, Options(keep_transforms=True), toy)
    assert list(report.done) == ["a"]
    assert list(prepare_cohort(listing, out, OPTIONS, toy).present) == ["a"]


def test_outputs_that_a_case_no_longer_has_are_removed(small_listing, toy, out):
    listing = small_listing("a")
    prepare_cohort(listing, out, OPTIONS, toy)
    assert (out / "a" / "lesion.nii.gz").is_file()
    without = replace(listing, cases=(replace(listing.cases[0], mask=None),))
    prepare_cohort(without, out, OPTIONS, toy)
    assert not (out / "a" / "lesion.nii.gz").exists()
    assert (out / "a" / "t1.nii.gz").is_file()


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("fault", "case b of heads: the head is upside down"),
        ("bug", "case b of heads: extraction failed with ZeroDivisionError: oops"),
        ("crash", "case b of heads: the process that extracted it ended by signal SIGSEGV"),
    ],
)
def test_a_fault_stops_no_other_case(small_listing, toy, out, tmp_path, what, words):
    listing = small_listing("a", "b", "c")
    (tmp_path / "data" / "b.do").write_text(what)
    report = prepare_cohort(listing, out, OPTIONS, toy, workers=2)
    assert sorted(report.done) == ["a", "c"]
    assert list(report.faults) == ["b"]
    assert str(report.faults["b"]).startswith(words)
    marker = json.loads((out / PREPARED_MARKER).read_text())
    assert (marker["complete"], marker["cases"], marker["faults"]) == (False, 2, ["b"])
    (tmp_path / "data" / "b.do").unlink()
    again = prepare_cohort(listing, out, OPTIONS, toy)
    assert (sorted(again.present), list(again.done)) == (["a", "c"], ["b"])
    assert json.loads((out / PREPARED_MARKER).read_text())["complete"] is True


def test_a_missing_source_is_the_fault_of_its_case(small_listing, toy, out):
    listing = small_listing("a", "b")
    listing.cases[0].images["t1"].unlink()
    report = prepare_cohort(listing, out, OPTIONS, toy)
    assert list(report.done) == ["b"]
    assert "the file is missing" in str(report.faults["a"])


def test_a_part_of_the_cohort_is_not_complete(small_listing, toy, out):
    prepare_cohort(small_listing("a", "b"), out, OPTIONS, toy, cases=["b"])
    assert json.loads((out / PREPARED_MARKER).read_text())["complete"] is False
    assert not (out / "a").exists()


def test_a_dry_run_writes_nothing(small_listing, toy, out):
    report = prepare_cohort(small_listing("a", "b"), out, OPTIONS, toy, dry_run=True)
    assert report.waiting == ("a", "b")
    assert not out.exists()


def test_trees_are_not_mixed(small_listing, toy, out, tmp_path):
    listing = small_listing("a")
    prepare_cohort(listing, out, OPTIONS, toy)
    with pytest.raises(UsageError, match=r"prepared with spacing_mm 1.0, asked for is 2.0: choose another --out"):
        prepare_cohort(listing, out, Options(spacing_mm=2.0), toy)
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="choose another --out or an empty folder"):
        prepare_cohort(listing, foreign, OPTIONS, toy)
    assert [path.name for path in foreign.iterdir()] == ["thesis.txt"]


def test_without_ants_nothing_is_begun(small_listing, toy, out, monkeypatch):
    def missing():
        raise UsageError("pip install 'cerebench[prepare]'")

    monkeypatch.setattr(module, "require_ants", missing)
    with pytest.raises(UsageError, match=r"cerebench\[prepare\]"):
        prepare_cohort(small_listing("a"), out, OPTIONS, toy)
    assert not out.exists()


def test_provenance_and_tables_go_with_the_images(small_listing, toy, out):
    root = small_listing("a").root
    (root / MARKER).write_text(json.dumps({"cohort": "heads", "skull_stripped": False}))
    (root / "meta").mkdir()
    (root / "meta" / "t.csv").write_text("id,diagnosis\na,x\n")
    table = {"file": "meta/t.csv", "columns": {"patient": "id"}, "covariates": {"diagnosis": "diagnosis"}}
    listing = small_listing("a", table=table)
    assert listing.provenance == "in-silico"
    prepare_cohort(listing, out, OPTIONS, toy)
    again = read_cohort(listing.card, out)
    assert again.provenance == "in-silico"
    assert again.policy.skull_stripped
    assert again.cases[0].covariates == {"diagnosis": "x"}


def test_the_source_is_never_the_prepared_copy(small_listing, toy, tmp_path):
    listing = small_listing("a")
    data = tmp_path / "data"
    prepare_cohort(listing, data / "prepared" / "heads", OPTIONS, toy)
    assert source_folder(listing.card, data) == data / "heads"
    assert source_folder(listing.card, data / "heads") == data / "heads"
    assert source_folder(listing.card, data / "prepared" / "heads" / "a") is None


SCRIPT = """
import sys
from pathlib import Path

sys.path.insert(0, sys.argv[1])
from cerebench.cohorts.card import load_card
from cerebench.cohorts.reader import read_cohort
from cerebench.extraction import cohort
from cerebench.extraction.settings import Options
from toy_extract import extract

cohort.require_ants = lambda: None
base = Path(sys.argv[1])
listing = read_cohort(load_card(base / "heads.yaml"), base / "data" / "heads")
cohort.prepare_cohort(listing, base / "out" / "heads", Options(), extract, workers=1)
"""


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_for(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def test_a_killed_run_goes_on_where_it_was(small_listing, toy, out, tmp_path):
    listing = small_listing("a", "b", "c")
    data = tmp_path / "data"
    (data / "b.do").write_text("slow")
    (tmp_path / "run.py").write_text(SCRIPT)
    run = subprocess.Popen([sys.executable, str(tmp_path / "run.py"), str(tmp_path)])
    try:
        wait_for((data / "b.pid").is_file)
        wait_for(lambda: (data / "b.pid").read_text() != "")
        worker = int((data / "b.pid").read_text())
        assert alive(worker)
    finally:
        run.send_signal(signal.SIGKILL)
        run.wait()
    wait_for(lambda: not alive(worker))  # the worker ends with its parent
    first = (out / "records" / "a.json").read_bytes()
    assert not (out / "records" / "b.json").exists()
    assert not (out / "b").exists()
    assert json.loads((out / PREPARED_MARKER).read_text())["complete"] is False
    (data / "b.do").unlink()
    report = prepare_cohort(listing, out, OPTIONS, toy, workers=2)
    assert list(report.present) == ["a"]
    assert list(report.done) == ["b", "c"]
    assert (out / "records" / "a.json").read_bytes() == first
    assert json.loads((out / PREPARED_MARKER).read_text())["complete"] is True


def test_files_appear_whole_or_not_at_all(tmp_path, monkeypatch):
    from cerebench.extraction import files

    path = tmp_path / "deep" / "a.nii.gz"
    assert files.write_bytes(path, b"first")["bytes"] == 5

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(UsageError, match=r"a.nii.gz cannot be written \(No space left on device\)"):
        files.write_bytes(path, b"second")
    assert path.read_bytes() == b"first"
    assert [entry.name for entry in path.parent.iterdir()] == ["a.nii.gz"]
