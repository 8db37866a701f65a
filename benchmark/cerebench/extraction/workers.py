"""Cases in parallel, one fresh process each: a crash is the fault of its case, and memory ends with it."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

from cerebench.errors import BenchError, DataError
from cerebench.extraction.plan import Job
from cerebench.extraction.settings import NUMBERS, Options
from cerebench.processes import start_process

Outcome = dict[str, Any] | DataError
Extract = Callable[[Job, Options], dict[str, Any]]


def extract_all(
    jobs: Sequence[Job], options: Options, workers: int, done: Callable[[Job, Outcome], None], extract: Extract
) -> None:
    """Extract every case; faults are values, not exceptions.

    Args:
        jobs: what to do, in order.
        options: what the user chose.
        workers: processes at once.
        done: called in this process with each case and its record or fault as it ends.
        extract: does one case; a function of a module, since it runs in another process.
    """
    context = multiprocessing.get_context("spawn")  # ANTs reads its threads and seed from the environment at import
    waiting = deque(jobs)
    running: dict[Connection, tuple[Job, Any]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                job = waiting.popleft()
                ours, theirs = context.Pipe(duplex=False)
                process = context.Process(target=_work, args=(theirs, job, options, extract), daemon=True)
                start_process(process)
                theirs.close()
                running[ours] = job, process
            for pipe in wait(list(running)):
                assert isinstance(pipe, Connection)
                job, process = running[pipe]
                outcome = _answer(pipe, job, process)
                del running[pipe]
                done(job, outcome)
    finally:
        for pipe, (_, process) in running.items():
            pipe.close()
            process.kill()
            process.join()


def _answer(pipe: Connection, job: Job, process: Any) -> Outcome:
    try:
        outcome: Outcome = pipe.recv()
    except (EOFError, OSError):
        process.join()
        code = process.exitcode
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        outcome = DataError(
            f"case {job.name} of {job.case.cohort}: the process that extracted it ended by {how}; "
            "it ran out of memory or a file breaks a library, so check the files or use fewer workers"
        )
    pipe.close()
    process.join()
    return outcome


def _work(pipe: Connection, job: Job, options: Options, extract: Extract) -> None:
    from cerebench.extraction.engine import single_thread

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent answers Ctrl-C and ends its workers
    threading.Thread(target=_end_with_parent, daemon=True).start()
    single_thread(NUMBERS.seed)
    outcome = attempt(job, options, extract)
    with contextlib.suppress(BrokenPipeError):
        pipe.send(outcome)


def attempt(job: Job, options: Options, extract: Extract) -> Outcome:
    """One case in this process: its record, or its fault as one sentence that names the case."""
    name = f"case {job.name} of {job.case.cohort}"
    try:
        return extract(job, options)
    except BenchError as error:
        text = str(error)
        return DataError(text if name in text else f"{name}: {text}")
    except Exception as error:
        return DataError(
            f"{name}: extraction failed with {type(error).__name__}: {error}; please report this, with the header of "
            "the file"
        )


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)  # a killed parent wants no more work; the files written so far are whole
