"""The ledger's file: claims as data. Which methods and cohorts they are about is known to the file alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from cerebench.cohorts.document import load_model
from cerebench.errors import UsageError
from cerebench.scoring.metrics import METRICS

Words = Annotated[tuple[str, ...], BeforeValidator(lambda value: (value,) if isinstance(value, str) else value)]

UNDECIDABLE = ("brier", "prevalence", *(name for name in METRICS if name.endswith("_at_balanced")))
"""Metrics that no contrast may use: no share of items or pairs; no property of a method; decisions the check lacks."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Side(_Part):
    """One side of a contrast: a row of the leaderboard. Several cohorts or modalities mean the mean over all pairs.

    Attributes:
        method: public name.
        variant: as in the leaderboard: ``key=value,…``, ``adapted``, or empty.
        cohort, modality: the columns.
    """

    method: str
    variant: str = ""
    cohort: Words = Field(min_length=1)
    modality: Words = Field(min_length=1)

    @property
    def row(self) -> str:
        """``method[variant]``."""
        return f"{self.method}[{self.variant}]" if self.variant else self.method

    @property
    def columns(self) -> tuple[tuple[str, str], ...]:
        """(cohort, modality) pairs."""
        return tuple((cohort, modality) for cohort in self.cohort for modality in self.modality)


class Contrast(_Part):
    """``metric(higher) - metric(lower) > margin``, in units of the metric.

    Attributes:
        metric, level: as in the leaderboard.
        post: map that is scored at voxel level; elsewhere the threshold's rule, ``raw`` for Youden's.
        higher, lower: the two sides. Higher is the number, not the better method: a false-positive rate may be claimed
            to be high.
        margin: the difference has to exceed it.
        note: why this contrast stands for the claim, what is assumed.
    """

    metric: str
    level: Literal["voxel", "slice", "subject", "lesion"]
    post: str = "raw"
    higher: Side
    lower: Side
    margin: float = Field(0.0, gt=-1, lt=1)
    note: str = ""

    @model_validator(mode="after")
    def _known_metric(self) -> Contrast:
        if self.metric not in METRICS or self.metric in UNDECIDABLE:
            known = ", ".join(sorted(set(METRICS) - set(UNDECIDABLE)))
            raise ValueError(f"metric {self.metric!r} decides no claim; expected one of {known}")
        if self.level not in METRICS[self.metric].levels:
            raise ValueError(f"metric {self.metric!r} is not defined at {self.level} level")
        if self.higher == self.lower:
            raise ValueError(f"the two sides are the same, {self.higher.row}")
        return self


class Figure(_Part):
    """A number printed in the source; ``p`` is the p-value printed with it."""

    what: str
    value: float
    p: float | None = Field(None, gt=0, le=1)


class Claim(_Part):
    """One claim; it holds if every contrast does.

    Attributes:
        id: short name.
        sentence: the claim in words.
        source: where it is made.
        published: the source's figures. They stand beside ours and never in one ranking with them.
        kind: how our method relates to the source's.
        protocol: the protocol whose cells decide.
        presets: only these; empty for every preset.
        contrasts: what has to hold.
        note: what is assumed.
    """

    id: str = Field(pattern=r"^[A-Z]+[0-9]+$")
    sentence: str = Field(min_length=10)
    source: str = Field(min_length=5)
    published: tuple[Figure, ...] = ()
    kind: Literal["re-implementation", "original code"]
    protocol: str
    presets: Words = ()
    contrasts: tuple[Contrast, ...] = Field(min_length=1)
    note: str = ""


class Ledger(_Part):
    """All claims."""

    schema_version: Literal[1] = Field(alias="schema")
    claims: tuple[Claim, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _ids_differ(self) -> Ledger:
        names = [claim.id for claim in self.claims]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"claim {twice[0]!r} is there twice; give every claim an id of its own")
        return self


def load_ledger(path: Path | None = None) -> Ledger:
    """Read and validate a ledger; the one that comes with cerebench if none is named.

    Raises:
        UsageError: the file is absent, not YAML, or a field is wrong; names file, line and field.
    """
    return load_model(path or _own_ledger(), Ledger)


def _own_ledger() -> Path:
    package = Path(__file__).resolve().parents[1]
    # an installed package carries a copy; a checkout has the file itself
    places = [package / "published" / "claims.yaml", package.parents[1] / "results" / "published" / "claims.yaml"]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise UsageError(f"no claims ledger at {places[0]}: name one with --ledger FILE")
    return found
