"""What a run is asked to do, whom it tells about it, and what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from cerebench.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

    from cerebench.executors.work import Event
    from cerebench.plan.cells import Job
    from cerebench.plan.model import Plan
    from cerebench.reporting.reporter import Reporter


class Display(Protocol):
    """What a run tells the person in front of it."""

    def phase(self, done: int, total: int, text: str) -> None:
        """Progress before any method runs: simulation, preparation."""

    def planned(self, plan: Plan, jobs: Sequence[Job], kept: int) -> None:
        """The plan is made; ``kept`` cells are there from earlier runs."""

    def event(self, job: Job, event: Event) -> None:
        """A worker reports."""

    def warn(self, text: str) -> None:
        """Something that does not stop the run."""


class Quiet:
    """Shows nothing."""

    def phase(self, done: int, total: int, text: str) -> None:
        """Nothing."""

    def planned(self, plan: Plan, jobs: Sequence[Job], kept: int) -> None:
        """Nothing."""

    def event(self, job: Job, event: Event) -> None:
        """Nothing."""

    def warn(self, text: str) -> None:
        """Nothing."""


@dataclass(frozen=True)
class Request:
    """What to run; the fields are the options of ``bench run``.

    Attributes:
        methods: ``all``, globs, names with settings in brackets, ``path/to/file.py:MyMethod``; text with commas or a
            sequence.
        cohorts: ``all``, globs or names.
        protocols: ``all``, globs or names.
        preset: preset name, ``None`` for the protocol's default.
        data_root: folder of released cohorts; ``None`` for ``CEREBENCH_DATA``, else in-silico twins.
        results: results folder.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        seeds: number of repetitions, seeds 0, 1, ….
        shard: ``"i/n"``: only the i-th of n parts of the jobs.
        cards: folders of local cards.
        dry_run: plan only.
        in_process: no worker processes; for debugging.
        timeout_s: limit of every cell instead of the preset's.
        workers: worker processes on each device; ``None`` for one a GPU, one for every core and 4 GiB on the CPU.
        threads: CPU threads of one worker; with one (the default) results do not depend on the number of cores.
        memory_limit_gib: resident memory of one worker; ``None`` for its share of 90 % of the machine's.
        search: also run the combinations of settings that a protocol's ``search`` lists for a selected method.
        reporters: who is told of the run: names with settings in brackets, text with commas or a sequence, which may
            also hold objects of :class:`cerebench.api.Reporter`.
    """

    methods: str | Sequence[str] = "all"
    cohorts: str | Sequence[str] = "all"
    protocols: str | Sequence[str] = "all"
    preset: str | None = None
    data_root: str | Path | None = None
    results: str | Path = "results"
    device: str = "auto"
    seeds: int = 1
    shard: str | None = None
    cards: Sequence[str | Path] = ()
    dry_run: bool = False
    in_process: bool = False
    timeout_s: float | None = None
    workers: int | None = None
    threads: int = 1
    memory_limit_gib: float | None = None
    search: bool = False
    reporters: str | Sequence[str | Reporter] = ()

    def __post_init__(self) -> None:
        for option, value in (("seeds", self.seeds), ("workers", self.workers), ("threads", self.threads)):
            if value is not None and value < 1:
                raise UsageError(f"--{option} {value}: expected 1 or more")
        for option, limit in (("timeout", self.timeout_s), ("memory-limit", self.memory_limit_gib)):
            if limit is not None and not limit > 0:
                raise UsageError(f"--{option} {limit:g}: expected more than 0")

    @property
    def part(self) -> tuple[int, int]:
        """The shard as (number, of); (1, 1) for the whole.

        Raises:
            UsageError: it is not of the form ``i/n`` with 1 <= i <= n.
        """
        if self.shard is None:
            return 1, 1
        number, slash, of = self.shard.partition("/")
        if not slash or not number.isdigit() or not of.isdigit() or not 1 <= int(number) <= int(of):
            raise UsageError(f"--shard {self.shard!r}: expected i/n with 1 <= i <= n, such as 1/4")
        return int(number), int(of)


@dataclass
class RunResult:
    """What came of a run.

    Attributes:
        results: the results folder.
        plans: one plan for each protocol.
        counts: status → number of evaluation cells of these plans (``kept`` ones are ``ok`` too).
        problems: (cell, reason) of every cell that is not ``ok`` and not skipped.
        evaluated: evaluation cells computed by this run.
        exit_code: 0 all cells fine, 1 some failed.
    """

    results: Path
    plans: list[Plan]
    counts: Counter[str] = field(default_factory=Counter)
    problems: list[tuple[str, str]] = field(default_factory=list)
    evaluated: int = 0

    @property
    def exit_code(self) -> int:
        """0 if every cell is fine or was rightly skipped, else 1."""
        return 1 if self.problems else 0

    def leaderboard(self) -> pd.DataFrame:
        """The leaderboard of the results folder."""
        from cerebench.boards import leaderboard

        return leaderboard(self.results)
