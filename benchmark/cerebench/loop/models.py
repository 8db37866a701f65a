"""From a job to a method object: settings, shape of one unit, tensors of its artefact."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cerebench.contract.method import Method
from cerebench.loop.artefact import restore_artefact, to_device
from cerebench.plan.cells import Job
from cerebench.store import Store
from cerebench.training.seeding import derived_seed, seed_all

if TYPE_CHECKING:
    from torch import device


def unit_shape(unit: str, job: Job) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Spatial shape and spacing of what ``fit`` and ``predict`` see."""
    if unit == "slice":
        return job.shape[:2], job.spacing[:2]
    if unit == "lesion":
        size = job.options.lesion_crop_mm
        sides = tuple(min(side, max(1, round(size / step))) for side, step in zip(job.shape, job.spacing, strict=True))
        return sides, job.spacing
    return job.shape, job.spacing


def new_method(cls: type[Method], job: Job, seed: int) -> Method:
    """A method with the job's settings and freshly built networks; the weights depend on ``seed`` alone."""
    seed_all(derived_seed(seed, "build"))
    method = cls(cls.settings_for(job.preset, job.overrides))
    shape, spacing = unit_shape(cls.info.unit, job)
    method.build(job.modalities, shape, spacing)
    return method


def trained_method(cls: type[Method], job: Job, artefact: str | None, store: Store, target: device) -> Method:
    """A method ready to predict: with its artefact's tensors, or as built where it learns nothing."""
    method = new_method(cls, job, job.seed)
    if artefact is None:
        to_device(method, target)
    else:
        restore_artefact(method, store.path(artefact), target)
    return method
