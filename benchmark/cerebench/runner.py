"""One run from names to a leaderboard: the same for the command line, notebooks and nightly jobs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cerebench.broadcast.broadcast import Broadcast
from cerebench.broadcast.choose import choose_reporters
from cerebench.errors import UsageError
from cerebench.paths import cache_root
from cerebench.paths import data_root as find_data_root
from cerebench.plugins.registry import Registry
from cerebench.processes import use_server
from cerebench.request import Display, Quiet, Request, RunResult
from cerebench.selection import choose_methods, patterns, select_cohorts
from cerebench.store import Store

if TYPE_CHECKING:
    from cerebench.executors.work import Event
    from cerebench.plan.cells import Job
    from cerebench.plan.model import Plan, Selected

_WORKER_BYTES = 4 * 2**30


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

    shard = request.part
    store = Store(Path(request.results))
    registry = Registry.discover([Path(folder) for folder in request.cards])
    targets = devices(request.device)
    names = registry.select("protocol", patterns(request.protocols))
    broadcast = Broadcast(choose_reporters(request.reporters, registry), store, display.warn)
    if request.dry_run:
        plans = _plans(request, registry, names, display)
        return _planned(request, store, plans, shard, display)
    with store.lock():
        store.sweep()
        if not request.in_process and not any(store.runs.glob("manifest-*.json")):
            use_server(warm=True)  # a first run surely needs it: its imports pass while cases are made ready
        plans = _plans(request, registry, names, display)
        result = _planned(request, store, plans, shard, display)
        with broadcast.run(result, shard):
            try:
                _run_jobs(request, store, targets, plans, shard, display, broadcast, result)
            finally:
                store.sweep()
            return _finish(store, result, shard)


def _plans(request: Request, registry: Registry, names: Sequence[str], display: Display) -> list[Plan]:
    from cerebench.protocol import load_protocol
    from cerebench.search.grid import with_grids

    chosen = choose_methods(request.methods, request.protocols, names, registry, display)
    if request.search:
        documents = {name: load_protocol(registry.protocol_file(name)) for name in chosen}
        wider = with_grids(chosen, documents, request.preset)
        if wider == chosen:
            display.warn("--search adds nothing: no selected protocol lists other settings of a selected method")
        chosen = wider
    plans = [_plan(request, registry, name, methods, display) for name, methods in chosen.items()]
    for line in registry.warnings():  # now complete: what was selected has been loaded
        display.warn(line)
    return plans


def _plan(request: Request, registry: Registry, name: str, methods: list[Selected], display: Display) -> Plan:
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
    cohorts = select_cohorts(request.cohorts, registry, display)
    return builder.build(methods, cohorts, request.seeds, max(1, os.cpu_count() or 1), display.phase)


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
    broadcast: Broadcast,
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
        broadcast.event(job, event)
        if event.kind != "case":
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
