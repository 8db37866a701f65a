"""Prediction and voxel counting of one case: the only place where maps meet labels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cerebench.contract.data import ANOMALY, IGNORE, NORMAL
from cerebench.contract.method import Method
from cerebench.loop.device import StageTimer, autocast
from cerebench.loop.feed import Loaded
from cerebench.loop.lesions import lesion_box
from cerebench.loop.predict import BatchBackoff, VolumePrediction, predict_volume
from cerebench.plan.cells import CaseRef, Options
from cerebench.scoring.postprocess import erode, median_filter
from cerebench.scoring.sketch import ScoreSketch
from cerebench.training.seeding import derived_seed, seed_all

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class SliceScore:
    """Score of one axial slice; ``lesion`` says whether it holds an anomalous voxel."""

    index: int
    lesion: bool
    score: float


@dataclass
class CaseScores:
    """What is kept of one predicted case.

    Attributes:
        ref: the case.
        score: case score, ``None`` where the method gives neither maps nor scores.
        maps: post-processing → map ``[D, H, W]``; dropped by the caller once counted.
        region: ``[D, H, W]`` bool, the voxels that count: brain, eroded where the card says so, without "ignore".
        anomaly: ``[D, H, W]`` bool, anomalous voxels of the region.
        sketches: post-processing → counts of scores by label.
        slices: slice scores, without slices whose only pathology does not count ("ignore", or outside the region).
        outside: anomalous voxels outside the region.
        labelled: whether there is a reference of voxels; without one no voxel is counted, and no slice unless slices
            inherit the diagnosis.
    """

    ref: CaseRef
    score: float | None
    maps: dict[str, Tensor]
    region: Tensor
    anomaly: Tensor
    sketches: dict[str, ScoreSketch] = field(default_factory=dict)
    slices: list[SliceScore] = field(default_factory=list)
    outside: int = 0
    labelled: bool = True


def predict_case(
    method: Method, loaded: Loaded, options: Options, seed: int, batch: BatchBackoff, timer: StageTimer
) -> CaseScores:
    """Predict one case, post-process its map and count scores by label.

    Raises:
        MethodError: the method breaks its contract.
        DataError: a lesion method meets a case without a lesion.
    """
    import torch

    lesion_unit = method.info.unit == "lesion"
    image, brain, labels = loaded.image, loaded.brain, loaded.labels
    if lesion_unit:
        box = lesion_box(labels, options.lesion_crop_mm, loaded.spacing, loaded.ref.id)
        image, brain = image[(slice(None), *box)], brain[box]
        labels = None if labels is None else labels[box]
    inputs = method.info.inputs
    # a method that samples gives the same map whatever was predicted before, in this process or another
    seed_all(derived_seed(seed, "predict", loaded.ref.patient, loaded.ref.id))
    with timer.stage("predict"), torch.inference_mode(), autocast(image.device, options.precision):
        prediction = predict_volume(
            method,
            image,
            brain,
            spacing=loaded.spacing,
            modalities=loaded.ref.modalities,
            device=image.device,
            seed=seed,
            batch=batch,
            lesion_mask=labels if "lesion-mask" in inputs else None,
            covariates=dict(loaded.ref.covariates) if "covariates" in inputs else None,
        )
    with timer.stage("score"):
        return _count(prediction, loaded, brain, labels, options, timer)


def _count(
    prediction: VolumePrediction,
    loaded: Loaded,
    brain: Tensor,
    labels: Tensor | None,
    options: Options,
    timer: StageTimer,
) -> CaseScores:
    import torch

    region = brain
    if loaded.ref.erosion_mm > 0:
        region = torch.from_numpy(erode(brain.cpu().numpy(), loaded.spacing, loaded.ref.erosion_mm)).to(brain.device)
    if labels is None:
        anomaly = torch.zeros_like(region)
    else:
        region = region & (labels != IGNORE)
        anomaly = labels == ANOMALY
    result = CaseScores(
        ref=loaded.ref,
        score=prediction.score,
        maps={},
        region=region,
        anomaly=anomaly & region,
        outside=int((anomaly & ~region).sum()),
        labelled=labels is not None,
    )
    if labels is None:
        if prediction.slice_scores is not None and options.slice_labels == "inherit":
            sick = torch.full_like(region, not loaded.ref.healthy, dtype=torch.uint8) * region
            result.slices = _slice_rows(prediction.slice_scores, region, sick == ANOMALY, sick)
        return result
    if prediction.map is not None and options.task == "anomaly":
        for post in options.post:
            scores = prediction.map
            if post == "median":
                with timer.stage("post-process"):
                    scores = median_filter(prediction.map, brain, loaded.spacing)
            result.maps[post] = scores
            result.sketches[post] = ScoreSketch().update(scores[region], result.anomaly[region])
    if prediction.slice_scores is not None:
        result.slices = _slice_rows(prediction.slice_scores, region, result.anomaly, labels)
    return result


def _slice_rows(scores: Tensor, region: Tensor, anomaly: Tensor, labels: Tensor) -> list[SliceScore]:
    import torch

    lesion = anomaly.any(0).any(0)
    touched = (labels != NORMAL).any(0).any(0)
    wanted = region.any(0).any(0) & torch.isfinite(scores) & (lesion | ~touched)
    return [
        SliceScore(index=int(index), lesion=bool(lesion[index]), score=float(scores[index]))
        for index in torch.nonzero(wanted).flatten().tolist()
    ]
