"""Folders of PNG slices as volumes, and masks that number their lesions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cerebench.contract.data import ANOMALY, IGNORE, NORMAL, ReadPolicy, SliceStack
from cerebench.errors import DataError
from cerebench.prepare.grid import canonical
from cerebench.prepare.index import HashIndex
from cerebench.prepare.read import Scan, read_image, read_mask
from cerebench.prepare.steps import label_states

LPS = SliceStack((0.5, 0.75, 2.0), "LPS")


@pytest.fixture
def folder(tmp_path):
    """Slices 8 to 11 whose grey value tells slice, row and column."""
    (tmp_path / "0").mkdir()
    for number in range(8, 12):
        values = np.fromfunction(lambda row, column: 40 * (number - 8) + 10 * row + column, (3, 5)).astype(np.uint8)  # noqa: B023
        Image.fromarray(values).save(tmp_path / "0" / f"{number}.png")
    return tmp_path / "0"


def test_columns_rows_and_slices_become_axes(folder):
    scan = read_image(folder, LPS)
    assert scan.shape == (5, 3, 4)
    assert scan.spacing == (0.5, 0.75, 2.0)
    assert scan.data[4, 2, 3] == 40 * 3 + 10 * 2 + 4  # the 10th slice comes after the 9th, not after the 1st
    turned = canonical(scan)
    assert turned.data[0, 0, 3] == scan.data[4, 2, 3]  # L and P are reversed in RAS+
    assert np.diag(turned.affine)[:3].tolist() == [0.5, 0.75, 2.0]


def test_sagittal_slices(folder):
    turned = canonical(read_image(folder, SliceStack((0.5, 0.75, 2.0), "AIR")))
    assert turned.shape == (4, 5, 3)
    assert turned.spacing == (2.0, 0.5, 0.75)
    assert turned.data[1, 4, 0] == 40 * 1 + 10 * 2 + 4


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda folder: (folder / "10.png").unlink(), "slice 10 is missing"),
        (lambda folder: (folder / "9.png").rename(folder / "nine.png"), "no slice number"),
        (lambda folder: (folder / "010.png").write_bytes((folder / "10.png").read_bytes()), "slice 10 twice"),
        (lambda folder: (folder / "9.png").write_bytes(b"no image"), "damaged slice"),
        (lambda folder: Image.new("RGB", (5, 3)).save(folder / "9.png"), "mode RGB"),
        (lambda folder: Image.new("L", (4, 3)).save(folder / "9.png"), "4x3 pixels, expected 5x3"),
        (lambda folder: [path.unlink() for path in list(folder.iterdir())], "no .png slice"),
    ],
)
def test_faults_of_a_folder_are_one_sentence(folder, spoil, says):
    spoil(folder)
    with pytest.raises(DataError, match=says):
        read_image(folder, LPS)


def test_the_digest_of_a_folder_is_that_of_its_slices(folder, tmp_path):
    index = HashIndex(tmp_path / "hashes.sqlite")
    before = index.digest(folder)
    assert index.digest(folder) == before
    (folder / "9.png").rename(folder / "12.png")
    assert index.digest(folder) != before


def test_masks_of_slices(folder):
    for number in range(8, 12):
        Image.fromarray(np.full((3, 5), 255 * (number == 9), np.uint8)).save(folder / f"{number}.png")
    states = label_states(read_mask(folder, LPS), ReadPolicy(labels={255: "anomaly"}))
    assert (states == ANOMALY).sum() == 15


def mask(*values):
    return Scan(Path("mask.nii.gz"), np.array(values, np.int32).reshape(-1, 1, 1), np.eye(4))


NUMBERED = ReadPolicy(labels={1: "anomaly", 2: "anomaly", 3: "normal"}, numbered_lesions=True)


def test_numbered_lesions_are_told_by_the_last_digit():
    states = label_states(mask(0, 11, 32, 123, 121), NUMBERED)
    assert states.ravel().tolist() == [NORMAL, ANOMALY, ANOMALY, NORMAL, ANOMALY]


def test_one_lesion_counts_and_the_others_are_ignored():
    states = label_states(mask(0, 11, 12, 31, 121), NUMBERED, lesion=1)
    assert states.ravel().tolist() == [NORMAL, ANOMALY, ANOMALY, IGNORE, IGNORE]
    with pytest.raises(DataError, match="no voxel of lesion 2"):
        label_states(mask(0, 11, 123), NUMBERED, lesion=2)


@pytest.mark.parametrize("value", [1, 10, 14, -11])
def test_values_that_are_no_numbered_part_are_refused(value):
    with pytest.raises(DataError, match=rf"label value {value}, expected 0, or a lesion number followed by one of"):
        label_states(mask(0, value), NUMBERED)
