"""The intended matrix: what is missing is visible, and the newest intention counts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cerebench.jsonio import write_json
from cerebench.manifest import read_cells, write_manifest
from cerebench.plan.cells import EvaluationCell, Identity, Job, Options, Skipped
from cerebench.plan.model import Plan
from cerebench.prepare.spec import PrepareSpec
from cerebench.protocol import Protocol
from cerebench.store import Store, status_record

PROTOCOL = Protocol.model_validate(
    {
        "schema": 1,
        "name": "p",
        "version": 1,
        "title": "P",
        "summary": "x",
        "presets": {"quick": {"spacing_mm": 8, "ranked": False, "banner": "smoke test"}},
    }
)
OPTIONS = Options("anomaly", ("raw",), "32-true", 4, 64.0, 100, 0.95)
IDENTITY = Identity("p", 1, "quick", "good", "", "c", "t1", 0, "real", "healthy subjects")


def plan(*paths: str, skipped: tuple[Skipped, ...] = (), **identity: object) -> Plan:
    mine = replace(IDENTITY, **identity)  # type: ignore[arg-type]
    cells = tuple(
        EvaluationCell(path, replace(mine, modality=path[-2:]), False, None, "artefacts/reference/r", (), (), 9)
        for path in paths
    )
    job = Job("j", "good", {}, "quick", ("t1",), (8, 8, 8), (8.0, 8.0, 8.0), (), 0, OPTIONS, {}, (), (), cells)
    made = Plan(PROTOCOL, "quick", PROTOCOL.presets["quick"], PrepareSpec(spacing_mm=8))
    made.jobs, made.skipped = [job], list(skipped)
    return made


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "results")


def finish(store: Store, path: str) -> None:
    with store.writing(path) as folder:
        write_json(folder / "status.json", status_record("ok"))


def test_cells_are_missing_until_they_finish(store):
    write_manifest(store, plan("runs/a-t1", "runs/a-t2"))
    finish(store, "runs/a-t1")
    found = {cell.identity["modality"]: cell for cell in read_cells(store)}
    assert (found["t1"].status, found["t1"].reason) == ("ok", "")
    assert (found["t2"].status, found["t2"].reason) == ("missing", "not finished yet: run the same command again")
    assert found["t1"].table["banner"] == "smoke test"
    assert found["t1"].table["ranked"] is False


def test_failures_and_skipped_cells_carry_their_reasons(store):
    lost = (
        Skipped(replace(IDENTITY, modality="dwi"), False, "no data"),
        Skipped(replace(IDENTITY, modality="pd"), False, "a file is damaged", failed=True),
    )
    write_manifest(store, plan("runs/a-t1", skipped=lost))
    store.record_failure("runs/a-t1", "timeout", "took too long")
    found = {cell.identity["modality"]: (cell.status, cell.reason) for cell in read_cells(store)}
    assert found == {
        "t1": ("timeout", "took too long"),
        "dwi": ("skipped", "no data"),
        "pd": ("failed", "a file is damaged"),
    }


def test_the_same_matrix_keeps_its_file_and_another_gets_its_own(store):
    write_manifest(store, plan("runs/a-t1"))
    write_manifest(store, plan("runs/a-t1"))
    assert len(list(store.runs.glob("manifest-*.json"))) == 1
    write_manifest(store, plan("runs/b-t1"))
    assert len(list(store.runs.glob("manifest-*.json"))) == 2


def test_of_equal_identities_the_newest_intention_counts(store):
    write_manifest(store, plan("runs/old-t1", "runs/old-t2"))
    finish(store, "runs/old-t1")
    write_manifest(store, plan("runs/new-t1"))
    found = {cell.identity["modality"]: cell for cell in read_cells(store)}
    assert (found["t1"].path, found["t1"].status) == ("runs/new-t1", "missing")
    assert found["t2"].path == "runs/old-t2"  # not part of the newer run: still there
    write_manifest(store, plan("runs/old-t1", "runs/old-t2"))
    assert {cell.path for cell in read_cells(store)} == {"runs/old-t1", "runs/old-t2"}


@pytest.mark.parametrize(
    "change",
    [{"variant": "power=3"}, {"provenance": "in-silico"}, {"seed": 1}, {"preset": "paper"}, {"protocol_version": 2}],
)
def test_another_identity_stands_beside(store, change):
    write_manifest(store, plan("runs/a-t1"))
    write_manifest(store, plan("runs/b-t1", **change))
    assert {cell.path for cell in read_cells(store)} == {"runs/a-t1", "runs/b-t1"}


def test_a_damaged_manifest_does_not_hide_the_others(store):
    write_manifest(store, plan("runs/a-t1"))
    (store.runs / "manifest-00000000.json").write_text("{")
    assert [cell.path for cell in read_cells(store)] == ["runs/a-t1"]


def test_nothing_there_is_no_cell(store):
    assert read_cells(store) == []
