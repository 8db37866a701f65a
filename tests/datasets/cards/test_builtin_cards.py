"""What every built-in card states, and that the manifest lists them all."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

import cerebench_datasets
from cerebench.cohorts.card import load_card

PACKAGE = Path(cerebench_datasets.__file__).parent
CARDS = sorted((PACKAGE / "cards").glob("*.yaml"))
HEALTHY = {"camcan", "ixi", "oasis3"}
UNLABELLED = {"yale-mets"}
WITHOUT_MASKS = HEALTHY | UNLABELLED | {"adni-alz"}

each_card = pytest.mark.parametrize("path", CARDS, ids=lambda path: path.stem)


def test_the_cohorts_of_the_field_are_there():
    wanted = """adni-alz atlas2 bids brainmetshare brats-gli brats-gli-post brats-men brats-met brats-ped brats-ssa
    camcan isles2022 ixi molab mslub msseg2016 necrosis-second-centre oasis3 ucsf-bmsr wmh2017 yale-mets"""
    assert {path.stem for path in CARDS} == set(wanted.split())


def test_manifest_lists_what_is_there():
    manifest = yaml.safe_load((PACKAGE / "cerebench.yaml").read_text())
    listed = [PACKAGE / item["card"] for item in manifest["cohorts"]]
    assert sorted(listed) == CARDS
    protocols = [PACKAGE / item["file"] for item in manifest["protocols"]]
    assert sorted(protocols) == sorted((PACKAGE / "protocols").glob("*.yaml"))


@each_card
def test_card_is_sound(path):
    card = load_card(path)
    assert card.name == path.stem
    assert card.simulate is not None
    layout = card.layout(card.simulate.layout)
    for index in (0, 7, 250):
        values = card.simulate.field_values(index)
        for kind, pattern in layout.patterns().items():
            target = str(layout.path(kind, **values))
            target += "/0.png" if pattern.endswith("*.png") else ""
            assert layout.listed or layout.match(target) == (
                kind,
                {name: value for name, value in values.items() if f"{{{name}}}" in pattern},
            )


@each_card
def test_card_states_what_a_reader_must_know(path):
    card = load_card(path)
    assert card.healthy is (card.name in HEALTHY)
    assert (card.tasks == ()) is (card.name in UNLABELLED)
    assert card.traps
    assert card.summary.endswith(".")
    assert card.access.endswith(".")
    assert all(trap.endswith(".") for trap in card.traps)
    assert all((layout.mask is None) is (card.name in WITHOUT_MASKS) for layout in card.layouts)


@each_card
def test_erosion_and_labels_are_stated_in_the_file_and_erosion_is_none(path):
    for layout in yaml.safe_load(path.read_text(encoding="utf-8"))["layouts"]:
        assert layout["erosion_mm"] == 0
        assert ("mask" in layout) is ("labels" in layout)
        assert "anomaly" in layout.get("labels", {1: "anomaly"}).values()


@each_card
def test_every_label_has_its_meaning_as_a_comment(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    states = ("anomaly", "ignore", "cavity")
    labels = [
        line for line in lines if line.strip().partition("  #")[0].endswith(tuple(f": {state}" for state in states))
    ]
    assert all("  # " in line for line in labels)
    assert bool(labels) is (path.stem not in WITHOUT_MASKS)


def test_the_multi_centre_twins_differ_in_field_strength():
    several = [card for card in map(load_card, CARDS) if len(card.simulate.centres) > 1]
    assert len(several) >= 15
    stated = [card.simulate.parameters.get("centres", {}) for card in several]
    fields = [{centre.get("field_strength") for centre in centres.values()} for centres in stated if centres]
    assert sum(len(values) > 1 for values in fields) >= 8
