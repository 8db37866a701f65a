"""Protocols: what trains, what selects thresholds, what tests, at which sizes. A protocol is a YAML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from cerebench.cohorts.document import load_model
from cerebench.cohorts.layout import Cavity
from cerebench.contract.info import StageData, Task
from cerebench.errors import UsageError

Post = Literal["raw", "median"]
Fractions = dict[str, float]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Training(_Part):
    """Where training data come from.

    Attributes:
        sources: role (``healthy``, ``unlabelled``, ``labelled``) → cohorts whose training split feeds such stages.
        adapt: whether methods with a ``target`` stage also run fine-tuned on the tested cohort's training split.
        fallback: what replaces a modality that the data root holds no ready training scans of: the cohort's in-silico
            twin, or nothing (the column is skipped).
        description: words for the leaderboard's ``training_source``.
        lesion_free_mm: where a healthy source, or a target that is adapted to, holds no healthy subject, deliver the
            axial slices of its patients that are farther than this from every lesion; ``None`` refuses such sources.
        distinct_patients: whether equal patient names in two cohorts are taken for one patient, so that a column is
            refused that tests whom another cohort trains. Copies of an image are refused in any case.
    """

    sources: dict[StageData, tuple[str, ...]] = {}
    adapt: bool = False
    fallback: Literal["in-silico", "none"] = "in-silico"
    description: str = "healthy subjects"
    lesion_free_mm: float | None = Field(None, ge=0, le=100)
    distinct_patients: bool = False


class Selection(_Part):
    """Cohorts whose validation splits fix the thresholds.

    Attributes:
        lesion: for Dice, slices and subjects.
        healthy: for the points of healthy false-positive rates, and subjects.
        balanced: for a second Dice threshold, on which every kind of lesion weighs the same; its decisions are metrics
            of their own. Empty for none.
    """

    lesion: tuple[str, ...] = ()
    healthy: tuple[str, ...] = ()
    balanced: tuple[str, ...] = ()


class Testing(_Part):
    """Tested cohorts (globs) and modalities (empty: every modality of the cohort)."""

    cohorts: tuple[str, ...] = ("*",)
    modalities: tuple[str, ...] = ()


class Splits(_Part):
    """Fractions of patients per role, for healthy cohorts, for cohorts of patients, and for single cohorts by name."""

    healthy: Fractions = {"train": 0.6, "validation": 0.2, "test": 0.2}
    lesion: Fractions = {"validation": 0.2, "test": 0.8}
    cohorts: dict[str, Fractions] = {}

    @model_validator(mode="after")
    def _fractions(self) -> Splits:
        for name, fractions in {"healthy": self.healthy, "lesion": self.lesion, **self.cohorts}.items():
            unknown = set(fractions) - {"train", "validation", "test"}
            if unknown:
                raise ValueError(f"{name!r} has the role {min(unknown)!r}; roles are train, validation, test")
            total = sum(fractions.values())
            if not 0.999 < total < 1.001:
                raise ValueError(f"the fractions of {name!r} add up to {total:g}, expected 1")
        return self

    def of(self, cohort: str, healthy: bool) -> Fractions:
        """The fractions of one cohort."""
        return self.cohorts.get(cohort, self.healthy if healthy else self.lesion)


class Twin(_Part):
    """Size of the in-silico twins of a preset: cases a cohort, voxel size, seed."""

    healthy_cases: int = Field(24, ge=3)
    lesion_cases: int = Field(10, ge=1)
    spacing_mm: float = Field(4.0, gt=0.4, le=8)
    seed: int = 0


class Bootstrap(_Part):
    """Patient bootstrap of the intervals."""

    resamples: int = Field(1000, ge=100)
    level: float = Field(0.95, gt=0.5, lt=1)


class Preset(_Part):
    """One size of a protocol.

    Attributes:
        ranked: whether the table may rank methods.
        banner: sentence printed above the table of an unranked preset.
        spacing_mm: isotropic voxel size of the prepared volumes.
        twins: size of the in-silico cohorts.
        timeout_s: limit of one cell (training stages get ``train_timeout_s``).
        balanced_cases: validation cases of a cohort that serve the balanced selection at most; 0 for no such selection,
            ``None`` for all.
        iterative_columns: methods that declare ``cost: iterative`` run on at most so many columns; None for all.
        precision: Lightning Fabric precision word for training and prediction on a GPU.
        slice_batch: slices a batch at prediction, before the out-of-memory back-off.
        lesion_crop_mm: side of the cube delivered to methods whose unit is a lesion.
    """

    ranked: bool = True
    banner: str = ""
    spacing_mm: float = Field(gt=0.4, le=8)
    twins: Twin = Twin()
    timeout_s: float = Field(3600, gt=0)
    train_timeout_s: float = Field(6 * 3600, gt=0)
    balanced_cases: int | None = Field(None, ge=0)
    iterative_columns: int | None = None
    precision: str = "32-true"
    slice_batch: int = Field(64, ge=1)
    lesion_crop_mm: float = Field(64, gt=0)
    bootstrap: Bootstrap = Bootstrap()


class Protocol(_Part):
    """A whole protocol; its version is part of every key and no table mixes two versions.

    ``cavity`` says whether the resection cavities that some cohorts label count as anomaly, as normal, or not at all.
    ``slice_labels``: ``inherit`` gives the slices of cases without mask the diagnosis of their subject.
    ``headline_level``: level of the printed tables; ``None`` takes the finest reference there is.
    ``percentiles`` of healthy validation scores (subjects, slices) at which decisions are also made, beside Youden's.
    ``search``: method → setting → values; ``bench run --search`` also runs every combination, and the selections'
    validation cases choose among them.
    """

    schema_version: Literal[1] = Field(alias="schema")
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    version: int = Field(ge=1)
    title: str
    summary: str
    task: Task = "anomaly"
    train: Training = Training()
    select: Selection = Selection()
    search: dict[str, dict[str, Annotated[tuple[Any, ...], Field(min_length=1)]]] = {}
    test: Testing = Testing()
    splits: Splits = Splits()
    cavity: Cavity = "ignore"
    slice_labels: Literal["mask", "inherit"] = "mask"
    percentiles: tuple[Annotated[int, Field(gt=50, lt=100)], ...] = ()
    post: tuple[Post, ...] = ("raw", "median")
    headline: tuple[str, ...] = ("ap", "best_dice")
    headline_level: Literal["voxel", "slice", "subject", "lesion"] | None = None
    presets: dict[str, Preset]
    default_preset: str = "quick"

    @model_validator(mode="after")
    def _default_exists(self) -> Protocol:
        if self.default_preset not in self.presets:
            raise ValueError(f"default_preset {self.default_preset!r} is not among the presets {sorted(self.presets)}")
        return self

    def preset(self, name: str | None) -> tuple[str, Preset]:
        """The preset of that name, or the default one.

        Raises:
            UsageError: there is no such preset.
        """
        from cerebench.text import did_you_mean

        chosen = name or self.default_preset
        if chosen not in self.presets:
            hint = did_you_mean(chosen, self.presets)
            raise UsageError(f"protocol {self.name!r} has no preset {chosen!r}: {hint}")
        return chosen, self.presets[chosen]


def load_protocol(path: Path) -> Protocol:
    """Read and validate a protocol file.

    Raises:
        UsageError: the file is not readable YAML or a field is wrong; names file, line and field.
    """
    return load_model(path, Protocol)
