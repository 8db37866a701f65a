"""Heads whose mid-sagittal plane is known, and movements of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from scipy.ndimage import affine_transform
from scipy.spatial.transform import Rotation

Head = tuple[np.ndarray, np.ndarray]


@cache
def phantom(seed: int, asymmetry: float, spacing: float, lesion: str = "none") -> Head:
    """T1 scan and brain mask of an in-silico head that was not rotated."""
    from cerebench_datasets.insilico.centres import make_centre
    from cerebench_datasets.insilico.parameters import PhantomParameters, Scanner
    from cerebench_datasets.insilico.subject import Examination, make_subject

    parameters = PhantomParameters.model_validate({"anatomy": {"asymmetry": asymmetry, "pose_deg": 0}})
    who = Examination(seed, "phantom", f"subject-{seed}", None, lesion != "none")
    subject = make_subject(who, spacing, lesion, parameters)
    return np.asarray(subject.scan("t1", make_centre("phantom", None, parameters.scanner, Scanner()))), subject.brain


def turned(image: np.ndarray, brain: np.ndarray, degrees: tuple[float, ...], shift: np.ndarray, spacing: float) -> Head:
    """A head rotated about the middle of its grid (yaw, roll, pitch) and then shifted by mm; scipy does the work."""
    rotation = Rotation.from_euler("zyx", degrees, degrees=True).as_matrix()
    middle = (np.array(image.shape) - 1) / 2
    offset = middle - rotation.T @ (middle + shift / spacing)
    moved, share = (
        affine_transform(volume.astype(np.float32), rotation.T, offset, order=1) for volume in (image, brain)
    )
    return moved * (share >= 0.5), share >= 0.5


@pytest.fixture(scope="session")
def head() -> Callable[..., Head]:
    return phantom


@pytest.fixture(scope="session")
def move() -> Callable[..., Head]:
    return turned
