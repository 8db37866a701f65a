"""Local execution: one worker process per job and device, watched for crashes, time-outs and memory.

Workers are forked from a server that has the heavy imports loaded, so that starting one costs milliseconds.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from cerebench.executors.autopsy import crash_words, resident_bytes, tail
from cerebench.executors.guard import allowed_folders, guard_writes
from cerebench.executors.work import Event, quiet_output, run_job
from cerebench.plan.cells import Job
from cerebench.processes import start_process, use_server
from cerebench.store import Status, Store

_WATCH_S = 0.2
_SILENT_S = 300.0
"""Longest wait for a worker's next cell to begin; between cells nothing takes longer than seconds."""
_EXIT_S = 10.0
"""Time that a worker has to go after its last cell: threads of a plugin may keep it."""


@dataclass(frozen=True)
class Limits:
    """What contains a worker.

    Attributes:
        timeout_s: replaces every cell's own limit if given.
        memory_bytes: resident memory of one worker.
        threads: CPU threads of one worker; ``None`` leaves torch's own choice.
    """

    timeout_s: float | None = None
    memory_bytes: int | None = None
    threads: int | None = None


Listener = Callable[[Job, Event], None]


def run_in_process(
    jobs: Sequence[Job], store: Store, devices: Sequence[str], listen: Listener, threads: int | None = None
) -> None:
    """Run jobs one after another in this process: for debugging; nothing contains a crash or a hang."""
    for job in jobs:
        run_job(job, store, devices[0], partial(listen, job), threads)


def run_jobs(
    jobs: Sequence[Job], store: Store, devices: Sequence[str], slots: int, limits: Limits, listen: Listener
) -> None:
    """Run jobs in worker processes, ``slots`` at a time on every device; returns when all have ended.

    A worker that crashes, hangs or takes too much memory costs the cell it was at; a new one goes on with the next.
    """
    context = use_server()
    waiting = list(jobs)
    free = [device for _ in range(slots) for device in devices]
    active: list[_Worker] = []
    try:
        while waiting or active:
            while free and (job := _next_job(waiting, active)) is not None:
                active.append(_Worker(context, job, store, free.pop(0), limits))
            # The sentinel too: a process that a plugin forked may hold the pipe open after its parent's death.
            sources: dict[Any, _Worker] = {}
            for worker in active:
                sources |= {worker.pipe: worker, worker.process.sentinel: worker}
            for worker in dict.fromkeys(sources[source] for source in wait(list(sources), timeout=_WATCH_S)):
                if not worker.drain(listen):
                    active.remove(worker)
                    worker.join()
                    again = worker.aftermath(listen)
                    if again is not None:
                        waiting.insert(0, again)
                    free.append(worker.device)
            for worker in active:
                worker.watch()
    finally:
        for worker in active:
            worker.kill()
            worker.clear()


def _next_job(waiting: list[Job], active: Sequence[_Worker]) -> Job | None:
    """Take the first job that would not sit and wait for a stage that another worker is training."""
    busy = {path for worker in active for path in worker.training}
    for job in waiting:
        if busy.isdisjoint(stage.path for stage in job.stages):
            waiting.remove(job)
            return job
    return None


@dataclass(eq=False)
class _Worker:
    context: Any
    job: Job
    store: Store
    device: str
    limits: Limits
    cell: str = ""
    what: str = ""
    since: float = field(default_factory=time.monotonic)
    finished: set[str] = field(default_factory=set)
    advanced: bool = False
    ended: bool = False
    verdict: tuple[Status, str] | None = None

    def __post_init__(self) -> None:
        self.training = {stage.path for stage in self.job.stages if not self.store.done(stage.path)}
        self.pipe, theirs = self.context.Pipe(duplex=True)
        values, environment = self.job.to_json(), dict(os.environ)
        self.log = self.store.runs / ".tmp-logs" / f"worker-{os.getpid()}-{id(self)}.log"
        self.scratch = tempfile.mkdtemp(prefix="cerebench-")  # short: sockets below it have limited names
        environment["TMPDIR"] = self.scratch
        where = (str(self.store.root), self.device, self.limits.threads)
        words = (values, *where, environment, theirs, str(self.log), self.scratch)
        self.process = self.context.Process(target=_main, args=words)
        start_process(self.process)
        theirs.close()

    def drain(self, listen: Listener) -> bool:
        """Take what the worker says; False once it has gone."""
        alive: bool = self.process.is_alive()  # asked first: whatever a dead worker said is in the pipe by now
        try:
            while self.pipe.poll():
                event: Event = self.pipe.recv()
                if event.kind == "start":
                    self.cell, self.what, self.since = event.cell, event.what, time.monotonic()
                elif event.kind == "end":
                    self.finished.add(event.cell)
                    self.training.discard(event.cell)
                    self.advanced |= event.what == "evaluate" or event.status == "ok"
                    self.cell = self.what = ""
                    self.since = time.monotonic()
                elif event.kind == "done":
                    self.ended = True
                    self.since = time.monotonic()
                if event.kind != "done":
                    listen(self.job, event)
        except (EOFError, OSError):
            return False
        return alive

    def watch(self) -> None:
        """End a worker that is over its time or memory."""
        if self.verdict is not None:
            return
        waited = time.monotonic() - self.since
        if self.ended:
            if waited > _EXIT_S:
                self.kill()
            return
        if not self.cell and waited > _SILENT_S:
            self.verdict = ("timeout", f"began no cell within {_SILENT_S:g} s; see `bench doctor`, or use --in-process")
            self.kill()
            return
        limit = self._timeout()
        if self.cell and limit is not None and waited > limit:
            self.verdict = ("timeout", f"took longer than {limit:g} s (--timeout, or timeout_s of the preset)")
            self.kill()
            return
        if self.limits.memory_bytes is not None:
            used = resident_bytes(self.process.pid)
            if used > self.limits.memory_bytes:
                text = f"took {used / 2**30:.1f} GiB, more than the {self.limits.memory_bytes / 2**30:.1f} GiB allowed"
                self.verdict = ("oom", f"{text} (--memory-limit)")
                self.kill()

    def _timeout(self) -> float | None:
        if self.limits.timeout_s is not None:
            return self.limits.timeout_s
        return next(
            (limit for path, limit in cell_limits(self.job) if path == self.cell),
            None,
        )

    def kill(self) -> None:
        with contextlib.suppress(Exception):
            self.process.kill()
            self.process.join(5)

    def join(self) -> None:
        self.process.join(5)
        if self.process.is_alive():
            self.kill()
        self.pipe.close()

    def clear(self) -> None:
        """Remove what the worker left beside its cells."""
        self.log.unlink(missing_ok=True)
        shutil.rmtree(self.scratch, ignore_errors=True)

    def aftermath(self, listen: Listener) -> Job | None:
        """After the end: record the cell a crash took, and give back the job if cells are left."""
        output = tail(self.log)
        self.clear()
        if self.ended:
            return None
        status, reason = self.verdict or ("failed", crash_words(self.process.exitcode))
        if not self.cell and self.advanced:
            return self._rest("", listen)  # it died between cells: no cell's fault, and a new one gets further
        if not self.cell:
            # It died before any: blame the first one that is not finished, or it would be tried for ever.
            self.cell, self.what = self._next()
            if not self.cell:
                return None
        full = f"the worker process {reason}"
        self.store.record_failure(self.cell, status, full, output)
        listen(self.job, Event("end", self.cell, self.what, status, full))  # type: ignore[arg-type]
        return self._rest(full, listen)

    def _next(self) -> tuple[str, str]:
        paths = [(stage.path, "train") for stage in self.job.stages]
        paths += [(cell.path, "evaluate") for cell in self.job.evaluations]
        left = (item for item in paths if item[0] not in self.finished and not self.store.done(item[0]))
        return next(left, ("", ""))

    def _rest(self, reason: str, listen: Listener) -> Job | None:
        """The job without the cells that the crash made impossible."""
        evaluations = []
        for cell in self.job.evaluations:
            if cell.path == self.cell or cell.path in self.finished:
                continue
            if self.what == "train" or cell.reference == self.cell:
                stage = "training" if self.what == "train" else "prediction of the validation cases"
                text = f"{stage} failed: {reason}"
                self.store.record_failure(cell.path, "failed", text)
                listen(self.job, Event("end", cell.path, "evaluate", "failed", text))
                continue
            evaluations.append(cell)
        return replace(self.job, evaluations=tuple(evaluations)) if evaluations else None


def cell_limits(job: Job) -> Iterator[tuple[str, float]]:
    """Path and time limit of every cell of a job."""
    for stage in job.stages:
        yield stage.path, stage.timeout_s
    for reference in job.references:
        yield reference.path, reference.timeout_s
    for cell in job.evaluations:
        yield cell.path, cell.timeout_s


def _main(
    values: dict[str, Any],
    root: str,
    device: str,
    threads: int | None,
    environment: dict[str, str],
    pipe: Connection,
    log: str,
    scratch: str,
) -> None:
    os.environ.clear()  # what the server inherited at its own start may be out of date
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent answers Ctrl-C
    quiet_output(Path(log))
    threading.Thread(target=_die_with_parent, args=(pipe, scratch), daemon=True).start()
    tempfile.tempdir = None  # what the server found at its own start
    guard_writes(values["method"], allowed_folders(Path(root), Path(scratch)))
    run_job(Job.from_json(values), Store(Path(root)), device, pipe.send, threads)


def _die_with_parent(pipe: Connection, scratch: str) -> None:
    """The parent never writes: the pipe becomes readable only when it has gone, and nobody is left to work for."""
    with contextlib.suppress(OSError):
        wait([pipe])
    shutil.rmtree(scratch, ignore_errors=True)
    os._exit(1)
