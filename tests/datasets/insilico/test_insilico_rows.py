"""Tables, folders of slices and thick slices of a twin, read back by the reader of real cohorts."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from cerebench.cohorts.card import Card
from cerebench.cohorts.layout import Layout
from cerebench.cohorts.reader import read_cohort
from cerebench.cohorts.twins import write_twin
from cerebench.contract.data import SliceStack
from cerebench.errors import UsageError
from cerebench.prepare.grid import canonical
from cerebench.prepare.read import read_image, read_mask, same_grid
from cerebench_datasets.insilico.lesion import Finding
from cerebench_datasets.insilico.nifti import thicken
from cerebench_datasets.insilico.rows import table_rows, write_table
from cerebench_datasets.insilico.slices import save_slices
from cerebench_datasets.insilico.write import simulate

TABLE = {
    "file": "t.csv",
    "columns": {"patient": "id"},
    "lesion": "n",
    "label": {"column": "dx", "values": {"necrosis": 0, "progression": 1}},
    "covariates": {"age": "years", "primary": "from"},
}


def layout(table, **more):
    return Layout(
        name="l",
        images={"t1": "{patient}_t1.nii.gz"},
        mask="{patient}_m.nii.gz",
        patient="{patient}",
        numbered_lesions=True,
        table=table,
        **more,
    )


def card(layout, **simulate):
    text = dict.fromkeys(("title", "summary", "citation", "licence", "access"), "x")
    modalities = tuple(layout["images"])
    return Card(
        schema=1,
        name="toy",
        healthy=False,
        modalities=modalities,
        layouts=[layout],
        simulate={"generator": "phantom", "layout": "l", "modalities": modalities, **simulate},
        **text,
    )


FINDINGS = (Finding(1, 0, {"age": 61.25}), Finding(2, 1, {"primary": "lung"}))


def test_rows_of_lesions():
    rows = list(table_rows(layout(TABLE), {"patient": "P1"}, FINDINGS, True))
    assert rows == [
        {"id": "P1", "n": "1", "dx": "necrosis", "years": "61.25", "from": ""},
        {"id": "P1", "n": "2", "dx": "progression", "years": "", "from": "lung"},
    ]
    assert list(table_rows(layout(TABLE), {"patient": "P1"}, (), True)) == []


def test_rows_of_whole_examinations():
    table = {key: value for key, value in TABLE.items() if key != "lesion"}
    (row,) = table_rows(layout(table), {"patient": "P1"}, (), False)
    assert row["dx"] == "necrosis"
    table = {**table, "label": None, "healthy": {"column": "g", "values": ["CN"], "patients": ["AD"]}}
    said = [next(table_rows(layout(table), {"patient": "P1"}, (), affected))["g"] for affected in (True, False)]
    assert said == ["AD", "CN"]


def test_a_class_without_a_text_is_one_sentence():
    table = {**TABLE, "label": {"column": "dx", "values": {"necrosis": 0}}}
    with pytest.raises(UsageError, match=r"t\.csv: label\.values has no text for class 1"):
        list(table_rows(layout(table), {"patient": "P1"}, FINDINGS, True))


def test_table_file_is_what_the_reader_reads(tmp_path):
    from cerebench.cohorts.table import Table, read_table

    write_table(tmp_path / "a" / "t.tsv", [{"id": "P1", "from": "a, b"}, {"id": "P2", "from": ""}])
    rows = read_table(tmp_path / "a" / "t.tsv", Table(file="t.tsv", columns={"patient": "id"}))
    assert [dict(row.cells) for row in rows] == [{"id": "P1", "from": "a, b"}, {"id": "P2", "from": ""}]


@pytest.mark.parametrize("axes", ["LPS", "RAS", "AIR"])
def test_slices_come_back_as_they_were(tmp_path, axes):
    values = np.random.default_rng(0).integers(1, 256, (4, 5, 6)).astype(np.float32)
    values[0], values[3, 4, 5] = 0, 255
    save_slices(tmp_path / "labels", values, axes, labels=True)
    read = canonical(read_image(tmp_path / "labels", SliceStack((1.0, 1.0, 1.0), axes)))
    np.testing.assert_array_equal(read.data, values)
    save_slices(tmp_path / "image", values * 3, axes, labels=False)
    image = canonical(read_image(tmp_path / "image", SliceStack((1.0, 1.0, 1.0), axes))).data
    np.testing.assert_array_equal(image > 0, values > 0)
    assert np.corrcoef(image.ravel(), values.ravel())[0, 1] > 0.999


def test_thick_slices_keep_their_place(tmp_path):
    values = np.zeros((4, 4, 7), np.float32)
    values[1, 2, 4:6] = 6
    affine = np.diag([2.0, 2, 2, 1])
    affine[:3, 3] = -3, 5, 11
    thick, moved = thicken(values, affine, 2)
    assert (thick.shape, thick[1, 2, 2]) == ((4, 4, 4), 6)
    np.testing.assert_allclose(moved @ [1, 2, 2, 1], affine @ [1, 2, 4.5, 1])
    assert nib.affines.voxel_sizes(moved).tolist() == [2, 2, 4]


def test_a_twin_of_slices_with_visits_and_thick_slices(tmp_path):
    sliced = {
        "name": "l",
        "images": {"t1": "{case}/0/*.png", "flair": "{case}/flair.nii.gz"},
        "mask": "{case}/seg/*.png",
        "fields": {"case": r"P\d+[AB]"},
        "patient": "{case}",
        "labels": {255: "anomaly"},
        "slices": {"spacing_mm": [0.9, 0.9, 1.0], "axes": "LPS"},
        "skull_stripped": True,
        "resample_mask": True,
    }
    twin = card(
        sliced,
        lesion="glioma",
        revisit_every=1,
        visits=("A", "B"),
        fields={"case": "P{patient:02d}{visit}"},
        parameters={"thick_slices": {"flair": 2}},
    )
    write_twin(twin, simulate, tmp_path / "toy", cases=2, spacing=6.0, seed=0)
    listing = read_cohort(twin, tmp_path / "toy")
    assert [case.id for case in listing.cases] == ["P00A", "P00B"]
    assert listing.policy.slices == SliceStack((6.0, 6.0, 6.0), "LPS")  # the marker knows better than the card
    slices = listing.policy.slices
    first, second = ([read_image(case.images[m], slices) for m in ("t1", "flair")] for case in listing.cases)
    masks = [read_mask(case.mask, slices) for case in listing.cases]
    assert set(np.unique(masks[0].data)) == {0, 255}
    assert same_grid(masks[0], first[0])
    assert first[1].shape[2] * 2 in (first[0].shape[2], first[0].shape[2] + 1)
    np.testing.assert_array_equal(first[0].data > 0, second[0].data > 0)  # one patient, one brain
    assert not np.array_equal(first[0].data, second[0].data)
    both = (masks[0].data > 0) & (masks[1].data > 0)
    assert both.sum() > 0.4 * max((mask.data > 0).sum() for mask in masks)  # lesions stay where they were


def test_controls_have_no_lesion_and_the_table_says_who_they_are(tmp_path):
    listed = {
        "name": "l",
        "images": {"t1": "{path}"},
        "patient": "{patient}",
        "case": "{patient}",
        "centre": "{site}",
        "skull_stripped": True,
        "table": {
            "file": "cases.csv",
            "lists_cases": True,
            "columns": {"patient": "id", "path": "file", "site": "site"},
            "healthy": {"column": "dx", "values": ["CN"], "patients": ["AD"]},
        },
    }
    twin = card(
        listed,
        lesion="ms",
        centres=("X", "Y"),
        affected_every=2,
        fields={"patient": "S{patient}", "path": "scans/S{patient}.nii.gz", "site": "{centre}"},
    )
    write_twin(twin, simulate, tmp_path / "toy", cases=4, spacing=8.0, seed=0)
    listing = read_cohort(twin, tmp_path / "toy")
    assert [(case.id, case.centre, case.healthy) for case in listing.cases] == [
        ("S0", "X", False),
        ("S1", "Y", False),
        ("S2", "X", True),
        ("S3", "Y", True),
    ]
