"""From tissue to scanner intensities: sequence contrast, intensity non-uniformity, resolution and Rician noise.

T1 takes its tissue means from the template itself. T2, FLAIR and PD follow the spin-echo and inversion-recovery signal
equations with published relaxation times; DWI adds the decay by diffusion at b = 1000 s/mm², ADC is a map of physical
values in 1e-3 mm²/s. ``docs/in-silico.md`` says where each number comes from.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cerebench.api import UsageError
from cerebench_datasets.insilico.anatomy import Tissue
from cerebench_datasets.insilico.centres import Centre
from cerebench_datasets.insilico.fields import Grid, RandomField
from cerebench_datasets.insilico.kinds.kind import Signal
from cerebench_datasets.insilico.template import load_template

MODALITIES = ("t1", "t1c", "t2", "flair", "pd", "dwi", "adc")

RELAXATION: dict[str, tuple[float, float, float]] = {
    "csf": (4300.0, 329.0, 1.0),
    "gm": (833.0, 83.0, 0.86),
    "wm": (500.0, 70.0, 0.77),
}
"""Tissue → T1 ms, T2 ms, proton density at 1.5 T."""

DIFFUSION: Mapping[str, float] = {"csf": 3.0, "gm": 0.84, "wm": 0.75}
"""Tissue → apparent diffusion coefficient, 1e-3 mm²/s."""

_AT_3T: Mapping[str, tuple[float, float]] = {"csf": (1.0, 1.0), "gm": (1.40, 0.96), "wm": (1.25, 0.96)}
_LESION_AT_3T = (1.25, 0.96)
"""Factors on T1 and T2 from 1.5 T to 3 T; linear between."""

_GREY_UPTAKE = 1.04
_SEQUENCE = {
    "t2": (8000.0, 100.0, 0.0),
    "pd": (8000.0, 8.0, 0.0),
    "flair": (9000.0, 120.0, 2350.0),
    "dwi": (6000.0, 85.0, 0.0),
}
"""Modality → repetition, echo and inversion time in ms."""

_B_VALUE = {"dwi": 1.0}
"""Modality → diffusion weighting in 1e3 s/mm², the trace over all directions."""

_DETAIL = {"t1": 1.0, "t1c": 1.0, "t2": -0.5, "flair": -0.3, "pd": -0.2, "dwi": -0.3, "adc": 0.0}
_VARIATION = {"t1": 1.0, "t1c": 1.0, "t2": -1.0, "flair": -0.7, "pd": -0.3, "dwi": -1.0, "adc": 1.0}
"""How the template's T1 detail and the subject's tissue variation show in each modality."""

_ECHO_PLANAR = ("dwi", "adc")
_ECHO_PLANAR_BLUR, _ECHO_PLANAR_SNR = 1.6, 0.25
"""Echo-planar scans against the centre's others: point spread and signal-to-noise ratio."""

_SKULL_BASE_MM, _SKULL_BASE_WIDTH_MM, _PILE_UP_MM = -15.0, 8.0, 12.0
_PILE_UP, _PILE_UP_PATCHES = 3.0, 0.6
"""Signal gathers near the skull base, where the field is uneven: strength in units of the non-uniformity."""

_LOWEST = {"adc": 0.01}
"""Smallest value inside the brain where it is not 1 scanner unit."""

_BIAS_MM = 70.0
_FWHM = 2.3548


def tissue_means(modality: str, centre: Centre, signals: Mapping[str, Signal] = {}) -> dict[str, float]:
    """Signal of pure tissues and lesion parts in units of white matter; of ``adc`` in 1e-3 mm²/s.

    Args:
        modality: one of :data:`MODALITIES`.
        centre: the scanner.
        signals: lesion part → how it shows.

    Raises:
        UsageError: the modality is not modelled.
    """
    if modality in ("t1", "t1c"):
        enhanced = modality == "t1c"
        pure = load_template().t1_means
        grey = 1 - (1 - pure["gm"]) * centre.grey_contrast
        means = {"csf": pure["csf"], "gm": grey * (_GREY_UPTAKE if enhanced else 1.0), "wm": 1.0}
        return means | {part: signal.t1c if enhanced else signal.t1 for part, signal in signals.items()}
    diffusion = {**DIFFUSION, **{part: signal.adc for part, signal in signals.items()}}
    if modality == "adc":
        return diffusion
    if modality not in _SEQUENCE:
        raise UsageError(f"the phantom has no modality {modality!r}; it offers: {', '.join(MODALITIES)}")
    constants = RELAXATION | {part: (each.t1_ms, each.t2_ms, each.density) for part, each in signals.items()}
    found = {part: _spin_echo(modality, part, values, centre) for part, values in constants.items()}
    decay = _B_VALUE.get(modality, 0.0)
    found = {part: value * float(np.exp(-decay * diffusion[part])) for part, value in found.items()}
    return {part: value / found["wm"] for part, value in found.items()}


def _spin_echo(modality: str, part: str, constants: tuple[float, float, float], centre: Centre) -> float:
    """Magnitude of the spin-echo signal, with an inversion pulse where the sequence has one."""
    repetition, echo, inversion = _SEQUENCE[modality]
    t1, t2, density = constants
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
    signals: Mapping[str, Signal],
    modality: str,
    centre: Centre,
    rng: np.random.Generator,
) -> np.ndarray:
    """One skull-stripped scan.

    Args:
        tissue: the subject.
        parts: lesion part → share on the same grid in which the lesion's signal replaces the tissue's.
        signals: lesion part → how it shows.
        modality: one of :data:`MODALITIES`.
        centre: the scanner.
        rng: for gain, non-uniformity and noise.

    Returns:
        ``[X, Y, Z]`` float32 in scanner units (``adc``: 1e-3 mm²/s), positive inside the brain, exactly 0 outside.
    """
    from scipy import ndimage

    means = tissue_means(modality, centre, signals)
    # the head lies in cerebrospinal fluid, so that voxels at the surface mix with it
    csf = tissue.csf + (1 - tissue.brain)
    image = means["csf"] * csf + means["gm"] * tissue.gm + means["wm"] * tissue.wm
    image += np.float32(_DETAIL[modality]) * tissue.detail
    image *= 1 + np.float32(_VARIATION[modality]) * tissue.variation
    for part, fraction in parts.items():
        image += fraction * (means[part] - image)
    spacing = tissue.grid.spacing
    coarser = _ECHO_PLANAR_BLUR if modality in _ECHO_PLANAR else 1.0
    widths = (centre.blur_mm, centre.blur_mm, centre.slice_mm)
    sigmas = [max((coarser * width) ** 2 - spacing**2, 0) ** 0.5 / _FWHM / spacing for width in widths]
    image = ndimage.gaussian_filter(image, sigmas, mode="nearest")
    # thermal noise of a voxel falls with its volume
    deviation = np.float32(1 / (centre.snr * spacing**1.5))
    if modality in _ECHO_PLANAR:
        deviation /= np.float32(_ECHO_PLANAR_SNR)
    if modality == "adc":
        image = _noisy_diffusion(image, deviation, rng)
        gain = 1.0
    else:
        bias = np.clip(RandomField(rng, _BIAS_MM).on(tissue.grid), -2, 2) / 2
        image *= 1 + np.float32(centre.bias) * bias
        if modality in _ECHO_PLANAR:
            image *= 1 + np.float32(centre.bias) * _pile_up(tissue.grid, rng)
        real, imaginary = (rng.standard_normal(image.shape, dtype=np.float32) * deviation for _ in range(2))
        image = np.hypot(image + real, imaginary)
        gain = centre.gain * centre.modality_gain[modality] * float(np.exp(0.1 * rng.standard_normal()))
    inside = tissue.brain > 0.5
    lowest = np.float32(_LOWEST.get(modality, 1.0))
    scaled: np.ndarray = np.where(inside, np.maximum(image * np.float32(gain), lowest), 0).astype(np.float32)
    return scaled


def _pile_up(grid: Grid, rng: np.random.Generator) -> np.ndarray:
    """Patchy relative signal gain near the skull base, in units of the non-uniformity: ``[X, Y, Z]``, at least 0."""
    height = grid.axes[2]
    near = 1 / (1 + np.exp((height - _SKULL_BASE_MM) / _SKULL_BASE_WIDTH_MM))
    patches = np.clip(1 + _PILE_UP_PATCHES * RandomField(rng, _PILE_UP_MM).on(grid), 0, 3)
    gain: np.ndarray = (_PILE_UP * near * patches).astype(np.float32)
    return gain


def _noisy_diffusion(adc: np.ndarray, deviation: np.float32, rng: np.random.Generator) -> np.ndarray:
    """ADC as computed from two noisy scans, ln(S0 / Sb) / b; gain and non-uniformity cancel in the ratio.

    Args:
        adc: true values, 1e-3 mm²/s.
        deviation: noise of the weighted scan in units of its white matter.
        rng: for the noise.
    """
    b = _B_VALUE["dwi"]
    weighted = np.exp(-b * adc)
    noise = deviation * np.float32(np.exp(-b * DIFFUSION["wm"]))
    # Rician magnitude of both scans; without weighting all tissues count as equally bright
    plain, shown = (
        np.hypot(*(part + noise * rng.standard_normal(adc.shape, dtype=np.float32) for part in (signal, 0.0)))
        for signal in (np.float32(1.0), weighted)
    )
    measured: np.ndarray = (np.log(plain / np.maximum(shown, 1e-6)) / b).astype(np.float32)
    return measured
