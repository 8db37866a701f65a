"""What a method says about itself, as data: enough for the loop to deliver what it needs without knowing its name."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

API_VERSION = 1

Task = Literal["anomaly", "lesion-classification"]
Supervision = Literal["none", "healthy", "labels"]
Unit = Literal["slice", "volume", "lesion"]
Training = Literal["per-modality", "joint", "paired"]
StageData = Literal["healthy", "unlabelled", "target", "labelled"]
SideInput = Literal["lesion-mask", "covariates"]


class Stage(BaseModel):
    """One named training stage. The method implements it as a method of the same name (``fit``, ``pretrain``, …).

    Attributes:
        name: the stage's name, and the name of the method that the harness calls.
        data: the role of the protocol that feeds it: ``healthy`` (the healthy training split), ``unlabelled`` (a pool
            without labels), ``target`` (the tested cohort's own training split, stripped of its labels), ``labelled``.
        settings: names of the settings this stage depends on; ``None`` means all. A change of any other setting leaves
            the stage's artefact valid.
        keeps: names of the attributes whose tensors the stage's artefact stores; ``None`` means all.
        shared_as: methods that give the same word share the artefact, provided that code, settings and data agree.
        seeded: whether the run's seed reaches the stage. ``False`` computes it once for all seeds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    data: StageData = "healthy"
    settings: tuple[str, ...] | None = None
    keeps: tuple[str, ...] | None = None
    shared_as: str | None = None
    seeded: bool = True


class MethodInfo(BaseModel):
    """What a method is and what the loop has to deliver to it.

    Attributes:
        name: public name, lower case with hyphens.
        summary: one sentence.
        task: ``anomaly`` (voxel maps and/or case scores) or ``lesion-classification`` (a probability a lesion).
        supervision: ``none`` (nothing is learnt), ``healthy`` (normal data only) or ``labels``.
        unit: what ``fit`` and ``predict`` see: axial ``slice``, whole ``volume`` or ``lesion`` sub-volume.
        training: ``per-modality`` (one artefact each), ``joint`` (one artefact for all, channels delivered one at a
            time) or ``paired`` (the modalities of one subject as channels of one volume). The last two train on every
            modality of the protocol's sources that the method does, whatever columns are tested; ``build`` is told
            all of them, while ``predict`` gets one channel, named in its context.
        modalities: modalities the method is meant for; empty means any.
        inputs: side inputs beyond image and brain mask that ``predict`` needs.
        stages: training stages in order; empty for a method that learns nothing.
        citation: the paper, with year.
        reimplementation: True where the method was rebuilt from a public description without its authors' code.
        assumptions: what had to be assumed where the description is silent, one sentence each.
        requires: packages that the method imports and a plain installation lacks: import name → what pip installs.
            Without them ``all`` and globs leave the method out, with a warning. Their versions enter its keys.
        cost: ``iterative`` methods may be run on fewer columns by the ``quick`` preset.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.:-]*$")
    summary: str
    task: Task = "anomaly"
    supervision: Supervision = "healthy"
    unit: Unit = "volume"
    training: Training = "per-modality"
    modalities: frozenset[str] = frozenset()
    inputs: frozenset[SideInput] = frozenset()
    stages: tuple[Stage, ...] = (Stage(name="fit"),)
    citation: str = ""
    reimplementation: bool = False
    assumptions: tuple[str, ...] = ()
    requires: dict[str, str] = {}
    cost: Literal["light", "iterative"] = "light"

    @model_validator(mode="after")
    def _sees_no_answers(self) -> MethodInfo:
        """A lesion mask is the answer that anomaly detection is asked for."""
        if self.task == "anomaly" and (self.unit == "lesion" or "lesion-mask" in self.inputs):
            raise ValueError(f"{self.name!r} detects anomalies: unit 'lesion' and input 'lesion-mask' are not for it")
        return self
