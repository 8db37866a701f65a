"""Prediction for one prepared case: batching, checks and the one rule for derived scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cerebench.contract.method import Method, PredictContext, Prediction
from cerebench.errors import MethodError

if TYPE_CHECKING:
    from torch import Tensor, device

TOP_SHARE = 0.01
"""A score that a method does not give is the mean of the highest 1 % of the map inside the brain."""


def out_of_memory(error: BaseException) -> bool:
    """Whether an error means that host or device memory ran out (torch has a class for the GPU only)."""
    words = str(error).lower()
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "not enough memory" in words
        or "can't allocate memory" in words
    )


@dataclass(frozen=True)
class VolumePrediction:
    """What the loop keeps of one case.

    Attributes:
        map: ``[D, H, W]`` float32 on the device, or ``None`` for a method without maps.
        score: score of the case; None if undefined.
        slice_scores: ``[W]``, NaN where a slice holds no brain; ``None`` for a method without maps or slice scores.
    """

    map: Tensor | None
    score: float | None
    slice_scores: Tensor | None


class BatchBackoff:
    """Batch size that halves on out-of-memory and is remembered for the following batches."""

    def __init__(self, size: int) -> None:
        self.size = max(1, size)
        self.reductions = 0

    def halve(self) -> None:
        self.size = max(1, self.size // 2)
        self.reductions += 1


def predict_volume(
    method: Method,
    image: Tensor,
    brain: Tensor,
    *,
    spacing: tuple[float, float, float],
    modalities: tuple[str, ...],
    device: device,
    seed: int = 0,
    batch: BatchBackoff | None = None,
    lesion_mask: Tensor | None = None,
    covariates: Mapping[str, float | str] | None = None,
) -> VolumePrediction:
    """Run a method on one case and check what it returns.

    Args:
        method: a built method with its tensors in place.
        image: ``[C, D, H, W]`` float32 on ``device``.
        brain: ``[D, H, W]`` bool on ``device``.
        spacing: mm along D, H, W.
        modalities: names of the channels.
        device: where images are and maps must be.
        seed: passed to the method.
        batch: slice batch size with its back-off state; a fresh one of 64 if None.
        lesion_mask: side input for methods that declare it.
        covariates: side input for methods that declare it.

    Raises:
        MethodError: wrong type, shape, device or non-finite values, naming what was found and expected.
    """
    batch = batch or BatchBackoff(64)
    if method.info.unit == "slice":
        return _predict_slices(method, image, brain, spacing, modalities, device, seed, batch)
    # copies: what a method writes into its inputs never reaches the scoring
    context = PredictContext(
        brain=brain[None].clone(),
        spacing=spacing,
        modalities=modalities,
        device=device,
        seed=seed,
        lesion_mask=None if lesion_mask is None else lesion_mask[None].clone(),
        covariates=None if covariates is None else (covariates,),
    )
    prediction = _checked(method, method.predict(image[None], context), (1, *brain.shape), device)
    own = None if prediction.slice_scores is None else _in_brain(method, prediction.slice_scores[0].float(), brain)
    if prediction.maps is None:
        score = None if prediction.scores is None else float(prediction.scores[0])
        return VolumePrediction(map=None, score=score, slice_scores=own)
    volume = prediction.maps[0].float()
    score = _top_mean(volume[brain]) if prediction.scores is None else float(prediction.scores[0])
    return VolumePrediction(map=volume, score=score, slice_scores=_slice_scores(volume, brain) if own is None else own)


def _predict_slices(
    method: Method,
    image: Tensor,
    brain: Tensor,
    spacing: tuple[float, float, float],
    modalities: tuple[str, ...],
    device: device,
    seed: int,
    batch: BatchBackoff,
) -> VolumePrediction:
    import torch

    slices = image.permute(3, 0, 1, 2)
    masks = brain.permute(2, 0, 1)
    wanted = torch.nonzero(masks.flatten(1).any(1)).flatten()
    if len(wanted) == 0:
        raise MethodError("the brain mask of the case is empty: no slice to score")
    maps = scores = None
    start = 0
    while start < len(wanted):
        index = wanted[start : start + batch.size]
        context = PredictContext(
            brain=masks[index].contiguous(), spacing=spacing[:2], modalities=modalities, device=device, seed=seed
        )
        try:
            raw = method.predict(slices[index].contiguous(), context)
        except (RuntimeError, MemoryError) as error:
            if batch.size == 1 or not out_of_memory(error):
                raise
            batch.halve()
            if device.type == "cuda":
                torch.cuda.empty_cache()
            continue
        part = _checked(method, raw, (len(index), *brain.shape[:2]), device)
        if start == 0:
            if part.maps is not None:
                maps = torch.zeros_like(brain, dtype=torch.float32)
            if part.scores is not None:
                scores = torch.full((brain.shape[2],), float("nan"), device=device)
        if (part.maps is None) != (maps is None) or (part.scores is None) != (scores is None):
            raise MethodError(f"method {method.info.name!r} returned maps or scores for some batches only")
        if maps is not None and part.maps is not None:
            maps[:, :, index] = part.maps.float().permute(1, 2, 0)
        if scores is not None and part.scores is not None:
            scores[index] = part.scores.float()
        start += len(index)
    if scores is None and maps is not None:
        scores = _slice_scores(maps, brain)
        case_score = _top_mean(maps[brain])
    else:
        assert scores is not None
        case_score = float(scores[wanted].max())
    return VolumePrediction(map=maps, score=case_score, slice_scores=scores)


def _checked(method: Method, prediction: Prediction, shape: tuple[int, ...], device: device) -> Prediction:
    import torch

    name = method.info.name
    if not isinstance(prediction, Prediction):
        raise MethodError(f"method {name!r}: predict returned {type(prediction).__name__}, expected a Prediction")
    if prediction.maps is None and prediction.scores is None:
        raise MethodError(f"method {name!r}: predict returned neither maps nor scores")
    parts = [("maps", prediction.maps, shape), ("scores", prediction.scores, shape[:1])]
    if len(shape) == 4:
        parts.append(("slice_scores", prediction.slice_scores, (shape[0], shape[3])))
    elif prediction.slice_scores is not None:
        raise MethodError(f"method {name!r}: slice_scores are for whole volumes; a slice's score goes into scores")
    for what, value, expected in parts:
        if value is None:
            continue
        if not isinstance(value, torch.Tensor):
            raise MethodError(f"method {name!r}: {what} are {type(value).__name__}, expected a torch.Tensor")
        if tuple(value.shape) != tuple(expected):
            raise MethodError(f"method {name!r}: {what} have shape {tuple(value.shape)}, expected {tuple(expected)}")
        if value.device.type != device.type:
            raise MethodError(f"method {name!r}: {what} are on {value.device}, expected {device}")
        if what != "slice_scores" and not bool(torch.isfinite(value).all()):
            raise MethodError(f"method {name!r}: {what} hold NaN or infinite values")
    if method.info.task == "lesion-classification":
        _check_probabilities(name, prediction.scores)
    return prediction


def _in_brain(method: Method, scores: Tensor, brain: Tensor) -> Tensor:
    """Slice scores, NaN where a slice holds no brain."""
    import torch

    inside = brain.any(0).any(0)
    if not bool(torch.isfinite(scores[inside]).all()):
        raise MethodError(
            f"method {method.info.name!r}: slice_scores hold NaN or infinite values for slices with brain"
        )
    return torch.where(inside, scores, torch.nan)


def _check_probabilities(name: str, scores: Tensor | None) -> None:
    if scores is None:
        raise MethodError(f"method {name!r}: predict returned no scores, expected a probability a lesion")
    low, high = float(scores.min()), float(scores.max())
    if not 0 <= low <= high <= 1:
        raise MethodError(f"method {name!r}: scores span [{low:g}, {high:g}], expected probabilities in [0, 1]")


def _top_mean(values: Tensor) -> float:
    if values.numel() == 0:
        raise MethodError("the brain mask of the case is empty: no voxel to score")
    count = max(1, round(TOP_SHARE * values.numel()))
    return float(values.topk(count).values.double().mean())


def _slice_scores(volume: Tensor, brain: Tensor) -> Tensor:
    """Top-share mean of every axial slice, NaN where it holds no brain; ``[W]``."""
    import torch

    floor = volume.min() - 1
    flat = torch.where(brain, volume, floor).permute(2, 0, 1).flatten(1)
    counts = brain.permute(2, 0, 1).flatten(1).sum(1)
    take = (counts.double() * TOP_SHARE).round().clamp(min=1).long()
    ordered = flat.topk(int(take.max()), dim=1).values
    keep = torch.arange(ordered.shape[1], device=volume.device)[None] < take[:, None]
    means = (ordered.double() * keep).sum(1) / take
    return torch.where(counts > 0, means, torch.nan).float()
