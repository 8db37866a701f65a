"""Datasheets: what a card says, in sections and as Markdown."""

from __future__ import annotations

import pytest

from cerebench.cohorts.card import load_card
from cerebench.datasheet import Code, datasheet, markdown

CARD = r"""
schema: 1
name: toy
title: Toy cohort
summary: A toy with * and | in it.
citation: "Author, 2020"
licence: CC0
access: Ask.
healthy: false
tasks: [anomaly, lesion-classification]
modalities: [t1, flair]
optional_modalities: [flair]
expected_patients: 12
traps:
  - "Names like a_b_c are no emphasis."
layouts:
  - name: release
    images:
      t1: "{patient}/{visit}_t1.nii.gz"
      flair: "{patient}/{visit}_flair.nii.gz"
    mask: "{patient}/{visit}_mask.nii.gz"
    mask_modality: flair
    fields: {patient: 'P\d|Q\d'}
    patient: "{patient}"
    labels:
      0: normal
      1: anomaly  # core
      2: ignore  # other # and more
    numbered_lesions: true
    resample_mask: true
    erosion_mm: 2  # customary
    repeats: last
    table:
      file: lesions.csv
      optional: true
      columns: {patient: id}
      lesion: number
      label: {column: class, values: {good: 0, bad: 1}}
      covariates: {age: years}
  - name: old
    images: {t1: "{patient}_t1.nii"}
    mask: "{patient}_mask.nii"
    patient: "{patient}"
    labels: {1: anomaly, 2: ignore}  # belongs to no single label
    skull_stripped: true
    table:
      file: old.tsv
      columns: {patient: id}
      label: {column: class, values: {good: 0, bad: 1}}
simulate:
  generator: phantom
  layout: release
  lesion: glioma
  modalities: [t1, flair]
  centres: [A, B]
  revisit_every: 3
  affected_every: 2
  fields: {patient: "P{patient}", visit: "{visit}"}
  parameters: {dtype: float32, centres: {A: {field_strength: 1.5}}, tissue_labels: {ncr: 1, et: 1}}
"""


@pytest.fixture
def card(tmp_path):
    path = tmp_path / "toy.yaml"
    path.write_text(CARD, encoding="utf-8")
    return load_card(path)


def section(card, title):
    (found,) = [part for part in datasheet(card) if part.title == title]
    return found


def test_sections_come_in_the_order_of_reading(card):
    titles = [part.title for part in datasheet(card)]
    assert titles == ["", "Traps", "Layout release", "Layout old", "In-silico twin"]


def test_the_head_says_who_it_is_and_what_is_not_known(card):
    head = dict(section(card, "").fields)
    assert head["name"] == "toy"
    assert head["subjects"] == "patients"
    assert head["serves"] == "anomaly, lesion-classification"
    assert (head["cases in the release"], head["patients in the release"]) == ("not stated", "12")
    assert head["may be missing"] == "flair"


def test_a_layout_says_how_it_is_read(card):
    reading = dict(section(card, "Layout release").fields)
    assert reading["case"] == "{patient}-{visit}"
    assert reading["patient, the unit of splits"] == "{patient}"
    assert reading["brain"] == "heads with skull: brains have to be extracted first"
    assert reading["erosion of the brain for scoring"] == "2 mm (customary)"
    assert reading["lesion mask"] == "grid of flair, resampled (nearest neighbour) onto another one"
    assert reading["mask values"] == "number of the lesion, then one part digit"
    assert reading["several files of a kind"] == "the last one is read"
    assert reading["table"] == "lesions.csv, says more about lesions (may be absent)"
    assert reading["columns of the table"] == "id, class, number, years"
    assert reading["classes"] == "column class: good = 0, bad = 1"
    old = dict(section(card, "Layout old").fields)
    assert old["brain"] == "voxels other than 0 (skull-stripped)"
    assert old["erosion of the brain for scoring"] == "none"


def test_labels_have_their_comments_as_meaning(card):
    *_, labels = section(card, "Layout release").grids
    assert labels.headers[0] == "part digit in the mask"
    assert labels.rows == (("0", "normal", ""), ("1", "anomaly", "core"), ("2", "ignore", "other # and more"))
    *_, labels = section(card, "Layout old").grids
    assert labels.rows == (("1", "anomaly", ""), ("2", "ignore", ""))


def test_a_card_without_a_file_has_no_comments(card):
    (part,) = [part for part in datasheet(card.model_copy()) if part.title == "Layout release"]
    assert part.grids[-1].rows[1] == ("1", "anomaly", "core")
    bare = type(card).model_validate(card.model_dump(by_alias=True))
    (part,) = [part for part in datasheet(bare) if part.title == "Layout release"]
    assert part.grids[-1].rows[1] == ("1", "anomaly", "")


def test_the_twin_is_described(card):
    twin = dict(section(card, "In-silico twin").fields)
    assert twin["lesion"] == "glioma (one patient in 2, the others are controls)"
    assert twin["centres"] == "A (field_strength 1.5); B"
    assert twin["visits"] == "one patient in 3 is examined twice"
    assert twin["first file"] == "P0/000_t1.nii.gz"
    assert twin["other parameters"] == "dtype: float32; tissue_labels: ncr 1, et 1"


def test_an_unlabelled_cohort_says_what_it_is_good_for(card):
    layouts = tuple(layout.model_copy(update={"mask": None, "table": None}) for layout in card.layouts)
    bare = card.model_copy(update={"tasks": (), "layouts": layouts, "simulate": None})
    assert dict(section(bare, "").fields)["serves"] == "pre-training only: it has no reference"
    assert [part.title for part in datasheet(bare)][-1] == "Layout old"


def test_markdown_escapes_text_and_keeps_code(card):
    page = markdown(card)
    assert page.startswith("# Toy cohort\n\nA toy with \\* and | in it.\n\n|  |  |\n| --- | --- |\n| name | `toy` |\n")
    assert "* Names like a\\_b\\_c are no emphasis.\n" in page
    assert "| patient | `P\\d\\|Q\\d` |\n" in page
    assert "| t1 | `{patient}/{visit}_t1.nii.gz` |\n" in page
    assert page.endswith("|\n")


def test_every_row_of_a_table_has_as_many_cells_as_its_head(card):
    for part in datasheet(card):
        for grid in part.grids:
            assert {len(row) for row in grid.rows} <= {len(grid.headers)}


def test_code_is_text():
    assert Code("a") == "a"
