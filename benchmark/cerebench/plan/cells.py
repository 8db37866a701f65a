"""Cells and jobs as plain data: what is sent to a worker is JSON, what comes back is a folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from cerebench.contract.data import Provenance


@dataclass(frozen=True)
class CaseRef:
    """One prepared case as a worker needs it.

    Attributes:
        id: case identifier within its cohort.
        patient: ``cohort/patient``; bootstraps and leave-one-patient-out thresholds group by it.
        folder: folder of the prepared arrays.
        key: content key of the prepared arrays.
        modalities: channels of the prepared image.
        healthy: subject without pathology.
        centre: scanner or hospital.
        label: case-level class.
        covariates: clinical variables.
        erosion_mm: erosion of the brain mask for scoring.
    """

    id: str
    patient: str
    folder: str
    key: str
    modalities: tuple[str, ...]
    healthy: bool
    centre: str | None = None
    label: int | None = None
    covariates: Mapping[str, float | str] = field(default_factory=dict)
    erosion_mm: float = 0.0


@dataclass(frozen=True)
class StageCell:
    """One training stage: its artefact folder is the next stage's input.

    ``with_labels`` and ``unlabelled`` say what its method is told of the cases beside the images: their classes, or
    neither classes nor masks nor covariates.
    """

    name: str
    path: str
    parent: str | None
    seed: int
    keeps: tuple[str, ...] | None
    with_labels: bool
    train: tuple[CaseRef, ...]
    validation: tuple[CaseRef, ...]
    source: str
    timeout_s: float
    unlabelled: bool = False


@dataclass(frozen=True)
class ReferenceCell:
    """Validation predictions of one artefact that fix its thresholds, and the healthy controls of the subject level.

    ``mixed`` says that lesion cases are real and healthy ones in silico: no threshold is then chosen between the two.
    ``balanced`` are the cases of the balanced selection, ``kinds`` the kind of lesion of each of their cohorts.
    """

    path: str
    artefact: str | None
    lesion: tuple[CaseRef, ...]
    healthy: tuple[CaseRef, ...]
    controls: tuple[CaseRef, ...]
    mixed: bool
    timeout_s: float
    balanced: tuple[CaseRef, ...] = ()
    kinds: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Identity:
    """What a row of the leaderboard is about; cells with equal identity replace each other, the newest counts."""

    protocol: str
    protocol_version: int
    preset: str
    method: str
    variant: str
    cohort: str
    modality: str
    seed: int
    provenance: Provenance | None
    training_source: str


@dataclass(frozen=True)
class EvaluationCell:
    """One method on one column (cohort × modality) with one seed; ``healthy`` columns know no lesion metric."""

    path: str
    identity: Identity
    healthy: bool
    artefact: str | None
    reference: str
    cases: tuple[CaseRef, ...]
    notes: tuple[str, ...]
    timeout_s: float


@dataclass(frozen=True)
class Skipped:
    """A cell of the intended matrix that will not run, and why."""

    identity: Identity
    healthy: bool
    reason: str
    failed: bool = False


@dataclass(frozen=True)
class Options:
    """What a protocol and preset fix for every cell."""

    task: str
    post: tuple[str, ...]
    precision: str
    slice_batch: int
    lesion_crop_mm: float
    resamples: int
    level: float
    slice_labels: str = "mask"
    percentiles: tuple[int, ...] = ()


@dataclass(frozen=True)
class Job:
    """All cells that share one trained artefact: one worker process runs them in order.

    Attributes:
        id: unique within a run; also the label of the progress display.
        method: public name of the method.
        overrides: settings on top of the preset, as the user gave them.
        preset: preset name.
        modalities: channels of one prediction.
        shape: spatial shape (D, H, W) of prepared volumes.
        spacing: mm along D, H, W.
        cards: folders of local cards, so that the worker's registry equals the planner's.
        local: ``file:class#digest`` of a method from a local file; empty for one of a plugin.
        needs: prerequisite method key (code digest, settings) for provenance.
    """

    id: str
    method: str
    overrides: Mapping[str, Any]
    preset: str
    modalities: tuple[str, ...]
    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    cards: tuple[str, ...]
    seed: int
    options: Options
    provenance: Mapping[str, Any]
    stages: tuple[StageCell, ...]
    references: tuple[ReferenceCell, ...]
    evaluations: tuple[EvaluationCell, ...]
    local: str = ""

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Job:
        """The inverse of :meth:`to_json`, also after a trip through JSON text."""
        plain = dict(values)
        lists = {name: tuple(plain["options"][name]) for name in ("post", "percentiles")}
        plain["options"] = Options(**{**plain["options"], **lists})
        plain["stages"] = tuple(_stage(item) for item in plain["stages"])
        plain["references"] = tuple(
            ReferenceCell(**{**item, **{role: _cases(item[role]) for role in _ROLES}}) for item in plain["references"]
        )
        plain["evaluations"] = tuple(
            EvaluationCell(
                **{
                    **item,
                    "identity": Identity(**item["identity"]),
                    "cases": _cases(item["cases"]),
                    "notes": tuple(item["notes"]),
                }
            )
            for item in plain["evaluations"]
        )
        for name in ("modalities", "shape", "spacing", "cards"):
            plain[name] = tuple(plain[name])
        return cls(**plain)


_ROLES = ("lesion", "healthy", "controls", "balanced")


def _stage(item: Mapping[str, Any]) -> StageCell:
    keeps = item["keeps"]
    return StageCell(
        **{
            **item,
            "keeps": None if keeps is None else tuple(keeps),
            "train": _cases(item["train"]),
            "validation": _cases(item["validation"]),
        }
    )


def _cases(items: Any) -> tuple[CaseRef, ...]:
    return tuple(CaseRef(**{**item, "modalities": tuple(item["modalities"])}) for item in items)
