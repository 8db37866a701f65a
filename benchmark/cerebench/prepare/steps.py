"""The steps, in order: read, canonical order, brain, target grid, resampling, intensity scale, labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cerebench.contract.data import ANOMALY, IGNORE, NORMAL, Case, ReadPolicy
from cerebench.errors import DataError
from cerebench.prepare.brain import find_brain, other_grid
from cerebench.prepare.grid import between, canonical, resample, resample_within, target_affine, voxels_outside
from cerebench.prepare.read import Scan, describe_grid, read_image, read_mask, same_grid
from cerebench.prepare.spec import PREPARE_VERSION, PrepareSpec

Array = np.ndarray[Any, Any]

_STATES = {"normal": NORMAL, "anomaly": ANOMALY, "ignore": IGNORE}
_UNKNOWN = 255


@dataclass(frozen=True)
class Steps:
    """What preparation gives, before it is stored.

    Attributes:
        image: ``[C, D, H, W]`` float32.
        brain: ``[D, H, W]`` bool.
        labels: ``[D, H, W]`` uint8 (0 normal, 1 anomaly, 2 ignore), or ``None`` where there is no mask file.
        meta: what was found and done, ready for JSON.
    """

    image: Array
    brain: Array
    labels: Array | None
    meta: dict[str, Any]


@dataclass(frozen=True)
class _Channel:
    scan: Scan
    brain: Array
    origin: str
    original: dict[str, Any]


def run_steps(case: Case, modalities: Sequence[str], policy: ReadPolicy, spec: PrepareSpec) -> Steps:
    """Prepare one case.

    Args:
        case: files.
        modalities: channels wanted, in order.
        policy: how this cohort is read.
        spec: target grid and intensity scale.

    Raises:
        DataError: any fault of the case's files.
    """
    channels = [_channel(image_file(case, name), case.brain_mask, policy) for name in modalities]
    first = modalities.index(case.mask_modality) if case.mask_modality in modalities else 0
    reference = channels[first]
    affine = target_affine(reference.scan, reference.brain, spec.spacing_mm, spec.shape)

    brain = np.ones(spec.shape, dtype=bool)
    images, details = [], {}
    for name, channel in zip(modalities, channels, strict=True):
        matrix = between(channel.scan.affine, affine)
        brain &= resample(channel.brain.astype(np.uint8), matrix, spec.shape, order=0) > 0
        low, high = _range(channel, spec)
        image = (resample_within(channel.scan.data, channel.brain, matrix, spec.shape) - low) / (high - low)
        images.append(np.clip(image, spec.clip_low, spec.clip_high, dtype=np.float32))
        details[name] = {
            **channel.original,
            "brain_mask": channel.origin,
            "brain_voxels": int(np.count_nonzero(channel.brain)),
            "brain_voxels_cut": voxels_outside(channel.brain, matrix, spec.shape),
            "scaled_from": [low, high],
        }
    if not brain.any():
        raise DataError(
            f"{case.images[modalities[0]]}: found no brain voxel shared by {', '.join(modalities)} of case {case.id}; "
            "check that the scans lie in one space"
        )
    labels, lesion_facts = None, None
    if case.mask is not None:
        labels, lesion_facts = _labels(case, channels, reference, policy, affine, brain)
        if policy.lesion_free_mm is not None:
            brain[..., near_lesion(labels, policy.lesion_free_mm / spec.spacing_mm)] = False
            labels = None
    image = np.stack(images) * brain
    meta: dict[str, Any] = {
        "version": PREPARE_VERSION,
        "modalities": list(modalities),
        "spacing": [spec.spacing_mm] * 3,
        "shape": list(spec.shape),
        "affine": affine.tolist(),
        "brain_voxels": int(np.count_nonzero(brain)),
        "brain_voxels_by_slice": np.count_nonzero(brain, axis=(0, 1)).tolist(),
        "clipped_voxels": int(np.count_nonzero(((image <= spec.clip_low) | (image >= spec.clip_high)) & brain)),
        "channels": details,
    }
    if lesion_facts is not None:
        meta["lesion"] = lesion_facts
    normal = case.healthy or (lesion_facts is not None and policy.lesion_free_mm is not None)
    meta["labels"] = "file" if labels is not None else "healthy" if normal else "none"
    return Steps(image, brain, labels, meta)


def near_lesion(labels: Array, margin: float) -> Array:
    """Axial slices ``[W]`` bool that hold a voxel other than normal, or lie within ``margin`` slices of such a one."""
    touched = (labels != NORMAL).any(axis=(0, 1))
    distance = np.abs(np.arange(touched.size)[:, None] - np.flatnonzero(touched)[None, :])
    return np.asarray((distance <= margin).any(axis=1))


def image_file(case: Case, modality: str) -> Path:
    """File of a modality.

    Raises:
        DataError: the case has no such modality.
    """
    if modality not in case.images:
        found = ", ".join(sorted(case.images)) or "nothing"
        raise DataError(
            f"case {case.id} of {case.cohort}: modality {modality} is missing (found {found}); "
            "add its file or leave the modality out of the protocol"
        )
    return case.images[modality]


def _channel(path: Path, brain_mask: Path | None, policy: ReadPolicy) -> _Channel:
    raw = read_image(path, policy.slices)
    scan = canonical(raw)
    brain, origin = find_brain(scan, brain_mask, policy)
    original = {
        "shape": list(raw.shape),
        "spacing": list(raw.spacing),
        "grid": describe_grid(raw),
        "orientation_in_header": raw.oriented,
    }
    return _Channel(scan, brain, origin, original)


def _range(channel: _Channel, spec: PrepareSpec) -> tuple[float, float]:
    # On the original voxels, so that the scale does not depend on the target's spacing.
    inside = channel.scan.data[channel.brain]
    low, high = (float(value) for value in np.percentile(inside, [spec.low_percentile, spec.high_percentile]))
    if not high > low:
        raise DataError(
            f"{channel.scan.path}: found the same intensity {low:g} in nearly the whole brain, expected an image; "
            "check the file and its brain mask"
        )
    return low, high


def _labels(
    case: Case, channels: Sequence[_Channel], reference: _Channel, policy: ReadPolicy, affine: Array, brain: Array
) -> tuple[Array, dict[str, Any]]:
    assert case.mask is not None
    mask = canonical(read_mask(case.mask, policy.slices))
    moved = [channel.scan for channel in channels if not same_grid(mask, channel.scan)]
    if moved and not policy.resample_mask:
        raise other_grid(mask, moved[0])
    states = label_states(mask, policy, case.lesion)
    matrix = between(mask.affine, affine)
    labels = resample(states, matrix, brain.shape, order=0)

    lesion = states == ANOMALY
    to_reference = between(reference.scan.affine, mask.affine)
    within = resample(reference.brain.astype(np.uint8), to_reference, mask.shape, order=0) > 0
    after = labels == ANOMALY
    voxel_ml = float(np.prod(mask.spacing)) / 1000.0
    target_ml = float(abs(np.linalg.det(affine[:3, :3]))) / 1000.0
    count, left = int(np.count_nonzero(lesion)), int(np.count_nonzero(after))
    return labels, {
        "voxels_original": count,
        "ml_original": count * voxel_ml,
        "outside_brain_original": int(np.count_nonzero(lesion & ~within)),
        "cut": voxels_outside(lesion, matrix, brain.shape),
        "voxels": left,
        "ml": left * target_ml,
        "outside_brain": int(np.count_nonzero(after & ~brain)),
        "ignored_voxels": int(np.count_nonzero(labels == IGNORE)),
        "resampled_from_other_grid": bool(moved),
    }


def label_states(mask: Scan, policy: ReadPolicy, lesion: int | None = None) -> Array:
    """Mask values → uint8 states by the card's label map; 0 is normal unless the map says otherwise.

    Args:
        mask: integers.
        policy: label map, and whether values are a lesion's number followed by the digit of a part.
        lesion: the one lesion that counts; voxels of others are ignored. ``None``: all count.

    Raises:
        DataError: a value that the map does not know, or no voxel of the one lesion.
    """
    known = {0: NORMAL} | {int(value): _STATES[state] for value, state in policy.labels.items()}
    numbers, parts = np.divmod(mask.data, 10) if policy.numbered_lesions else (np.ones_like(mask.data), mask.data)
    states: Array = np.full(mask.shape, _UNKNOWN, dtype=np.uint8)
    for value, state in known.items():
        states[parts == value] = state
    if policy.numbered_lesions:
        # a part without a lesion's number, and a number without a part, are both unknown
        states[(numbers <= 0) | (parts == 0)] = _UNKNOWN
        states[mask.data == 0] = NORMAL
    unknown = mask.data[states == _UNKNOWN]
    if len(unknown):
        expected = ", ".join(str(value) for value in sorted(known))
        what = (
            f"0, or a lesion number followed by one of {expected}" if policy.numbered_lesions else f"one of {expected}"
        )
        raise DataError(
            f"{mask.path}: found label value {int(unknown.min())}, expected {what}; "
            "correct the mask or the card's label map"
        )
    if lesion is not None:
        mine = numbers == lesion if policy.numbered_lesions else mask.data == lesion
        if not (mine & (states == ANOMALY)).any():
            raise DataError(f"{mask.path}: found no voxel of lesion {lesion}; correct the mask or the table of lesions")
        states[(states == ANOMALY) & ~mine] = IGNORE
    return states
