"""From training volumes to one array of slices in the symmetric frame."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cerebench.api import FitRun, MethodError, Volume, Volumes
from cerebench_methods.symmetry.frame import Frame

Array = np.ndarray[Any, Any]

NATURAL_END = 1 / 3
"""The brain ends naturally where its last slice is smaller than this share of its largest; else it was cut off."""


def framed(volumes: Volumes, canvas: tuple[int, int], run: FitRun) -> Iterator[tuple[Volume, Frame, Tensor]]:
    """Every volume with its frame and its image in the symmetric frame ``[C, *canvas, W]`` on the run's device."""
    for index, volume in enumerate(volumes):
        run.progress(index, len(volumes), "mid-sagittal planes")
        image, brain = (torch.from_numpy(np.array(array)).to(run.device) for array in (volume.image, volume.brain))
        frame = Frame.of(image, brain, volume.spacing, canvas)
        yield volume, frame, frame.to_symmetric(image)


def usable_slices(brain: Array, frame: Frame, min_brain: float, steps: int) -> Array:
    """Which axial slices can be learnt from, ``[W]`` bool: enough brain, and no part of them missing.

    Some training sources blank whole axial slices. A tilted slice then has a hole, which is no anatomy. Slices whose
    neighbours within reach of the tilt are blank are left out; beyond a natural end of the brain nothing is missing.

    Args:
        brain: ``[D, H, W]`` bool, native.
        frame: of the volume; its slope gives the reach.
        min_brain: least share of the slice's area inside the brain.
        steps: resamplings between the slice and the native grid.
    """
    areas = np.count_nonzero(brain, axis=(0, 1))
    if not areas.any():
        return np.zeros(len(areas), dtype=bool)
    present = areas > 0
    first, last = int(np.argmax(present)), len(areas) - 1 - int(np.argmax(present[::-1]))
    known = present.copy()
    known[:first] = areas[first] < NATURAL_END * areas.max()
    known[last + 1 :] = areas[last] < NATURAL_END * areas.max()
    columns = np.flatnonzero(brain.any(axis=(1, 2)))
    half = (columns[-1] - columns[0] + 1) / 2 * frame.spacing[0]
    reach = steps * math.ceil(abs(frame.slope) * half / frame.spacing[2] - 1e-6)
    # at the grid's border nothing is known to be missing
    padded = np.pad(known, reach, mode="edge")
    whole = np.array([padded[place : place + 2 * reach + 1].all() for place in range(len(known))])
    enough = areas >= max(min_brain * brain.shape[0] * brain.shape[1], 1)
    usable: Array = whole & enough
    return usable


def aligned_slices(volumes: Volumes, canvas: tuple[int, int], min_brain: float, run: FitRun) -> Tensor:
    """Usable slices of the symmetric frames of all volumes, ``[N, C, *canvas]``, on the host.

    Raises:
        MethodError: no slice is usable.
    """

    def parts() -> Iterator[Tensor]:
        for volume, frame, image in framed(volumes, canvas, run):
            usable = usable_slices(volume.brain, frame, min_brain, steps=1)
            yield image.permute(3, 0, 1, 2)[torch.from_numpy(usable).to(image.device)]

    return _stored(parts(), run.folder / "slices.f32", len(volumes))


def upright_differences(
    volumes: Volumes,
    canvas: tuple[int, int],
    min_brain: float,
    run: FitRun,
    difference: Callable[[Frame, Tensor], Tensor],
) -> Tensor:
    """Difference maps of the usable native axial slices of all volumes, ``[N, C, *canvas]``, on the host.

    Args:
        difference: (frame, aligned volume ``[C, *canvas, W]``) → difference maps ``[W, C, *canvas]``.

    Raises:
        MethodError: no slice is usable.
    """

    def parts() -> Iterator[Tensor]:
        for volume, frame, image in framed(volumes, canvas, run):
            usable = usable_slices(volume.brain, frame, min_brain, steps=2)
            with torch.no_grad():
                yield difference(frame, image)[torch.from_numpy(usable).to(image.device)]

    return _stored(parts(), run.folder / "differences.f32", len(volumes))


def root_mean_square(maps: Tensor) -> Tensor:
    """Root of the mean square of difference maps ``[N, C, D, H]`` where they are not 0, a scalar above 0."""
    total = count = 0.0
    for part in torch.split(maps, 256):
        total += float(part.double().square().sum())
        count += float(part.count_nonzero())
    return torch.tensor(max(math.sqrt(total / max(count, 1)), 1e-6))


def _stored(parts: Iterable[Tensor], path: Path, volumes: int) -> Tensor:
    """Slices ``[N, C, D, H]`` float32 from parts ``[n, C, D, H]``, mapped from a file: they may exceed memory."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    shape: tuple[int, ...] = ()
    with path.open("wb") as file:
        for part in parts:
            count, shape = count + len(part), tuple(part.shape[1:])
            file.write(part.float().contiguous().cpu().numpy().tobytes())
    if not count:
        raise MethodError(
            f"found no axial slice to learn from in {volumes} volumes: each has too little brain or blank neighbours "
            "within reach of the head's tilt; add training cases or lower min_brain"
        )
    return torch.from_numpy(np.memmap(path, dtype=np.float32, mode="r+", shape=(count, *shape)))
