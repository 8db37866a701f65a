"""The checks that the authors recommend, on a trained method: pairs, edges alone, modality vectors, tissue values."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from cerebench.api import DiagnoseContext, Diagnosis, Figure, Finding, Panels, PredictContext, Scatter, Volume

if TYPE_CHECKING:
    from cerebench_methods.disentangled_anatomy.method import DisentangledAnatomy, Restoration

Array = np.ndarray[Any, Any]
Part = Figure | Finding | dict[str, "Panels | Scatter"]

AGREEMENT = 0.85
"""Mean Dice of the tissues of T1 and T2 below which the anatomy depends on the contrast."""
LEAST_SHARE = 0.02
"""Share of the brain below which a tissue has collapsed: collapsed maps agree with each other."""
BLIND = 0.9
"""Restoration error, in multiples of that without any edge, above which the edges are not used."""
SHIFT = 0.5
"""Shift of the modality vectors by the reconstruction, relative to the distance between modalities."""
STEP, SENSITIVITY = 0.05, 0.25
"""Change of one tissue value, and the relative change of a centre's anomaly map that is too much."""
SHOWN = 3
"""Subjects in the picture."""


def diagnose(method: DisentangledAnatomy, context: DiagnoseContext) -> Diagnosis:
    """All four checks; those that lack their data are findings without a figure."""
    images = list(_channels(method, context))
    parts = [*_pairs(method, images), *_edges(method, images), *_vectors(method, context, images)]
    parts += _tissue_values(method, context)
    pictures: dict[str, Panels | Scatter] = {}
    for part in parts:
        if isinstance(part, dict):
            pictures |= part
    return Diagnosis(
        tuple(part for part in parts if isinstance(part, Figure)),
        tuple(part for part in parts if isinstance(part, Finding)),
        pictures,
    )


def restored(method: DisentangledAnatomy, volume: Volume, channel: int, device: Any, seed: int) -> Restoration:
    """One channel of a volume with everything on the way to its pseudo-healthy image."""
    images = torch.from_numpy(np.array(volume.image[[channel]])).to(device)[None]
    brain = torch.from_numpy(np.array(volume.brain)).to(device)[None]
    name = volume.modalities[channel]
    return method.restoration(images, PredictContext(brain, volume.spacing, (name,), torch.device(device), seed))


def _channels(method: DisentangledAnatomy, context: DiagnoseContext) -> Iterator[dict[str, Restoration]]:
    """Modality → restoration, one mapping a held-out subject."""
    for volume in context.held_out:
        yield {
            name: restored(method, volume, channel, context.device, context.seed)
            for channel, name in enumerate(volume.modalities)
        }


def _pairs(method: DisentangledAnatomy, images: list[dict[str, Restoration]]) -> Iterator[Part]:
    fault, name = "anatomy depends on the contrast", "tissue Dice between modalities"
    values = method.settings.tissue_values
    scores: dict[float, list[float]] = defaultdict(list)
    for subject in images:
        for one, other in combinations(subject.values(), 2):
            for value, score in zip(values, tissue_dice(one, other, values), strict=True):
                scores[value].append(score)
    if not scores:
        yield Finding(fault, name, None, AGREEMENT, "below", "no held-out subject with a pair of modalities")
    else:
        for value, found in scores.items():
            yield Figure(f"Dice of tissue {value:g}", float(np.mean(found)), "Dice", f"{len(found)} pairs")
        mean = float(np.mean([np.mean(found) for found in scores.values()]))
        yield Figure(name, mean, "Dice", "mean over the three tissues of held-out subjects")
        yield Finding(fault, name, mean, AGREEMENT, "below", "mean over the three tissues")
    fault, name = "collapsed anatomy", "share of the rarest tissue"
    shares = [tissue_shares(found, values) for subject in images for found in subject.values()]
    if not shares:
        yield Finding(fault, name, None, LEAST_SHARE, "below", "no held-out subject")
        return
    rarest = float(np.mean(shares, axis=0).min())
    yield Figure(name, rarest, text="of the brain, mean over held-out images")
    yield Finding(fault, name, rarest, LEAST_SHARE, "below", "of the brain")


def tissue_classes(found: Restoration, values: Any) -> Array:
    """The nearest tissue of every brain voxel of an anatomical image ``[n]``, as an index."""
    inside = found.anatomy[found.brain > 0]
    levels = torch.tensor(values, dtype=inside.dtype, device=inside.device)
    classes: Array = (inside[:, None] - levels).abs().argmin(1).cpu().numpy()
    return classes


def tissue_dice(one: Restoration, other: Restoration, values: Any) -> list[float]:
    """Dice of each tissue between two anatomical images of one brain; 1 where neither has it."""
    first, second = tissue_classes(one, values), tissue_classes(other, values)
    found = []
    for index in range(len(values)):
        mine, theirs = first == index, second == index
        total = int(mine.sum() + theirs.sum())
        found.append(2 * int((mine & theirs).sum()) / total if total else 1.0)
    return found


def tissue_shares(found: Restoration, values: Any) -> list[float]:
    """Share of the brain's voxels in each tissue."""
    classes = tissue_classes(found, values)
    counts = np.bincount(classes, minlength=len(values))
    return [float(count) / max(len(classes), 1) for count in counts]


def _edges(method: DisentangledAnatomy, images: list[dict[str, Restoration]]) -> Iterator[Part]:
    """The restoration against one that sees no edge at all."""
    fault, name = "edges are not used", "restoration error over that without edges"
    errors, blind = [], []
    for subject in images:
        for modality, found in subject.items():
            errors.append(_error(found, found.healthy))
            nothing = method.networks.restorer(torch.zeros_like(found.seen))
            looks = method.looks(found.vector, modality)
            blind.append(_error(found, method.networks.render(nothing, looks, found.brain)))
    if not errors:
        yield Finding(fault, name, None, BLIND, text="no held-out subject")
        return
    error, worst = float(np.mean(errors)), float(np.mean(blind))
    yield Figure("restoration error", error, text="mean |difference| in the brain of held-out healthy images")
    yield Figure("restoration error without edges", worst, text="the same with a blank restorer input")
    ratio = error / max(worst, 1e-6)
    yield Figure(name, ratio)
    yield Finding(fault, name, ratio, BLIND, text="held-out healthy images")
    yield {"pairs": _panels(images[:SHOWN], method.spacing)}


def _error(found: Restoration, healthy: Tensor) -> float:
    return float(((found.image - healthy).abs() * found.brain).sum() / found.brain.sum().clamp(min=1))


def _panels(images: list[dict[str, Restoration]], spacing: tuple[float, ...]) -> Panels:
    rows: dict[str, list[Array]] = defaultdict(list)
    for subject in images:
        for modality, found in subject.items():
            area = found.brain[0, 0].sum((0, 1))
            level = int(area.argmax())
            for name, volume in (
                ("image", found.image),
                ("anatomy", found.anatomy),
                ("edges", found.seen),
                ("pseudo-healthy", found.healthy),
            ):
                rows[f"{name} {modality}"].append(volume[0, 0, :, :, level].float().cpu().numpy())
    columns = tuple(f"held-out subject {number + 1}" for number in range(len(images)))
    return Panels({name: np.stack(planes) for name, planes in rows.items()}, columns, (spacing[0], spacing[1]))


def _vectors(
    method: DisentangledAnatomy, context: DiagnoseContext, images: list[dict[str, Restoration]]
) -> Iterator[Part]:
    """Modality vectors of images and of their pseudo-healthy images."""
    fault, name = "reconstruction changes the modality", "shift of modality vectors"
    before: dict[str, list[Array]] = defaultdict(list)
    after: dict[str, list[Array]] = defaultdict(list)
    for subject in images:
        for modality, found in subject.items():
            again = method.networks.modality(found.healthy, found.brain)
            before[modality].append(found.vector[0].float().cpu().numpy())
            after[modality].append(again[0].float().cpu().numpy())
    if len(before) < 2:
        yield Finding(fault, name, None, SHIFT, text="no held-out subject with a pair of modalities")
        return
    means = {modality: np.mean(found, axis=0) for modality, found in before.items()}
    apart = float(np.mean([np.linalg.norm(means[one] - means[other]) for one, other in combinations(means, 2)]))
    shifts = [np.linalg.norm(b - a) for m in before for b, a in zip(before[m], after[m], strict=True)]
    shift = float(np.mean(shifts)) / max(apart, 1e-6)
    yield Figure("distance between modalities", apart, text="of the mean modality vectors")
    yield Figure(name, shift, text="by the reconstruction, relative to the distance between modalities")
    yield Finding(fault, name, shift, SHIFT, text="relative to the distance between modalities")
    groups = {f"{m} {when}": g[m] for m in before for when, g in (("before", before), ("after", after))}
    points = np.concatenate([np.stack(group) for group in groups.values()])
    if len(points) >= 4:
        yield {"modality vectors (t-SNE)": Scatter(_embedded(groups, points, context.seed))}


def _embedded(groups: Mapping[str, list[Array]], points: Array, seed: int) -> dict[str, Array]:
    """Coordinates of t-SNE (van der Maaten and Hinton 2008), group by group."""
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(points) - 1) / 3)
    places = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(points.astype(np.float64))
    ends = np.cumsum([len(group) for group in groups.values()])[:-1]
    return dict(zip(groups, np.split(np.asarray(places, dtype=np.float64), ends), strict=True))


def _tissue_values(method: DisentangledAnatomy, context: DiagnoseContext) -> Iterator[Part]:
    """Relative change of a centre's anomaly maps when one tissue value of the trained method moves by a step."""
    fault, name = "tissue values do not transfer", "map change, most sensitive centre"
    worst: dict[str, float] = {}
    for centre, volumes in context.tested.items():
        changes = _changes(method, volumes[0], context)  # seven predictions: one scan a centre has to do
        index = int(np.argmax(changes))
        worst[centre] = changes[index]
        value, sign = method.settings.tissue_values[index // 2], "+-"[index % 2]
        text = f"tissue value {value:g} {sign} {STEP:g}, relative change of the anomaly map"
        yield Figure(f"map change {centre}", worst[centre], text=text)
    if not worst:
        yield Finding(fault, name, None, SENSITIVITY, text="no tested centre")
        return
    centre = max(worst, key=lambda one: worst[one])
    yield Figure(name, worst[centre], text=centre)
    yield Finding(fault, name, worst[centre], SENSITIVITY, text=f"{centre}: one tissue value moved by {STEP:g}")


def _changes(method: DisentangledAnatomy, volume: Volume, context: DiagnoseContext) -> list[float]:
    """One number for every tissue value moved up, then down."""
    images = torch.from_numpy(np.array(volume.image)).to(context.device)[None]
    brain = torch.from_numpy(np.array(volume.brain)).to(context.device)[None]
    about = PredictContext(brain, volume.spacing, volume.modalities, context.device, context.seed)
    before = _map(method, images, about)
    mean = before.abs().sum().clamp(min=1e-12)
    values = method.settings.tissue_values
    found = []
    for index in range(len(values)):
        for step in (STEP, -STEP):
            moved = tuple(value + step * (place == index) for place, value in enumerate(values))
            changed = _map(method.with_tissue_values(moved), images, about)
            found.append(float((changed - before).abs().sum() / mean))
    return found


def _map(method: DisentangledAnatomy, images: Tensor, about: PredictContext) -> Tensor:
    maps = method.predict(images, about).maps
    assert maps is not None
    return maps
