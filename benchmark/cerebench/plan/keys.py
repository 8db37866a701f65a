"""Keys of cells: a hash of everything a result depends on, and of nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from cerebench.contract.info import API_VERSION, Stage
from cerebench.contract.method import Method, MethodSettings
from cerebench.digest import code_digest, library_versions
from cerebench.jsonio import digest
from cerebench.plan.cells import CaseRef, Options
from cerebench.provenance import KEYED_LIBRARIES

LOOP_VERSION = 1
"""Raised whenever the loop would give other predictions or counts for the same method and data."""

_SHORT = 8


def method_key(cls: type[Method], settings: MethodSettings) -> str:
    """Code, settings, contract and libraries of a method."""
    return digest(
        {
            "name": cls.info.name,
            "code": code_digest(cls),
            "settings": settings.model_dump(mode="json"),
            "api": API_VERSION,
            "loop": LOOP_VERSION,
            "libraries": library_versions((*KEYED_LIBRARIES, *cls.info.requires)),
        }
    )


def stage_key(
    cls: type[Method],
    settings: MethodSettings,
    stage: Stage,
    *,
    parent: str | None,
    modalities: Sequence[str],
    grid: Mapping[str, Any],
    train: Sequence[CaseRef],
    validation: Sequence[CaseRef],
    seed: int,
    precision: str,
) -> str:
    """A training stage; a shared one depends on the code that implements it, not on the method that asks."""
    values = settings.model_dump(mode="json")
    covariates = "covariates" in cls.info.inputs and stage.data != "unlabelled"
    chosen = values if stage.settings is None else {name: values[name] for name in stage.settings}
    function = getattr(cls, stage.name, None)
    shared = stage.shared_as is not None and function is not None
    code = code_digest(f"{function.__module__}:{function.__qualname__}") if shared else code_digest(cls)  # type: ignore[union-attr]
    return digest(
        {
            "stage": stage.model_dump(mode="json"),
            "owner": stage.shared_as or cls.info.name,
            "code": code,
            "settings": chosen,
            "api": API_VERSION,
            "loop": LOOP_VERSION,
            "libraries": library_versions((*KEYED_LIBRARIES, *cls.info.requires)),
            "parent": parent,
            "modalities": list(modalities),
            "grid": dict(grid),
            "training": _training_digest(),
            "train": data_fingerprint(train, stage.data == "labelled", covariates),
            "validation": data_fingerprint(validation, stage.data == "labelled", covariates),
            "seed": seed,
            "precision": precision,
        }
    )


@cache
def _training_digest() -> str:
    """The sources of the shared training loop: every learnt method stands on them."""
    import cerebench.training

    folder = Path(cerebench.training.__file__).parent
    return digest([[path.name, path.read_text(encoding="utf-8")] for path in sorted(folder.glob("*.py"))])


def data_fingerprint(cases: Iterable[CaseRef], labels: bool = False, covariates: bool = False) -> str:
    """Content of a set of cases, in order, with what else the stage is given of them."""
    return digest(
        [
            [
                ref.key,
                ref.patient,
                ref.label if labels else None,
                sorted(ref.covariates.items()) if covariates else None,
            ]
            for ref in cases
        ]
    )


def scored_fingerprint(cases: Iterable[CaseRef], covariates: bool = False) -> str:
    """Content of scored cases: also what the scores are held against, and covariates where ``predict`` gets them."""
    return digest(
        [
            [
                *(ref.key, ref.id, ref.patient, ref.healthy, ref.label, ref.centre, ref.erosion_mm),
                sorted(ref.covariates.items()) if covariates else None,
            ]
            for ref in cases
        ]
    )


def options_key(options: Options) -> dict[str, Any]:
    """The options that change predictions or counts (interval options only change the summary)."""
    return {
        "task": options.task,
        "post": list(options.post),
        "precision": options.precision,
        "crop": options.lesion_crop_mm,
    }


def short(key: str) -> str:
    """The part of a key that goes into a folder's name."""
    return key[:_SHORT]
