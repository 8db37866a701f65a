"""A method taken through its whole life on mock volumes, the way the harness does it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cerebench.contract.method import FitRun, Method, PredictContext, Prediction
from cerebench.testing.canary import GuardedVolumes
from cerebench.testing.meter import Cost, metered
from cerebench.testing.mock import (
    LESION_SHAPE,
    ODD_LESION_SHAPE,
    ODD_VOLUME_SHAPE,
    SPACING,
    VOLUME_SHAPE,
    MockCase,
    mock_case,
    mock_modalities,
    mock_volumes,
)

if TYPE_CHECKING:
    from torch import Tensor, device

TRAINING_CASES, VALIDATION_CASES = 6, 2


@dataclass(frozen=True)
class Inputs:
    """Arguments of one call of ``predict``: a batch of slices, volumes or lesions."""

    images: Tensor
    brain: Tensor
    lesion_mask: Tensor | None
    covariates: tuple[Mapping[str, float | str], ...] | None

    def part(self, index: int) -> Inputs:
        """One item as a batch of one."""
        one = slice(index, index + 1)
        return Inputs(
            self.images[one],
            self.brain[one],
            None if self.lesion_mask is None else self.lesion_mask[one],
            None if self.covariates is None else self.covariates[one],
        )


class Trial:
    """Trains methods of one class on mock volumes and calls their ``predict``.

    Args:
        cls: the method's class.
        preset: preset to train with; ``mock`` goes before it where the class has one.
        target: torch device.
        folder: scratch folder for artefacts.
    """

    def __init__(self, cls: type[Method], preset: str, target: device, folder: Path) -> None:
        self.cls, self.info, self.target, self.folder = cls, cls.info, target, folder
        self.preset = preset
        self.settings = cls.settings_for("mock" if "mock" in cls.presets else preset)
        lesions = self.info.unit == "lesion"
        self.shape = LESION_SHAPE if lesions else VOLUME_SHAPE
        self.odd_shape = ODD_LESION_SHAPE if lesions else ODD_VOLUME_SHAPE
        trained = mock_modalities(self.info)
        self.modalities = trained if self.info.training == "per-modality" else trained[:1]
        self.sightings: list[str] = []
        self.changed: list[str] = []

    @cached_property
    def first(self) -> tuple[Method, Path]:
        """The method after training with seed 0, and its artefact."""
        return self.train(0, self.shape)

    @cached_property
    def second(self) -> tuple[Method, Cost]:
        """The method after another training with seed 0, and what that took: by now every library is loaded."""
        with metered(self.target) as cost:
            method, _ = self.train(0, self.shape)
        return method, cost

    @property
    def method(self) -> Method:
        """The method after training with seed 0."""
        return self.first[0]

    def new(self, seed: int, shape: tuple[int, ...]) -> Method:
        """A freshly built method."""
        from cerebench.training.seeding import derived_seed, seed_all

        seed_all(derived_seed(seed, "build"))
        method = self.cls(self.settings)
        slices = self.info.unit == "slice"
        spatial = shape[:2] if slices else shape
        method.build(mock_modalities(self.info), spatial, SPACING[: len(spatial)])
        return method

    def train(self, seed: int, shape: tuple[int, int, int]) -> tuple[Method, Path]:
        """Run every stage in a fresh object that starts from its parent's artefact; returns the last object and
        its artefact."""
        from cerebench.loop.artefact import restore_artefact, save_artefact, to_device
        from cerebench.training.seeding import derived_seed, seed_all

        parent: Path | None = None
        method = self.new(seed, shape)
        for stage in self.info.stages:
            method = self.new(seed, shape)
            if parent is None:
                to_device(method, self.target)
            else:
                restore_artefact(method, parent, self.target, partial=True)
            labelled = self.info.supervision == "labels" and stage.data == "labelled"
            train = mock_volumes(self.info, TRAINING_CASES * (4 if labelled else 1), labelled=labelled, shape=shape)
            held_out = mock_volumes(self.info, VALIDATION_CASES, seed=1, labelled=labelled, shape=shape)
            before = [volume.image.copy() for volume in train]
            run_seed = derived_seed(seed, stage.name)
            seed_all(run_seed)
            with tempfile.TemporaryDirectory(dir=self.folder) as scratch:
                run = FitRun(self.target, "32-true", run_seed, Path(scratch))
                getattr(method, stage.name)(
                    GuardedVolumes(train, self.info, labelled, self.sightings),
                    GuardedVolumes(held_out, self.info, labelled, self.sightings),
                    run,
                )
            if any((volume.image != image).any() for volume, image in zip(train, before, strict=True)):
                self.changed.append(stage.name)
            parent = Path(tempfile.mkdtemp(dir=self.folder))
            save_artefact(method, parent, stage.keeps, {})
        if parent is None:
            parent = Path(tempfile.mkdtemp(dir=self.folder))
            save_artefact(method, parent, None, {})
        to_device(method, self.target)
        return method, parent

    def restored(self, artefact: Path, shape: tuple[int, ...] | None = None, seed: int = 99) -> Method:
        """A fresh object, built from another seed, with the artefact's tensors."""
        from cerebench.loop.artefact import restore_artefact

        method = self.new(seed, shape or self.shape)
        restore_artefact(method, artefact, self.target)
        return method

    def case(self, seed: int, label: int, shape: tuple[int, int, int] | None = None) -> MockCase:
        """A test case as one column of a table has it."""
        return mock_case(self.info, 5000 + seed, label=label, shape=shape or self.shape, modalities=self.modalities)

    def inputs(self, cases: list[MockCase]) -> Inputs:
        """The cases as one batch; for slice methods all slices of the first case."""
        import numpy as np
        import torch

        first = cases[0].volume
        if self.info.unit == "slice":
            images = torch.from_numpy(first.image.copy()).permute(3, 0, 1, 2).contiguous()
            brain = torch.from_numpy(first.brain.copy()).permute(2, 0, 1).contiguous()
            return Inputs(images.to(self.target), brain.to(self.target), None, None)
        volumes = [case.volume for case in cases]
        masks = [volume.lesion_mask for volume in volumes if volume.lesion_mask is not None]
        covariates = tuple(volume.covariates for volume in volumes if volume.covariates is not None)
        return Inputs(
            torch.from_numpy(np.stack([volume.image for volume in volumes])).to(self.target),
            torch.from_numpy(np.stack([volume.brain for volume in volumes])).to(self.target),
            torch.from_numpy(np.stack(masks)).to(self.target) if masks else None,
            covariates or None,
        )

    def context(self, inputs: Inputs, **replaced: Any) -> PredictContext:
        """The context of one call of ``predict``."""
        values: dict[str, Any] = {"lesion_mask": inputs.lesion_mask, "covariates": inputs.covariates} | replaced
        spacing = SPACING[: inputs.brain.dim() - 1]
        return PredictContext(inputs.brain, spacing, self.modalities, self.target, seed=0, **values)

    def predict(self, method: Method, inputs: Inputs) -> Prediction:
        """``predict`` in inference mode, as the loop calls it."""
        import torch

        with torch.inference_mode():
            return method.predict(inputs.images, self.context(inputs))
