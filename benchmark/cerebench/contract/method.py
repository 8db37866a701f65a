"""The contract of a method: settings with presets, ``fit`` (and other stages), ``predict``, tensors in and out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError

from cerebench.contract.diagnosis import DiagnoseContext, Diagnosis
from cerebench.contract.info import MethodInfo
from cerebench.contract.volumes import Volumes
from cerebench.errors import MethodError, UsageError
from cerebench.text import did_you_mean

if TYPE_CHECKING:
    from torch import Tensor, device


@dataclass(frozen=True)
class PredictContext:
    """What ``predict`` may know beside the images. There is no case id, no cohort and no lesion label in it.

    Attributes:
        brain: ``[B, D, H, W]`` bool for volumes and lesions, ``[B, D, H]`` for slices; on the images' device.
        spacing: voxel size in mm along the spatial axes of the images.
        modalities: names of the C channels.
        device: where the images are and where the maps must be.
        seed: for methods that sample; the same for every method.
        lesion_mask: ``[B, D, H, W]`` uint8, only if declared as an input.
        covariates: one mapping a batch item, only if declared as an input.
    """

    brain: Tensor
    spacing: tuple[float, ...]
    modalities: tuple[str, ...]
    device: device
    seed: int
    lesion_mask: Tensor | None = None
    covariates: tuple[Mapping[str, float | str], ...] | None = None


@dataclass(frozen=True)
class Prediction:
    """What ``predict`` returns; higher means more abnormal (or more probably the positive class).

    Attributes:
        maps: anomaly maps ``[B, D, H, W]`` (slices: ``[B, D, H]``), any finite float, on the images' device.
        scores: one score a batch item ``[B]``. For slices it is the slice's score, and the case gets the highest of
            them. Where a method gives none, the loop derives slice and case scores from the map by one rule for all:
            the mean of the highest 1 % inside the brain.
        slice_scores: one score an axial slice ``[B, W]``, for methods of whole volumes that score slices by a rule of
            their own; what stands where a slice holds no brain does not matter.
    """

    maps: Tensor | None = None
    scores: Tensor | None = None
    slice_scores: Tensor | None = None


@dataclass
class FitRun:
    """What a training stage may use: device, seed, a folder of its own, a log of curves.

    Attributes:
        device: torch device to train on.
        precision: Lightning Fabric precision word, such as ``32-true`` or ``bf16-mixed``.
        seed: seed of this stage; the loop has already seeded torch, numpy and random with it.
        folder: scratch folder for checkpoints, kept until the stage ends, so that a killed stage resumes.
        curves: rows written by :meth:`log`.
        progress: called with (done, total, text) to feed the progress display.
        trainings: names of the trainings of this stage so far; kept by :func:`cerebench.training.train`.
    """

    device: device
    precision: str
    seed: int
    folder: Path
    curves: list[dict[str, float]] = field(default_factory=list)
    progress: Callable[[int, int, str], None] = lambda done, total, text: None
    trainings: set[str] = field(default_factory=set)

    def log(self, step: int, **values: float) -> None:
        """Add a point to the training curves."""
        self.curves.append({"step": float(step), **{name: float(value) for name, value in values.items()}})


class MethodSettings(BaseModel):
    """Base of every method's settings: unknown names and wrong types are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Method:
    """Base class of every method. A method author writes ``info``, ``Settings``, ``build``, ``fit`` and ``predict``.

    The harness creates the object, calls :meth:`build`, then either the training stages in order or :meth:`restore`,
    then :meth:`predict` as often as it likes. Tensors and modules held as plain attributes are saved and restored.
    """

    info: ClassVar[MethodInfo]

    class Settings(MethodSettings):
        """No settings."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """Preset name (``quick``, ``nightly``, ``standard``, ``paper``) → settings that differ from the default."""

    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """Named configurations, selected as ``name[variant=NAME]``."""

    def __init__(self, settings: MethodSettings) -> None:
        self.settings: Any = settings

    @classmethod
    def settings_for(cls, preset: str, overrides: Mapping[str, Any] | None = None) -> MethodSettings:
        """Settings of a preset with overrides on top.

        Raises:
            UsageError: an override names no setting, or its value is not valid.
        """
        values = {**cls.presets.get(preset, {}), **(overrides or {})}
        try:
            return cls.Settings(**values)
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(str(part) for part in first["loc"])
            if first["type"] == "extra_forbidden":
                hint = did_you_mean(name, cls.Settings.model_fields)
                raise UsageError(f"method {cls.info.name!r} has no setting {name!r}: {hint}") from None
            found = f"(found {first.get('input')!r})"
            raise UsageError(f"setting {name!r} of method {cls.info.name!r}: {first['msg']} {found}") from None

    @classmethod
    def remark(cls, settings: Any) -> str:
        """Further words for ``training_source``, such as where an encoder's weights come from. Optional."""
        return ""

    def build(self, modalities: tuple[str, ...], shape: tuple[int, ...], spacing: tuple[float, ...]) -> None:
        """Create networks and buffers as attributes, from the settings alone.

        Args:
            modalities: channels the method is trained on.
            shape: spatial shape of one unit: (D, H, W) for volumes and lesions, (D, H) for slices.
            spacing: mm along these axes.
        """

    def fit(self, train: Volumes, validation: Volumes, run: FitRun) -> None:
        """Learn from ``train``; ``validation`` serves early stopping and the like."""

    def predict(self, images: Tensor, context: PredictContext) -> Prediction:
        """Score images ``[B, C, D, H, W]`` (slices: ``[B, C, D, H]``). Must not change them."""
        raise MethodError(f"method {self.info.name!r} implements no predict")

    def explain(self, images: Tensor, context: PredictContext) -> dict[str, Tensor]:
        """Named pictures for reports, each shaped like a map, or ``[B]``: one number an item. Optional."""
        return {}

    def diagnose(self, context: DiagnoseContext) -> Diagnosis:
        """Checks of what has been learnt, on images without labels: figures, findings and pictures. Optional."""
        return Diagnosis()

    def modules(self) -> dict[str, Any]:
        """Attributes that are torch modules."""
        from torch import nn

        return {name: value for name, value in vars(self).items() if isinstance(value, nn.Module)}

    def tensors(self) -> dict[str, Tensor]:
        """Everything that :meth:`restore` needs, flat: ``attribute`` or ``attribute.parameter`` → tensor."""
        from torch import Tensor

        found: dict[str, Tensor] = {
            name: value.detach() for name, value in vars(self).items() if isinstance(value, Tensor)
        }
        for name, module in self.modules().items():
            found |= {f"{name}.{key}": value.detach() for key, value in module.state_dict().items()}
        return found

    def restore(self, tensors: Mapping[str, Tensor], partial: bool = False) -> None:
        """Take over tensors saved by :meth:`tensors`; ``partial`` accepts a subset of modules (a parent's artefact).

        Raises:
            MethodError: a module's tensors are missing or of another shape.
        """
        modules = self.modules()
        grouped: dict[str, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            name, _, rest = key.partition(".")
            if name in modules:
                grouped.setdefault(name, {})[rest] = value
            elif not rest:
                setattr(self, name, value)
        for name, module in modules.items():
            if name not in grouped:
                if partial or not module.state_dict():
                    continue
                raise MethodError(f"artefact of {self.info.name!r} holds no tensors for {name!r}: train it again")
            try:
                module.load_state_dict(grouped[name])
            except RuntimeError as error:
                raise MethodError(f"artefact of {self.info.name!r} does not fit {name!r}: {error}") from error
