"""Folders of slices, repeated files, prepared copies, tasks, twins with second visits and controls."""

from __future__ import annotations

import json

import pytest

from cerebench.cohorts.card import Simulate
from cerebench.cohorts.locate import locate
from cerebench.cohorts.reader import PREPARED_MARKER, read_cohort
from cerebench.contract.data import SliceStack
from cerebench.errors import UsageError


@pytest.fixture
def sliced(base):
    base["layouts"] = [
        {
            "name": "png",
            "images": {"t1": "{case}/0/*.png"},
            "mask": "{case}/seg/*.png",
            "patient": "{case}",
            "labels": {255: "anomaly"},
            "slices": {"spacing_mm": [0.9, 0.9, 1.5], "axes": "LPS"},
            "skull_stripped": True,
        }
    ]
    base["modalities"] = ["t1"]
    return base


def test_a_folder_of_slices_is_one_image(sliced, make_card, tree):
    root = tree(f"release/P{case}/{kind}/{n}.png" for case in (1, 2) for kind in ("0", "seg") for n in range(3))
    listing = read_cohort(make_card(sliced), root)
    assert [case.id for case in listing.cases] == ["P1", "P2"]
    assert listing.cases[0].images["t1"] == root / "release/P1/0"
    assert listing.cases[0].mask == root / "release/P1/seg"
    assert listing.policy.slices == SliceStack((0.9, 0.9, 1.5), "LPS")
    assert listing.faults == ()
    layout = listing.layout
    assert str(layout.path("t1", case="P9")) == "P9/0"


def test_slices_without_mask_are_not_healthy(sliced, make_card, tree):
    root = tree([*(f"P1/{kind}/{n}.png" for kind in ("0", "seg") for n in range(2)), "P2/0/0.png"])
    listing = read_cohort(make_card(sliced), root)
    assert [case.id for case in listing.cases] == ["P1"]
    assert any("P2" in fault and "not read as healthy" in fault for fault in listing.faults)


@pytest.mark.parametrize("axes", ["LPL", "LRS", "XYZ"])
def test_axes_of_slices_must_span_space(sliced, make_card, axes):
    sliced["layouts"][0]["slices"]["axes"] = axes
    with pytest.raises(UsageError, match="axes"):
        make_card(sliced)


def test_slices_need_their_geometry(sliced, make_card):
    del sliced["layouts"][0]["slices"]
    with pytest.raises(UsageError, match="need each other"):
        make_card(sliced)


@pytest.mark.parametrize(("repeats", "taken"), [("first", "run-01"), ("last", "run-02")])
def test_of_several_runs_one_is_taken(base, make_card, tree, repeats, taken):
    layout = {
        "name": "runs",
        "images": {"t1": "{patient}/{run}_T1.nii.gz"},
        "patient": "{patient}",
        "case": "{patient}",
    }
    base |= {"healthy": True, "modalities": ["t1"], "layouts": [layout]}
    root = tree(["P1/run-02_T1.nii.gz", "P1/run-01_T1.nii.gz"])
    refused = make_card(base)
    with pytest.raises(Exception, match="there twice"):
        read_cohort(refused, root)
    layout["repeats"] = repeats
    (case,) = read_cohort(make_card(base), root).cases
    assert case.images["t1"].name == f"{taken}_T1.nii.gz"


def test_a_prepared_copy_comes_first_and_is_skull_stripped(base, make_card, tree, case_files, tmp_path):
    base["layouts"][0]["skull_stripped"] = False
    card = make_card(base)
    tree(case_files("A", "P1"))
    data = tmp_path / "data"
    assert locate(card, data).status == "not-ready"
    prepared = tree(case_files("A", "P1"), name="prepared/toy")
    assert locate(card, data).root == data / "toy"  # without its marker a copy is unfinished
    (prepared / PREPARED_MARKER).write_text(json.dumps({"schema": 1, "skull_stripped": True}))
    location = locate(card, data)
    assert (location.status, location.root) == ("found", prepared)
    assert location.listing is not None
    assert location.listing.provenance == "real"
    assert location.note == ""
    (prepared / PREPARED_MARKER).write_text(json.dumps({"schema": 1, "skull_stripped": True, "complete": False}))
    assert "not complete" in locate(card, data).note


@pytest.mark.parametrize(
    ("tasks", "mask", "says"),
    [(["anomaly"], None, "neither mask"), (["lesion-classification"], "{patient}_m.nii", "table.label")],
)
def test_tasks_need_their_reference(base, make_card, tasks, mask, says):
    layout = {"name": "x", "images": {"t1": "{patient}_t1.nii"}, "mask": mask, "patient": "{patient}"}
    with pytest.raises(UsageError, match=says):
        make_card({**base, "tasks": tasks, "layouts": [layout]})


def test_an_unlabelled_cohort_is_neither_healthy_nor_faulty(base, make_card, tree):
    layout = {"name": "x", "images": {"t1": "{patient}_t1.nii"}, "patient": "{patient}", "skull_stripped": True}
    card = make_card({**base, "tasks": [], "modalities": ["t1"], "layouts": [layout]})
    (case,) = read_cohort(card, tree(["a_t1.nii.gz"])).cases
    assert (case.healthy, case.mask) == (False, None)


def test_cavity_is_what_the_protocol_says(base, make_card):
    base["layouts"][0]["labels"] = {1: "anomaly", 4: "cavity"}
    layout = make_card(base).layouts[0]
    assert layout.read_policy().labels == {1: "anomaly", 4: "ignore"}
    assert layout.states("anomaly") == {1: "anomaly", 4: "anomaly"}
    assert layout.states("normal") == {1: "anomaly", 4: "normal"}


def simulate(**more):
    return Simulate(generator="g", layout="l", modalities=("t1",), fields={"a": "{patient:02d}-{visit}"}, **more)


def test_second_visits_keep_the_patient_and_move_nobody():
    plan = simulate(revisit_every=3, visits=("A", "B"))
    assert [plan.field_values(index)["a"] for index in range(9)] == [
        "00-A", "00-B", "01-A", "02-A", "03-A", "03-B", "04-A", "05-A", "06-A"
    ]  # fmt: skip


def test_disease_and_centre_are_not_confounded():
    plan = simulate(centres=("X", "Y"), affected_every=2)
    found = {(plan.slot(index).centre, plan.slot(index).affected) for index in range(8)}
    assert found == {("X", True), ("X", False), ("Y", True), ("Y", False)}
