"""From distances on a feature grid to anomaly maps of slices."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import interpolate


def to_slices(grids: Tensor, shape: tuple[int, ...], spacing: tuple[float, ...], smooth_mm: float) -> Tensor:
    """Distances ``[B, h, w]`` at the slices' size ``[B, D, H]``, bilinear, then smoothed by a Gaussian.

    Args:
        grids: distances on a feature grid.
        shape: (D, H) of the slices.
        spacing: mm along D and H.
        smooth_mm: standard deviation of the Gaussian; 0 leaves the maps as they are.
    """
    maps = interpolate(grids[:, None].float(), tuple(shape), mode="bilinear")
    if smooth_mm > 0:
        from monai.networks.layers.simplelayers import GaussianFilter

        smooth = GaussianFilter(2, [smooth_mm / step for step in spacing]).to(maps.device)
        maps = smooth(maps)
    return maps[:, 0]
