"""One case predicted as the loop predicts it, with the method's own pictures of the levels that are shown."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cerebench.errors import MethodError
from cerebench.explain.levels import Level, choose_levels

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, device

    from cerebench.contract.method import Method
    from cerebench.explain.target import Target
    from cerebench.loop.feed import Loaded
    from cerebench.loop.predict import BatchBackoff
    from cerebench.loop.rows import Row
    from cerebench.loop.thresholds import Thresholds
    from cerebench.store import Store


@dataclass(frozen=True)
class Explained:
    """What is known of one case.

    Attributes:
        score: case score; ``None`` if undefined.
        rows: the loop's rows of the case, as in ``cases.parquet``.
        thresholds: in force for the case's patient.
        map: ``[D, H, W]`` float32 anomaly map, ``None`` for a method without maps.
        slice_scores: slice → score, also of slices that do not count.
        levels: slices that are shown.
        pictures: name → ``[len(levels), D, H]`` float32; images first, then maps, then the method's own.
        numbers: further numbers of the method, one a name.
        lesion, ignored: ``[D, H, W]`` bool.
        region: ``[D, H, W]`` bool, the voxels that count.
        labelled: whether there is a reference of voxels; without one ``lesion`` is empty and says nothing.
        spacing: mm along D, H, W.
    """

    score: float | None
    rows: list[Row]
    thresholds: Thresholds
    map: np.ndarray[Any, Any] | None
    slice_scores: Mapping[int, float]
    levels: tuple[Level, ...]
    pictures: Mapping[str, np.ndarray[Any, Any]]
    numbers: Mapping[str, float]
    lesion: np.ndarray[Any, Any]
    ignored: np.ndarray[Any, Any]
    region: np.ndarray[Any, Any]
    labelled: bool
    spacing: tuple[float, float, float]


def explain_case(method: Method, target: Target, store: Store, place: device) -> Explained:
    """Predict and explain the target's case.

    Raises:
        MethodError: the method breaks its contract.
        DataError: a lesion method meets a case without a lesion.
    """
    import torch

    from cerebench.contract.data import IGNORE
    from cerebench.loop.cases import predict_case
    from cerebench.loop.device import StageTimer
    from cerebench.loop.feed import load_case
    from cerebench.loop.predict import BatchBackoff
    from cerebench.loop.reference import load_reference
    from cerebench.loop.rows import case_rows

    options, seed = target.job.options, target.job.seed
    loaded = load_case(target.case, place)
    rule, _ = load_reference(store.path(target.cell.reference), options.percentiles)
    batch = BatchBackoff(options.slice_batch)
    scores = predict_case(method, loaded, options, seed, batch, StageTimer(place))
    cut = _cut(method, loaded, target)
    found = scores.maps.get("raw")
    slice_scores = {item.index: item.score for item in scores.slices}
    if found is None:  # not kept where there is no reference of voxels
        found, slice_scores = _map(method, cut, target, batch)
    thresholds = rule.for_patient(target.case.patient)
    rows = case_rows(scores, thresholds, cut.spacing)
    lesion = scores.anomaly.cpu().numpy()
    levels = choose_levels(lesion, slice_scores, cut.brain.cpu().numpy(), cut.spacing)
    at = [level.index for level in levels]
    pictures = {name: _planes(cut.image[channel], at) for channel, name in enumerate(cut.ref.modalities)}
    pictures = {f"image {name}": planes for name, planes in pictures.items()}
    if found is not None:
        pictures["map"] = _planes(found, at)
        others = {post: item for post, item in scores.maps.items() if post != "raw"}
        pictures |= {f"map {post}": _planes(item, at) for post, item in sorted(others.items())}
    own, numbers = _own(method, cut, target, at)
    ignored = torch.zeros_like(cut.brain) if cut.labels is None else cut.labels == IGNORE
    return Explained(
        score=scores.score,
        rows=rows,
        thresholds=thresholds,
        map=None if found is None else found.float().cpu().numpy(),
        slice_scores=slice_scores,
        levels=levels,
        pictures={**pictures, **{name: planes for name, planes in own.items() if name not in pictures}},
        numbers=numbers,
        lesion=lesion,
        ignored=ignored.cpu().numpy(),
        region=scores.region.cpu().numpy(),
        labelled=scores.labelled,
        spacing=cut.spacing,
    )


def _cut(method: Method, loaded: Loaded, target: Target) -> Loaded:
    """What the method sees: the whole case, or the cube around the lesion."""
    if method.info.unit != "lesion":
        return loaded
    from dataclasses import replace

    from cerebench.loop.lesions import lesion_box

    box = lesion_box(loaded.labels, target.job.options.lesion_crop_mm, loaded.spacing, loaded.ref.id)
    labels = None if loaded.labels is None else loaded.labels[box]
    return replace(loaded, image=loaded.image[(slice(None), *box)], brain=loaded.brain[box], labels=labels)


def _side_inputs(method: Method, case: Loaded) -> dict[str, Any]:
    inputs = method.info.inputs
    return {
        "lesion_mask": case.labels if "lesion-mask" in inputs else None,
        "covariates": dict(case.ref.covariates) if "covariates" in inputs else None,
    }


def _map(method: Method, case: Loaded, target: Target, batch: BatchBackoff) -> tuple[Tensor | None, dict[int, float]]:
    """Map and slice scores of a case without a reference of voxels, or of a lesion."""
    import torch

    from cerebench.loop.device import autocast
    from cerebench.loop.predict import predict_volume

    _seed(target)
    place = case.image.device
    with torch.inference_mode(), autocast(place, target.job.options.precision):
        found = predict_volume(
            method,
            case.image,
            case.brain,
            spacing=case.spacing,
            modalities=case.ref.modalities,
            device=place,
            seed=target.job.seed,
            batch=batch,
            **_side_inputs(method, case),
        )
    scores = [] if found.slice_scores is None else found.slice_scores.tolist()
    return found.map, {index: score for index, score in enumerate(scores) if math.isfinite(score)}


def _seed(target: Target) -> None:
    """As in the loop: what a method draws depends on the case alone."""
    from cerebench.training.seeding import derived_seed, seed_all

    seed_all(derived_seed(target.job.seed, "predict", target.case.patient, target.case.id))


def _own(
    method: Method, case: Loaded, target: Target, at: list[int]
) -> tuple[dict[str, np.ndarray[Any, Any]], dict[str, float]]:
    """The method's pictures of the shown levels, and its numbers (tensors with one value an item)."""
    import torch

    from cerebench.contract.method import PredictContext
    from cerebench.loop.device import autocast

    slices = method.info.unit == "slice"
    if slices:
        images, brain = case.image.permute(3, 0, 1, 2)[at].contiguous(), case.brain.permute(2, 0, 1)[at].contiguous()
    else:
        images, brain = case.image[None].clone(), case.brain[None].clone()
    inputs = _side_inputs(method, case)
    mask, covariates = inputs["lesion_mask"], inputs["covariates"]
    context = PredictContext(
        brain=brain,
        spacing=case.spacing[:2] if slices else case.spacing,
        modalities=case.ref.modalities,
        device=images.device,
        seed=target.job.seed,
        lesion_mask=None if mask is None else mask[None].clone(),
        covariates=None if covariates is None else (covariates,),
    )
    _seed(target)
    with torch.inference_mode(), autocast(images.device, target.job.options.precision):
        found = method.explain(images, context)
    pictures: dict[str, np.ndarray[Any, Any]] = {}
    numbers: dict[str, float] = {}
    for name, value in found.items():
        picture = _checked(method.info.name, name, value, brain)
        if picture.ndim == 1:
            places = [f"{name} (slice {index})" for index in at] if slices else [name]
            numbers |= dict(zip(places, picture.tolist(), strict=True))
        elif slices:
            pictures[name] = picture.cpu().numpy()
        else:
            pictures[name] = _planes(picture[0], at)
    return pictures, numbers


def _checked(method: str, name: str, value: Any, brain: Tensor) -> Tensor:
    """A picture shaped like ``brain``, or one number an item.

    Raises:
        MethodError: another type or shape, or values that are not finite.
    """
    import torch

    if not isinstance(value, torch.Tensor):
        raise MethodError(f"method {method!r}: picture {name!r} is {type(value).__name__}, expected a torch.Tensor")
    shape, wanted = tuple(value.shape), tuple(brain.shape)
    if shape == wanted[1:] and wanted[0] == 1:
        value = value[None]
    elif shape not in (wanted, wanted[:1]):
        raise MethodError(f"method {method!r}: picture {name!r} has shape {shape}, expected {wanted} or {wanted[:1]}")
    if not bool(torch.isfinite(value).all()):
        raise MethodError(f"method {method!r}: picture {name!r} holds NaN or infinite values")
    checked: Tensor = value.float()
    return checked


def _planes(volume: Tensor, at: list[int]) -> np.ndarray[Any, Any]:
    """``[len(at), D, H]`` float32 of a volume ``[D, H, W]``."""
    planes: np.ndarray[Any, Any] = volume[..., at].permute(2, 0, 1).float().cpu().numpy()
    return planes
