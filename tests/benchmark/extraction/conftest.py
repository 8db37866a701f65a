"""A phantom head: the template's brain under a known affine, in a skull, in another axis order, with a lesion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import yaml
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform
from scipy.ndimage import affine_transform, distance_transform_edt

from cerebench.cohorts.card import Card, load_card
from cerebench.cohorts.reader import Listing, read_cohort
from cerebench.extraction.atlas import load_atlas
from cerebench.extraction.engine import single_thread
from cerebench.extraction.settings import Numbers

single_thread(1)  # before the first import of ANTs in this process

QUICK = Numbers(
    bias_mm=8.0,
    bias_iterations=(20, 20),
    registration_mm=4.0,
    syn_iterations=(20, 10, 0),
    rough_opening_mm=(3.0, 5.0, 7.0),
)
LESION_MM, LESION_RADIUS = np.array([-32.0, -18.0, 26.0]), 9.0
SIDE = 3.0


@dataclass(frozen=True)
class Phantom:
    """A head on its own grid.

    Attributes:
        head: ``[X, Y, Z]`` float32, T1-like; brain, brain mask and lesion beside it.
        affine: 4x4, voxel index → RAS+ mm.
        to_head: 4x4, RAS+ mm of the template → RAS+ mm of the head: the truth.
    """

    head: np.ndarray
    brain: np.ndarray
    lesion: np.ndarray
    affine: np.ndarray
    to_head: np.ndarray


def turn(degrees: float, axis: int) -> np.ndarray:
    angle, (a, b) = np.deg2rad(degrees), [(1, 2), (2, 0), (0, 1)][axis]
    matrix = np.eye(4)
    matrix[a, a] = matrix[b, b] = np.cos(angle)
    matrix[a, b], matrix[b, a] = -np.sin(angle), np.sin(angle)
    return matrix


def shift(*millimetres: float) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, 3] = millimetres
    return matrix


def draw(to_head: np.ndarray, contrast: str = "t1", side: float = SIDE) -> Phantom:
    """A head whose brain is the template's under ``to_head``; ``t2`` turns the brain's contrast round."""
    atlas = load_atlas()
    shape = (int(225 / side), int(264 / side), int(246 / side))
    affine = np.diag([side, side, side, 1.0])
    affine[:3, 3] = (to_head @ [0, -18, 20, 1])[:3] - side * (np.array(shape) - 1) / 2
    matrix = np.linalg.inv(atlas.affine) @ np.linalg.inv(to_head) @ affine

    def sample(values: np.ndarray) -> np.ndarray:
        return affine_transform(values.astype(np.float32), matrix[:3, :3], matrix[:3, 3], shape, order=1)

    brain = sample(atlas.brain) > 0.5
    tissue = sample(atlas.t1)
    if contrast == "t2":
        tissue = np.where(brain, 280 - tissue, 0)
    away = distance_transform_edt(~brain, sampling=side)
    head = np.select([brain, away < 6, away < 11, away < 18], [tissue, 20.0, 8.0, 220.0], 0.0)
    index = np.indices(shape).reshape(3, -1)
    world = affine[:3, :3] @ index + affine[:3, 3:]
    there = np.linalg.inv(to_head)
    template = there[:3, :3] @ world + there[:3, 3:]
    lesion = (np.linalg.norm(template.T - LESION_MM, axis=1) < LESION_RADIUS).reshape(shape) & brain
    head = np.where(lesion, 300.0, head)
    bias = 1 + 0.25 * (world[1].reshape(shape) - world[1].mean()) / 130
    noise = np.random.default_rng(7).normal(0, 3, shape)
    return Phantom(np.abs(head * bias + noise).astype(np.float32), brain, lesion, affine, to_head)


def save(path: Path, data: np.ndarray, affine: np.ndarray, axes: str = "RAS") -> None:
    """Write an array given in RAS+ order with other stored axes."""
    image = nib.Nifti1Image(data, affine)
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(image.as_reoriented(ornt_transform(io_orientation(affine), axcodes2ornt(tuple(axes)))), path)


TRUTH = shift(5, -4, 8) @ turn(7, 0) @ turn(-6, 2) @ np.diag([1.0, 0.88, 0.95, 1.0])

CARD: dict[str, Any] = {
    "schema": 1,
    "name": "heads",
    "title": "Heads",
    "summary": "Phantom heads.",
    "citation": "none",
    "licence": "CC0",
    "access": "Make them up.",
    "healthy": False,
    "modalities": ["t1", "t2"],
    "optional_modalities": ["t2"],
    "layouts": [
        {
            "name": "flat",
            "images": {"t1": "{patient}/t1.nii.gz", "t2": "{patient}/t2.nii"},
            "mask": "{patient}/lesion.nii.gz",
            "mask_modality": "t1",
            "patient": "{patient}",
        }
    ],
}


@pytest.fixture
def make_card(tmp_path: Path) -> Callable[..., Card]:
    """A card of heads; arguments change its only layout."""

    def make(**layout: Any) -> Card:
        content = {**CARD, "layouts": [{**CARD["layouts"][0], **layout}]}
        path = tmp_path / "heads.yaml"
        path.write_text(yaml.safe_dump(content))
        return load_card(path)

    return make


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CEREBENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def small_listing(tmp_path: Path, make_card: Callable[..., Card]) -> Callable[..., Listing]:
    """Cases of 8-voxel images that no step reads, for everything around the steps."""

    def make(*patients: str, **layout: Any) -> Listing:
        rng = np.random.default_rng(0)
        for patient in patients:
            for name in ("t1", "lesion"):
                data = rng.integers(0, 2, (8, 8, 8)).astype(np.uint8)
                save(tmp_path / "data" / "heads" / patient / f"{name}.nii.gz", data, np.eye(4))
        return read_cohort(make_card(**layout), tmp_path / "data" / "heads")

    return make


TOY = '''
import os, signal, time
from pathlib import Path

from cerebench.errors import DataError
from cerebench.extraction.files import nifti_bytes, write_bytes
from cerebench.extraction.records import file_index, fingerprint, source_hashes, write_record


def extract(job, options):
    """Copy the images; what else happens is written in a file named after the case, beside the data."""
    import nibabel as nib

    index = file_index()
    sources = source_hashes(job, index)
    key = fingerprint(job, sources, options, index)
    note = job.root.parent / f"{job.name}.do"
    do = note.read_text() if note.exists() else ""
    (job.root.parent / f"{job.name}.pid").write_text(str(os.getpid()))
    if do == "fault":
        raise DataError("the head is upside down")
    if do == "bug":
        raise ZeroDivisionError("oops")
    if do == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if do == "slow":
        time.sleep(60)
    image = nib.load(job.case.images["t1"])
    content = {job.outputs["t1"]: nifti_bytes(image.get_fdata(dtype="float32"), image.affine, True)}
    if "mask" in job.outputs:
        content[job.outputs["mask"]] = job.case.mask.read_bytes()
    outputs = {name: write_bytes(job.out / name, data) for name, data in content.items()}
    quality = {"brain_ml": 1400.0, "tissue_correlation": {"t1": 0.6}, "template_dice": 0.95, "volume_scale": 1.3}
    record = {
        "case": job.name, "fingerprint": key, "outputs": outputs, "quality": quality, "warnings": [], "lesion": None,
        "seconds": 0.1, "transforms_kept": options.keep_transforms, "by": os.getpid(),
    }
    write_record(job, record)
    return record
'''


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A quick stand-in for the steps, in a module that other processes can import."""
    import importlib
    import sys

    (tmp_path / "toy_extract.py").write_text(TOY)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "toy_extract", raising=False)
    monkeypatch.setattr("cerebench.extraction.cohort.require_ants", lambda: None)
    return importlib.import_module("toy_extract").extract


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Numbers:
    """Coarse and short registrations, in this process."""
    from cerebench.extraction import case, records

    monkeypatch.setattr(case, "NUMBERS", QUICK)
    monkeypatch.setattr(records, "NUMBERS", QUICK)
    return QUICK


@pytest.fixture(scope="session")
def phantom() -> dict[str, Phantom]:
    """One head in two contrasts; ``t2`` was scanned after the head had moved, with other voxels."""
    return {"t1": draw(TRUTH), "t2": draw(shift(6, 3, -9) @ turn(5, 1) @ TRUTH, "t2", side=3.5)}


@pytest.fixture
def helpers() -> Any:
    """What tests need from here by name: this file cannot be imported by them."""
    from types import SimpleNamespace

    return SimpleNamespace(save=save, turn=turn, shift=shift, draw=draw, truth=TRUTH, lesion_mm=LESION_MM)
