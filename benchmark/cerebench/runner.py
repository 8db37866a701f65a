"""One run from names to a leaderboard: the same for the command line, notebooks and nightly jobs."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from cerebench.errors import BenchError, UsageError
from cerebench.paths import cache_root
from cerebench.paths import data_root as find_data_root
from cerebench.plugins.registry import Registry
from cerebench.store import Store
from cerebench.text import parse_selection, split_list

if TYPE_CHECKING:
    import pandas as pd

    from cerebench.executors.work import Event
    from cerebench.plan.build import Plan, Selected
    from cerebench.plan.cells import Job


_WORKER_BYTES = 4 * 2**30


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
        methods: ``all``, globs, or names with settings in brackets; text with commas or a sequence.
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

    def __post_init__(self) -> None:
        for option, value in (("seeds", self.seeds), ("workers", self.workers), ("threads", self.threads)):
            if value is not None and value < 1:
                raise UsageError(f"--{option} {value}: expected 1 or more")
        for option, limit in (("timeout", self.timeout_s), ("memory-limit", self.memory_limit_gib)):
            if limit is not None and not limit > 0:
                raise UsageError(f"--{option} {limit:g}: expected more than 0")


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


def run(
    methods: str | Sequence[str] = "all",
    cohorts: str | Sequence[str] = "all",
    protocols: str | Sequence[str] = "all",
    **options: Any,
) -> RunResult:
    """Evaluate methods on cohorts: what ``bench run`` does, with the options of :class:`Request` as keywords.

    Raises:
        UsageError: an unknown name, a wrong setting, an unusable folder.
        PluginError: a method that was named belongs to a broken plugin.
    """
    display = options.pop("display", None)
    try:
        request = Request(methods=methods, cohorts=cohorts, protocols=protocols, **options)
    except TypeError as error:
        from dataclasses import fields

        known = ", ".join(item.name for item in fields(Request))
        raise UsageError(f"cerebench.run: {error}; options are: {known}") from None
    return execute(request, display or Quiet())


def execute(request: Request, display: Display) -> RunResult:
    """Plan and run a request."""
    from cerebench.loop.device import devices

    shard = _shard(request.shard)
    store = Store(Path(request.results))
    registry = Registry.discover([Path(folder) for folder in request.cards])
    targets = devices(request.device)
    names = registry.select("protocol", _patterns(request.protocols))
    if request.dry_run:
        plans = _plans(request, registry, names, display)
        return _planned(request, store, plans, shard, display)
    with store.lock():
        store.sweep()
        plans = _plans(request, registry, names, display)
        result = _planned(request, store, plans, shard, display)
        try:
            _run_jobs(request, store, targets, plans, shard, display, result)
        finally:
            store.sweep()
        return _finish(store, result, shard)


def _plans(request: Request, registry: Registry, names: Sequence[str], display: Display) -> list[Plan]:
    plans = [_plan(request, registry, name, display) for name in names]
    for line in registry.warnings():  # now complete: what was selected has been loaded
        display.warn(line)
    return plans


def _plan(request: Request, registry: Registry, name: str, display: Display) -> Plan:
    from cerebench.plan.build import PlanBuilder
    from cerebench.plan.prepared import PreparedCases
    from cerebench.plan.sources import Sources
    from cerebench.prepare.cache import Preparer
    from cerebench.prepare.spec import PrepareSpec
    from cerebench.protocol import load_protocol
    from cerebench.provenance import run_provenance

    protocol = load_protocol(registry.protocol_file(name))
    preset_name, preset = protocol.preset(request.preset)
    spec = PrepareSpec(spacing_mm=preset.spacing_mm)
    cache = cache_root()
    root = find_data_root(request.data_root)
    sources = Sources(registry, protocol, preset.twins, root, cache, display.phase, dry=request.dry_run)
    prepared = PreparedCases(Preparer(cache, spec), dry=request.dry_run)
    cards = [Path(folder) for folder in request.cards]
    builder = PlanBuilder(protocol, preset_name, sources, prepared, spec, cards, run_provenance())
    selected = _selected(request, registry, protocol)
    return builder.build(
        selected, _cohorts(request, registry, display), request.seeds, max(1, os.cpu_count() or 1), display.phase
    )


def _cohorts(request: Request, registry: Registry, display: Display) -> list[str]:
    """Selected cohorts; one that only a glob brought in is left out with a warning if its card is malformed."""
    patterns = _patterns(request.cohorts)
    chosen = []
    for name in registry.select("cohort", patterns):
        try:
            registry.card(name)
        except BenchError as error:
            if name in patterns:
                raise
            display.warn(f"cohort {name!r} is left out: {error}")
            continue
        chosen.append(name)
    return chosen


def _selected(request: Request, registry: Registry, protocol: Any) -> list[Selected]:
    from cerebench.plan.build import Selected, check_task

    chosen = []
    exact = []
    for text in registry.select("method", _patterns(request.methods), load=True):
        name, overrides = parse_selection(text)
        cls = registry.load_method(name)
        values = dict(overrides)
        named = values.pop("variant", None) if "variant" not in cls.Settings.model_fields else None
        if named is not None:
            values = {**_variant(cls, str(named)), **values}
        cls.settings_for(protocol.default_preset, values)
        words = ",".join(f"{key}={value}" for key, value in overrides.items())
        chosen.append(Selected(cls, values, words))
        exact += [name for pattern in _patterns(request.methods) if pattern.partition("[")[0] == name]
    return check_task(chosen, protocol, exact)


def _variant(cls: Any, name: str) -> dict[str, Any]:
    from cerebench.text import did_you_mean

    if name not in cls.variants:
        raise UsageError(f"method {cls.info.name!r} has no variant {name!r}: {did_you_mean(name, cls.variants)}")
    return dict(cls.variants[name])


def _patterns(value: str | Sequence[str]) -> list[str]:
    return split_list(value) if isinstance(value, str) else list(value)


def _shard(text: str | None) -> tuple[int, int]:
    if text is None:
        return 1, 1
    number, slash, of = text.partition("/")
    if not slash or not number.isdigit() or not of.isdigit() or not 1 <= int(number) <= int(of):
        raise UsageError(f"--shard {text!r}: expected i/n with 1 <= i <= n, such as 1/4")
    return int(number), int(of)


def _planned(request: Request, store: Store, plans: list[Plan], shard: tuple[int, int], display: Display) -> RunResult:
    for plan in plans:
        jobs = plan.shard(*shard)
        kept = sum(store.done(cell.path) for job in jobs for cell in job.evaluations) if plan.complete else 0
        display.planned(plan, jobs, kept)
        for note in plan.notes:
            display.warn(note)
    return RunResult(Path(request.results), plans)


def _run_jobs(
    request: Request,
    store: Store,
    targets: list[str],
    plans: list[Plan],
    shard: tuple[int, int],
    display: Display,
    result: RunResult,
) -> None:
    from cerebench.manifest import write_manifest

    for plan in plans:
        write_manifest(store, plan)
    jobs = [job for plan in plans for job in plan.shard(*shard) if not _finished(store, job)]
    if not jobs:
        return

    def listen(job: Job, event: Event) -> None:
        if event.kind == "end" and event.what == "evaluate" and event.status == "ok":
            result.evaluated += 1
        display.event(job, event)

    if request.in_process:
        from cerebench.executors.local import run_in_process

        run_in_process(jobs, store, targets, listen, request.threads)
        return
    from cerebench.executors.local import Limits, run_jobs

    slots = request.workers or _slots(targets)
    limits = Limits(request.timeout_s, _memory(request, slots * len(targets)), request.threads)
    run_jobs(jobs, store, targets, slots, limits, listen)


def _finished(store: Store, job: Job) -> bool:
    """Whether a job needs no worker: its cells are there and have today's metrics."""
    from cerebench.loop.summary import current

    return all(store.done(cell.path) and current(store.path(cell.path)) for cell in job.evaluations)


def _slots(targets: Sequence[str]) -> int:
    """Workers a device: on a CPU as many as cores and memory hold."""
    import psutil

    if targets[0] != "cpu":
        return 1
    return max(1, min(os.cpu_count() or 1, psutil.virtual_memory().total // _WORKER_BYTES))


def _memory(request: Request, workers: int) -> int:
    """Bytes that one worker may take."""
    import psutil

    if request.memory_limit_gib is not None:
        return int(request.memory_limit_gib * 2**30)
    return int(0.9 * psutil.virtual_memory().total / workers)


def _finish(store: Store, result: RunResult, shard: tuple[int, int]) -> RunResult:
    for plan in result.plans:
        for job in plan.shard(*shard):
            for cell in job.evaluations:
                status = store.status(cell.path) or {"status": "missing", "reason": "not finished"}
                result.counts[status["status"]] += 1
                if status["status"] != "ok":
                    name = f"{cell.identity.method} on {cell.identity.cohort} {cell.identity.modality}"
                    result.problems.append((name, f"{status['status']}: {status['reason']}"))
        for skipped in plan.skipped:
            result.counts["failed" if skipped.failed else "skipped"] += 1
            if skipped.failed:
                name = f"{skipped.identity.method} on {skipped.identity.cohort} {skipped.identity.modality}"
                result.problems.append((name, skipped.reason))
    return result
