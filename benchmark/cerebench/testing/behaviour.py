"""Checks on what a method does with mock volumes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from cerebench.contract.method import Method, Prediction
from cerebench.testing import resources
from cerebench.testing.canary import Canary, LabelAccessError
from cerebench.testing.outcome import Broken, Measured, NotApplicable, require
from cerebench.testing.trial import Inputs, Trial

if TYPE_CHECKING:
    from cerebench.loop.predict import VolumePrediction
    from cerebench.testing.mock import MockCase

BATCH_TOLERANCE = 1e-4
"""Of the spread of the scores: batched kernels add up in another order."""

GPU_TOLERANCE = 1e-3
"""Of the spread of the scores, between two trainings on a GPU, where some kernels are not deterministic."""

BETTER_THAN_RANDOM = 1.5
"""Average precision of a planted bright lesion, in multiples of a random map's, that an anomaly map must reach."""


def _trains(trial: Trial) -> str:
    method, _ = trial.first
    require(not trial.changed, f"stage {trial.changed[:1]} changes the training images it is given")
    return f"{len(method.tensors())} tensors" if trial.info.stages else "learns nothing"


def _shapes(trial: Trial) -> str:
    found = _column(trial, trial.method, trial.case(0, 1))
    if trial.info.task == "lesion-classification":
        require(found.score is not None, "a lesion classifier has to return scores")
    if found.map is None:
        return f"score {found.score:.4g}"
    raw = trial.predict(trial.method, trial.inputs([trial.case(0, 1)])).maps
    dtype = "" if raw is None else str(raw.dtype).removeprefix("torch.")
    require(raw is None or raw.dtype.is_floating_point, f"maps are {dtype}, expected floating-point numbers")
    inside = found.map[torch.from_numpy(trial.case(0, 1).volume.brain).to(trial.target)]
    require(bool(inside.max() > inside.min()), f"the map is constant inside the brain ({float(inside.max()):.4g})")
    return f"map {tuple(found.map.shape)} of {dtype} from {float(inside.min()):.4g} to {float(inside.max()):.4g}"


def _no_mutation(trial: Trial) -> str:
    inputs = trial.inputs([trial.case(0, 1), trial.case(1, 1)])
    before = [value.clone() for value in (inputs.images, inputs.brain)]
    mask = None if inputs.lesion_mask is None else inputs.lesion_mask.clone()
    state = {key: value.clone() for key, value in trial.method.tensors().items()}
    trial.predict(trial.method, inputs)
    require(torch.equal(before[0], inputs.images), "predict changes the images it is given")
    require(torch.equal(before[1], inputs.brain), "predict changes the brain mask it is given")
    if mask is not None and inputs.lesion_mask is not None:
        require(torch.equal(mask, inputs.lesion_mask), "predict changes the lesion mask it is given")
    after = trial.method.tensors()
    changed = sorted(key for key, value in state.items() if key not in after or not torch.equal(value, after[key]))
    require(not changed, f"predict changes the method's own tensor {changed[:1]}: a case would depend on those before")
    return ""


def _no_labels(trial: Trial) -> str:
    sightings = list(trial.sightings)
    inputs = trial.inputs([trial.case(0, 1)])
    hidden: dict[str, Any] = {}
    for name, declared in (("lesion_mask", "lesion-mask"), ("covariates", "covariates")):
        if declared not in trial.info.inputs:
            hidden[name] = Canary(f"context.{name}", sightings)
    if not sightings:
        try:
            with torch.inference_mode():
                trial.method.predict(inputs.images, trial.context(inputs, **hidden))
        except LabelAccessError:
            require(bool(sightings), "a label was used")
    require(not sightings, f"it uses {sightings[0] if sightings else ''}, which it does not declare as an input")
    return ""


def _repeats(trial: Trial) -> str:
    inputs = trial.inputs([trial.case(0, 1)])
    first, second = trial.predict(trial.method, inputs), trial.predict(trial.method, inputs)
    _equal(first, second, 0.0, "two predictions of one input differ; draw random numbers from context.seed")
    if not trial.info.stages:
        return "prediction"
    again, _ = trial.second
    tolerance = 0.0 if trial.target.type == "cpu" else GPU_TOLERANCE
    _equal(
        first,
        trial.predict(again, inputs),
        tolerance,
        "two trainings with one seed give different predictions; draw every random number after build from torch's, "
        "numpy's or random's global generator or from run.seed",
    )
    return "prediction and training"


def _restores(trial: Trial) -> str:
    inputs = trial.inputs([trial.case(0, 1)])
    trained, artefact = trial.first
    restored = trial.restored(artefact)
    _equal(
        trial.predict(trained, inputs),
        trial.predict(restored, inputs),
        0.0 if trial.target.type == "cpu" else BATCH_TOLERANCE,
        "a fresh object with the saved tensors predicts something else; keep what is learnt in tensors or modules "
        "held as attributes that build creates",
    )
    return f"{len(restored.tensors())} tensors"


def _batches(trial: Trial) -> str:
    inputs = trial.inputs([trial.case(index, index % 2) for index in range(3)])
    whole = trial.predict(trial.method, inputs)
    for index in range(len(inputs.images)):
        alone = trial.predict(trial.method, inputs.part(index))
        part = Prediction(
            None if whole.maps is None else whole.maps[index : index + 1],
            None if whole.scores is None else whole.scores[index : index + 1],
        )
        _equal(part, alone, BATCH_TOLERANCE, f"item {index} of a batch is predicted differently alone", whole)
    return f"{len(inputs.images)} items"


def _odd(trial: Trial) -> str:
    method, _ = trial.train(0, trial.odd_shape)
    _column(trial, method, trial.case(0, 1, trial.odd_shape))
    return " × ".join(map(str, trial.odd_shape))


def _empty(trial: Trial) -> str:
    if trial.info.unit != "slice":
        raise NotApplicable("volumes and lesions without any brain are never delivered")
    inputs = trial.inputs([trial.case(0, 1)])
    blank = Inputs(torch.zeros_like(inputs.images[:2]), torch.zeros_like(inputs.brain[:2]), None, None)
    prediction = trial.predict(trial.method, blank)
    for what, value in (("map", prediction.maps), ("score", prediction.scores)):
        if value is not None:
            require(bool(torch.isfinite(value).all()), f"a slice without brain gets a {what} that is not finite")
    return ""


def _finds_lesions(trial: Trial) -> str:
    import numpy as np
    from sklearn.metrics import average_precision_score, roc_auc_score

    cases = [trial.case(10 + index, index % 2) for index in range(8)]
    found = [_column(trial, trial.method, case) for case in cases]
    if found[0].map is None or trial.info.task == "lesion-classification":
        auroc = roc_auc_score([case.label for case in cases], [one.score for one in found])
        if trial.info.task == "lesion-classification":
            raise NotApplicable(f"AUROC {auroc:.3f} on mock lesions (reported, not required)")
        require(auroc > 0.5, f"AUROC of cases with a planted bright lesion is {auroc:.3f}, not better than chance")
        return f"AUROC {auroc:.3f}"
    scores, truth = [], []
    for case, one in zip(cases, found, strict=True):
        if case.label and one.map is not None:
            scores.append(one.map.cpu().numpy()[case.volume.brain])
            truth.append(case.lesion[case.volume.brain])
    labels = np.concatenate(truth)
    precision = average_precision_score(labels, np.concatenate(scores))
    chance = average_precision_score(labels, np.random.default_rng(0).random(len(labels)))
    figures = f"AP {precision:.3f} on planted bright lesions, a random map {chance:.3f}"
    require(precision >= BETTER_THAN_RANDOM * chance, f"{figures}; expected at least {BETTER_THAN_RANDOM} times that")
    return figures


def _explains(trial: Trial) -> str:
    if trial.cls.explain is Method.explain:
        raise NotApplicable("the method explains nothing")
    inputs = trial.inputs([trial.case(0, 1)])
    with torch.inference_mode():
        pictures = trial.method.explain(inputs.images, trial.context(inputs))
    for name, picture in pictures.items():
        shape, expected = tuple(picture.shape), tuple(inputs.brain.shape)
        known = shape in (expected, expected[:1])
        require(
            known, f"picture {name!r} has shape {shape}, expected {expected}, or {expected[:1]} for a number an item"
        )
        require(bool(torch.isfinite(picture).all()), f"picture {name!r} holds NaN or infinite values")
    return ", ".join(pictures)


def _diagnoses(trial: Trial) -> str:
    from cerebench.contract.diagnosis import DiagnoseContext, check_diagnosis
    from cerebench.testing.canary import GuardedVolumes
    from cerebench.testing.mock import MemoryVolumes, mock_volumes

    if trial.cls.diagnose is Method.diagnose:
        raise NotApplicable("the method diagnoses nothing")
    held_out = mock_volumes(trial.info, 3, seed=1, labelled=False, shape=trial.shape)
    tested = MemoryVolumes([trial.case(20 + index, 1).volume for index in range(2)])
    sightings: list[str] = []
    context = DiagnoseContext(
        held_out=GuardedVolumes(held_out, trial.info, False, sightings),
        tested={"centre": GuardedVolumes(tested, trial.info, False, sightings)},
        device=trial.target,
        seed=0,
    )
    with torch.inference_mode():
        found = check_diagnosis(trial.info.name, trial.method.diagnose(context))
    require(not sightings, f"diagnose looks at {', '.join(sorted(set(sightings)))}")
    return f"{len(found.figures)} figures, {len(found.findings)} findings, {len(found.pictures)} pictures"


CHECKS: dict[str, Callable[[Trial], str | Measured]] = {
    "training": _trains,
    "no label access": _no_labels,
    "shapes": _shapes,
    "no mutation": _no_mutation,
    "determinism": _repeats,
    "save and load": _restores,
    "batches": _batches,
    "odd sizes": _odd,
    "empty slices": _empty,
    "better than random": _finds_lesions,
    "explain": _explains,
    "diagnose": _diagnoses,
    "GPU": resources.on_gpu,
    "time and memory": resources.cost,
}
"""Name → check; a check returns a figure or note, or raises."""

FOUNDATIONS = ("training", "shapes")
"""Without these nothing that follows can be tried."""


def _column(trial: Trial, method: Method, case: MockCase) -> VolumePrediction:
    from cerebench.loop.predict import predict_volume

    volume = case.volume
    mask = None if volume.lesion_mask is None else torch.from_numpy(volume.lesion_mask).to(trial.target)
    with torch.inference_mode():
        return predict_volume(
            method,
            torch.from_numpy(volume.image).to(trial.target),
            torch.from_numpy(volume.brain).to(trial.target),
            spacing=volume.spacing,
            modalities=volume.modalities,
            device=trial.target,
            lesion_mask=mask,
            covariates=volume.covariates,
        )


def _equal(
    first: Prediction, second: Prediction, tolerance: float, fault: str, scale: Prediction | None = None
) -> None:
    for what in ("maps", "scores"):
        one, other, whole = getattr(first, what), getattr(second, what), getattr(scale or first, what)
        if one is None and other is None:
            continue
        if one is None or other is None or one.shape != other.shape:
            raise Broken(f"{fault} ({what} of another kind)")
        gap, spread = _gap(one, other), float(whole.max() - whole.min())
        require(gap <= tolerance * spread, f"{fault} ({what} by up to {gap:.3g}, their spread is {spread:.3g})")


def _gap(one: Tensor, other: Tensor) -> float:
    return float((one.double() - other.double()).abs().max()) if one.numel() else 0.0
