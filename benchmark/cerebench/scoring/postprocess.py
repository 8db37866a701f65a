"""Filters on anomaly maps and on thresholded maps, sized in millimetres so that every grid is treated alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from torch import Tensor

MEDIAN_MM = 5.0
SMALLEST_COMPONENT_MM3 = 7.0
SLAB_BYTES = 1 << 28

BoolArray = npt.NDArray[np.bool_]


def median_size(spacing: Sequence[float], mm: float = MEDIAN_MM) -> tuple[int, ...]:
    """Odd window length in voxels along each axis: ``mm`` rounded to voxels, at least 3 (5 at 1 mm, 3 from 2 mm up)."""
    sizes = (round(mm / step) for step in spacing)
    return tuple(max(3, size + 1 - size % 2) for size in sizes)


def median_filter(maps: Tensor, brain: Tensor, spacing: Sequence[float], mm: float = MEDIAN_MM) -> Tensor:
    """3D median of an anomaly map; borders repeat the nearest voxel.

    Voxels outside the brain take part as the map's minimum inside it, so that no background value leaks in.

    Args:
        maps: ``[D, H, W]`` float tensor; filtered on its device (SciPy on the CPU, torch elsewhere: the same values).
        brain: ``[D, H, W]`` bool tensor or array.
        spacing: voxel size in mm.
        mm: physical window length.

    Returns:
        ``[D, H, W]`` of the same dtype; outside the brain the minimum inside. An empty brain returns the map unchanged.

    Raises:
        ValueError: shapes disagree or are not 3D.
    """
    import torch

    inside = torch.as_tensor(brain, device=maps.device, dtype=torch.bool)
    if maps.ndim != 3 or maps.shape != inside.shape or len(spacing) != 3:
        raise ValueError(f"map {tuple(maps.shape)}, brain {tuple(inside.shape)}, spacing {tuple(spacing)}: expected 3D")
    if not inside.any():
        return maps.clone()
    lowest = maps[inside].min()
    filled = torch.where(inside, maps, lowest)
    size = median_size(spacing, mm)
    if maps.device.type == "cpu":
        filtered = _median_scipy(filled, size)
    else:
        filtered = median_unfold(filled, size)
    return torch.where(inside, filtered, lowest)


def _median_scipy(maps: Tensor, size: tuple[int, ...]) -> Tensor:
    import torch
    from scipy.ndimage import median_filter as scipy_median

    # float16 is unknown to SciPy and widens without loss
    values = maps.detach().to(torch.float64 if maps.dtype == torch.float64 else torch.float32).numpy()
    return torch.from_numpy(scipy_median(values, size=size, mode="nearest")).to(maps.dtype)


def median_unfold(maps: Tensor, size: tuple[int, ...], slab_bytes: int = SLAB_BYTES) -> Tensor:
    """Median over odd windows of ``[D, H, W]`` with repeated borders by torch, slab by slab to bound the memory."""
    import torch
    from torch.nn.functional import pad

    widths = [length // 2 for length in reversed(size) for _ in range(2)]
    padded = pad(maps[None, None], widths, mode="replicate")[0, 0]
    window = size[0] * size[1] * size[2]
    plane = window * maps.shape[1] * maps.shape[2] * maps.element_size()
    step = max(1, slab_bytes // plane)
    parts = []
    for begin in range(0, maps.shape[0], step):
        slab = padded[begin : begin + step + size[0] - 1]
        windows = slab.unfold(0, size[0], 1).unfold(1, size[1], 1).unfold(2, size[2], 1)
        parts.append(windows.flatten(3).median(dim=3).values)
    return torch.cat(parts)


def erode(brain: npt.ArrayLike, spacing: Sequence[float], mm: float) -> BoolArray:
    """Voxels of the brain whose centre lies farther than ``mm`` from the nearest voxel outside.

    Args:
        brain: ``[D, H, W]`` bool; what lies beyond the grid counts as outside.
        spacing: voxel size in mm.
        mm: depth; 0 returns the brain itself.

    Raises:
        ValueError: the depth is negative.
    """
    from scipy.ndimage import distance_transform_edt

    inside = np.asarray(brain, dtype=bool)
    if mm < 0:
        raise ValueError(f"erosion depth is {mm} mm: expected zero or more")
    if mm == 0:
        return inside.copy()
    depth = distance_transform_edt(np.pad(inside, 1), sampling=spacing)
    return np.asarray(depth[tuple(slice(1, -1) for _ in inside.shape)] > mm)


def remove_small(binary: npt.ArrayLike, spacing: Sequence[float], min_mm3: float = SMALLEST_COMPONENT_MM3) -> BoolArray:
    """Drop connected components (faces, edges and corners connect) smaller than a volume.

    Args:
        binary: ``[D, H, W]`` bool, a map at a fixed threshold.
        spacing: voxel size in mm.
        min_mm3: smallest volume kept, in mm³; Baur et al. 2021 drop components of up to 7 voxels at 1 mm.
    """
    from scipy.ndimage import generate_binary_structure, label

    mask = np.asarray(binary, dtype=bool)
    parts: npt.NDArray[Any]
    parts, _ = label(mask, structure=generate_binary_structure(mask.ndim, mask.ndim))
    volumes = np.bincount(parts.ravel()) * float(np.prod(np.asarray(spacing)))
    kept = volumes >= min_mm3
    kept[0] = False
    return np.asarray(kept[parts])
