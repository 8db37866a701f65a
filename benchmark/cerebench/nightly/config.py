"""The file that says what runs every night."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from cerebench.cohorts.document import load_model
from cerebench.compare.report import Limits
from cerebench.request import Request


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Run(_Part):
    """What runs: the options of ``bench run`` of the same names."""

    methods: str = "all"
    cohorts: str = "all"
    protocols: str = "all"
    preset: str = "nightly"
    data_root: Path | None = None
    device: str = "auto"
    seeds: int = Field(1, ge=1)
    cards: tuple[Path, ...] = ()
    timeout: float | None = Field(None, gt=0)
    workers: int | None = Field(None, ge=1)
    threads: int = Field(1, ge=1)
    memory_limit: float | None = Field(None, gt=0)


class Bounds(_Part):
    """What counts as worse; see :class:`cerebench.compare.report.Limits`."""

    alpha: float = Field(0.05, gt=0, lt=1)
    margin: float = Field(0.02, ge=0)
    slower: float = Field(1.3, gt=1)
    bigger: float = Field(1.5, gt=1)

    def limits(self) -> Limits:
        """As the comparison takes them."""
        return Limits(alpha=self.alpha, margin=self.margin, slower=self.slower, bigger=self.bigger)


class Nightly(_Part):
    """A whole configuration.

    Attributes:
        name: heading of the summaries.
        results: folder with ``nights/``, ``history/`` and the summary.
        baseline: folder of the accepted baselines.
        run: what runs.
        limits: what counts as worse.
        keep: nights whose results folders are kept; their history stays.
        trend: nights in the table of trends.
    """

    schema_version: Literal[1] = Field(alias="schema")
    name: str = Field("nightly", pattern=r"^[a-z0-9][a-z0-9-]*$")
    results: Path = Path("results")
    baseline: Path = Path("results/baseline")
    run: Run = Run()
    limits: Bounds = Bounds()
    keep: int = Field(3, ge=1)
    trend: int = Field(10, ge=1)

    @field_validator("results", "baseline")
    @classmethod
    def _expanded(cls, path: Path) -> Path:
        return path.expanduser()

    def request(self, night: str, dry_run: bool = False) -> Request:
        """The run of one night, in a results folder of its own: kept cells would hide a change of the harness."""
        run = self.run
        return Request(
            methods=run.methods,
            cohorts=run.cohorts,
            protocols=run.protocols,
            preset=run.preset,
            data_root=run.data_root,
            results=self.folder(night),
            device=run.device,
            seeds=run.seeds,
            cards=run.cards,
            dry_run=dry_run,
            timeout_s=run.timeout,
            workers=run.workers,
            threads=run.threads,
            memory_limit_gib=run.memory_limit,
        )

    def folder(self, night: str) -> Path:
        """Results folder of one night."""
        return self.results / "nights" / night

    @property
    def history(self) -> Path:
        """Folder of the entries, one small file a night."""
        return self.results / "history"


NIGHT = re.compile(r"\d{4}-\d\d-\d\d")


def load_config(path: Path) -> Nightly:
    """Read and validate a configuration.

    Raises:
        UsageError: the file is not readable YAML or a field is wrong; names file, line and field.
    """
    return load_model(path, Nightly)
