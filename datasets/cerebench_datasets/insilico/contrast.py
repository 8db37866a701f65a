"""From tissue to scanner intensities: sequence contrast, intensity non-uniformity, resolution and Rician noise.

T1 takes its tissue means from the template itself. T2, FLAIR and PD follow the spin-echo and inversion-recovery signal
equations with published relaxation times. ``docs/in-silico.md`` says where each number comes from.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cerebench.api import UsageError
from cerebench_datasets.insilico.anatomy import Tissue
from cerebench_datasets.insilico.centres import Centre
from cerebench_datasets.insilico.fields import RandomField
from cerebench_datasets.insilico.template import load_template

MODALITIES = ("t1", "t1c", "t2", "flair", "pd")

RELAXATION: Mapping[str, tuple[float, float, float]] = {
    "csf": (4300.0, 329.0, 1.0),
    "gm": (833.0, 83.0, 0.86),
    "wm": (500.0, 70.0, 0.77),
    "ed": (1500.0, 160.0, 0.85),
    "et": (1300.0, 120.0, 0.82),
    "ncr": (2500.0, 250.0, 0.92),
    "plaque": (1100.0, 105.0, 0.82),
}
"""Tissue or lesion part → T1 ms, T2 ms, proton density at 1.5 T."""

_AT_3T: Mapping[str, tuple[float, float]] = {"csf": (1.0, 1.0), "gm": (1.40, 0.96), "wm": (1.25, 0.96)}
_LESION_AT_3T = (1.25, 0.96)
"""Factors on T1 and T2 from 1.5 T to 3 T; linear between."""

_T1_LESION: Mapping[str, tuple[float, float]] = {
    "ed": (0.72, 0.73),
    "et": (0.80, 1.40),
    "ncr": (0.45, 0.48),
    "plaque": (0.75, 0.77),
}
"""Lesion part → T1 and contrast-enhanced T1 in units of white matter."""

_GREY_UPTAKE = 1.04
_SEQUENCE = {"t2": (8000.0, 100.0, 0.0), "pd": (8000.0, 8.0, 0.0), "flair": (9000.0, 120.0, 2350.0)}
"""Modality → repetition, echo and inversion time in ms."""

_DETAIL = {"t1": 1.0, "t1c": 1.0, "t2": -0.5, "flair": -0.3, "pd": -0.2}
_VARIATION = {"t1": 1.0, "t1c": 1.0, "t2": -1.0, "flair": -0.7, "pd": -0.3}
"""How the template's T1 detail and the subject's tissue variation show in each modality."""

_BIAS_MM = 70.0
_FWHM = 2.3548


def tissue_means(modality: str, centre: Centre) -> dict[str, float]:
    """Signal of pure tissues and lesion parts in units of white matter.

    Raises:
        UsageError: the modality is not modelled.
    """
    if modality in ("t1", "t1c"):
        enhanced = modality == "t1c"
        pure = load_template().t1_means
        grey = 1 - (1 - pure["gm"]) * centre.grey_contrast
        means = {"csf": pure["csf"], "gm": grey * (_GREY_UPTAKE if enhanced else 1.0), "wm": 1.0}
        return means | {part: values[enhanced] for part, values in _T1_LESION.items()}
    if modality not in _SEQUENCE:
        raise UsageError(f"the phantom has no modality {modality!r}; it offers: {', '.join(MODALITIES)}")
    signals = {part: _signal(modality, part, centre) for part in RELAXATION}
    return {part: value / signals["wm"] for part, value in signals.items()}


def _signal(modality: str, part: str, centre: Centre) -> float:
    """Magnitude of the spin-echo signal, with an inversion pulse where the sequence has one."""
    repetition, echo, inversion = _SEQUENCE[modality]
    t1, t2, density = RELAXATION[part]
    stronger = (centre.field_strength - 1.5) / 1.5
    longer, shorter = _AT_3T.get(part, _LESION_AT_3T)
    t1, t2 = t1 * (1 + stronger * (longer - 1)), t2 * (1 + stronger * (shorter - 1))
    recovery = 1 - np.exp(-repetition / t1)
    if inversion:
        recovery = 1 - 2 * np.exp(-inversion / t1) + np.exp(-repetition / t1)
    return float(density * abs(recovery) * np.exp(-echo * centre.echo_scale / t2))


def acquire(
    tissue: Tissue,
    parts: Mapping[str, np.ndarray],
    modality: str,
    centre: Centre,
    rng: np.random.Generator,
) -> np.ndarray:
    """One skull-stripped scan.

    Args:
        tissue: the subject.
        parts: lesion part → share on the same grid in which the lesion's signal replaces the tissue's.
        modality: one of :data:`MODALITIES`.
        centre: the scanner.
        rng: for gain, non-uniformity and noise.

    Returns:
        ``[X, Y, Z]`` float32 in scanner units, positive inside the brain, exactly 0 outside.
    """
    from scipy import ndimage

    means = tissue_means(modality, centre)
    # the head lies in cerebrospinal fluid, so that voxels at the surface mix with it
    csf = tissue.csf + (1 - tissue.brain)
    image = means["csf"] * csf + means["gm"] * tissue.gm + means["wm"] * tissue.wm
    image += np.float32(_DETAIL[modality]) * tissue.detail
    image *= 1 + np.float32(_VARIATION[modality]) * tissue.variation
    for part, fraction in parts.items():
        image += fraction * (means[part] - image)
    spacing = tissue.grid.spacing
    widths = (centre.blur_mm, centre.blur_mm, centre.slice_mm)
    sigmas = [max(width**2 - spacing**2, 0) ** 0.5 / _FWHM / spacing for width in widths]
    image = ndimage.gaussian_filter(image, sigmas, mode="nearest")
    bias = np.clip(RandomField(rng, _BIAS_MM).on(tissue.grid), -2, 2) / 2
    image *= 1 + np.float32(centre.bias) * bias
    # thermal noise of a voxel falls with its volume
    deviation = np.float32(1 / (centre.snr * spacing**1.5))
    real, imaginary = (rng.standard_normal(image.shape, dtype=np.float32) * deviation for _ in range(2))
    image = np.hypot(image + real, imaginary)
    gain = centre.gain * centre.modality_gain[modality] * float(np.exp(0.1 * rng.standard_normal()))
    inside = tissue.brain > 0.5
    scaled: np.ndarray = np.where(inside, np.maximum(image * np.float32(gain), 1), 0).astype(np.float32)
    return scaled
