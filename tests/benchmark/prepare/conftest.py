"""Phantoms on disk: a ball of texture, on any grid, in any orientation."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from cerebench.contract.data import Case, ReadPolicy
from cerebench.prepare.spec import PrepareSpec

STRIPPED = ReadPolicy(skull_stripped=True)
SMALL = PrepareSpec(spacing_mm=4.0, field_of_view_mm=(96.0, 96.0, 96.0))


def grid_affine(
    codes: str, shape: tuple[int, ...], spacing: tuple[float, ...], turn_degrees: float = 0.0
) -> np.ndarray:
    """Affine of a grid centred on the world's origin with the given axis codes, optionally turned about x."""
    ornt = nib.orientations.axcodes2ornt(tuple(codes))
    linear = np.zeros((3, 3))
    for axis, (world, sign) in enumerate(ornt):
        linear[int(world), axis] = sign * spacing[axis]
    angle = np.deg2rad(turn_degrees)
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    linear = turn @ linear
    affine = np.eye(4)
    affine[:3, :3] = linear
    affine[:3, 3] = -linear @ ((np.array(shape) - 1) / 2)
    return affine


def world(shape: tuple[int, ...], affine: np.ndarray) -> np.ndarray:
    """``[X, Y, Z, 3]`` coordinates in mm of every voxel."""
    index = np.stack(np.meshgrid(*(np.arange(side) for side in shape), indexing="ij"), axis=-1)
    return index @ affine[:3, :3].T + affine[:3, 3]


def save(path: Path, data: np.ndarray, affine: np.ndarray, settled: bool = True) -> Path:
    """Write a NIfTI file; settled files look older than the hash index's margin."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(data, affine), path)
    if settled:
        past = time.time() - 60
        os.utime(path, (past, past))
    return path


@dataclass
class Phantom:
    """A ball ("brain", radius 36 mm, centre ``centre``) with a small ball ("lesion") in it."""

    codes: str = "RAS"
    shape: tuple[int, int, int] = (48, 48, 48)
    spacing: tuple[float, float, float] = (2.0, 2.0, 2.0)
    turn_degrees: float = 0.0
    centre: tuple[float, float, float] = (3.0, -5.0, 4.0)
    radius: float = 36.0
    lesion_centre: tuple[float, float, float] = (15.0, 5.0, -6.0)
    lesion_radius: float = 9.0
    background: float = 0.0

    def __post_init__(self) -> None:
        self.affine = grid_affine(self.codes, self.shape, self.spacing, self.turn_degrees)
        self.xyz = world(self.shape, self.affine)
        self.brain = np.linalg.norm(self.xyz - self.centre, axis=-1) <= self.radius
        self.lesion = np.linalg.norm(self.xyz - self.lesion_centre, axis=-1) <= self.lesion_radius
        self.field = 100.0 + self.xyz @ np.array([0.5, -0.3, 0.8])
        self.image = np.where(self.brain, self.field, self.background).astype(np.float32)

    def write(self, folder: Path, name: str = "t1", brain_mask: bool = False) -> Case:
        """Write image, lesion mask and perhaps brain mask; return the case."""
        return Case(
            id=folder.name,
            patient=folder.name,
            cohort="phantom",
            healthy=False,
            images={name: save(folder / f"{name}.nii.gz", self.image, self.affine)},
            mask=save(folder / "mask.nii.gz", self.lesion.astype(np.uint8), self.affine),
            brain_mask=save(folder / "brain.nii.gz", self.brain.astype(np.uint8), self.affine) if brain_mask else None,
        )


@pytest.fixture
def phantom(tmp_path: Path) -> Callable[..., tuple[Phantom, Case]]:
    """Make a phantom and write it under the test's folder."""

    def make(folder: str = "case", brain_mask: bool = False, **kwargs: object) -> tuple[Phantom, Case]:
        made = Phantom(**kwargs)  # type: ignore[arg-type]
        return made, made.write(tmp_path / "data" / folder, brain_mask=brain_mask)

    return make


@pytest.fixture
def spec() -> PrepareSpec:
    return SMALL


@pytest.fixture
def stripped() -> ReadPolicy:
    return STRIPPED


@pytest.fixture
def write() -> Callable[..., Path]:
    return save


@pytest.fixture
def coordinates() -> Callable[[tuple[int, ...], np.ndarray], np.ndarray]:
    return world
