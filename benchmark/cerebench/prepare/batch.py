"""Many cases at once: cache hits first, the rest in worker processes, one fault never stopping another case."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnContext
from typing import Any

from cerebench.contract.data import Case, ReadPolicy
from cerebench.errors import DataError
from cerebench.prepare.cache import Prepared, Preparer
from cerebench.processes import start_process

RequestKey = tuple[str, str, tuple[str, ...], float | None]
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Request:
    """One case with the channels wanted of it."""

    case: Case
    modalities: tuple[str, ...]
    policy: ReadPolicy

    @property
    def key(self) -> RequestKey:
        """(cohort, case id, modalities, margin of lesion-free slices)."""
        return self.case.cohort, self.case.id, self.modalities, self.policy.lesion_free_mm


def prepare_all(
    preparer: Preparer,
    requests: Sequence[Request],
    workers: int,
    progress: Progress = lambda done, total, text: None,
) -> dict[RequestKey, Prepared | DataError]:
    """Prepare every request; faults are values, not exceptions.

    Args:
        preparer: cache and spec.
        requests: what is wanted; two with the same key are prepared once.
        workers: processes; 0 works in this process (a crash then ends it).
        progress: called with (done, total, text) after every case.

    Returns:
        Request key → entry, or the error that says what is wrong with the case; in the order of the requests.
    """
    wanted = {request.key: request for request in requests}
    results: dict[RequestKey, Prepared | DataError] = {}

    def finish(key: RequestKey, result: Prepared | DataError) -> None:
        results[key] = result
        progress(len(results), len(wanted), f"{key[0]} {key[1]} {'+'.join(key[2])}")

    missing: list[Request] = []
    with ThreadPoolExecutor(max(1, min(workers, 8))) as threads:  # hashing releases the interpreter lock
        for request, found in zip(
            wanted.values(), threads.map(lambda item: _try(preparer.get, item), wanted.values()), strict=True
        ):
            if found is None:
                missing.append(request)
            else:
                finish(request.key, found)
    if workers > 0 and missing:
        _in_processes(preparer, missing, workers, finish)
    else:
        for request in missing:
            finish(request.key, _prepare(preparer, request))
    return {key: results[key] for key in wanted}


def _try(call: Callable[[Case, tuple[str, ...], ReadPolicy], Any], request: Request) -> Any:
    try:
        return call(request.case, request.modalities, request.policy)
    except DataError as error:
        return error
    except Exception as error:
        return DataError(
            f"case {request.case.id} of {request.case.cohort}: preparation failed with "
            f"{type(error).__name__}: {error}; please report this, with the file's header"
        )


def _prepare(preparer: Preparer, request: Request) -> Prepared | DataError:
    result: Prepared | DataError = _try(preparer.prepare, request)
    return result


def _work(pipe: Connection, preparer: Preparer) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent answers Ctrl-C and closes the pipes
    try:
        while (request := pipe.recv()) is not None:
            result = _prepare(preparer, request)
            pipe.send((result.key, None) if isinstance(result, Prepared) else (None, str(result)))
    except (EOFError, BrokenPipeError):
        return


class _Worker:
    """A process and the one request it is working on."""

    def __init__(self, context: SpawnContext, preparer: Preparer) -> None:
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, preparer), daemon=True)
        start_process(self.process)
        theirs.close()
        self.request: Request | None = None

    def give(self, request: Request) -> None:
        self.request = request
        with contextlib.suppress(OSError):  # a dead worker is noticed when its answer is waited for
            self.pipe.send(request)

    def end(self) -> None:
        self.pipe.close()
        self.process.join(timeout=1.0)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


def _in_processes(
    preparer: Preparer,
    missing: Sequence[Request],
    count: int,
    finish: Callable[[RequestKey, Prepared | DataError], None],
) -> None:
    # Never a plain fork: the parent may hold threads and a CUDA context.
    context = multiprocessing.get_context("spawn")
    queue = deque(missing)
    workers: dict[Connection, _Worker] = {}

    def start() -> None:
        worker = _Worker(context, preparer)
        workers[worker.pipe] = worker
        worker.give(queue.popleft())

    try:
        while queue and len(workers) < count:
            start()
        while workers:
            for pipe in wait(list(workers)):
                worker = workers[pipe]  # type: ignore[index]
                request = worker.request
                assert request is not None
                try:
                    key, fault = worker.pipe.recv()
                except (EOFError, OSError):
                    finish(request.key, _killed(worker, request))
                    del workers[worker.pipe]
                    worker.end()
                    if queue:
                        start()
                    continue
                finish(request.key, DataError(fault) if key is None else Prepared(key, preparer.folder(key)))
                if queue:
                    worker.give(queue.popleft())
                else:
                    del workers[worker.pipe]
                    worker.end()
    finally:
        for worker in workers.values():
            worker.process.kill()
            worker.end()


def _killed(worker: _Worker, request: Request) -> DataError:
    worker.process.join(timeout=5.0)
    code = worker.process.exitcode
    how = f"signal {signal.Signals(-code).name}" if code is not None and code < 0 else f"exit code {code}"
    return DataError(
        f"case {request.case.id} of {request.case.cohort}: the process preparing it ended by {how}; "
        "it ran out of memory or the file breaks the reader, so check the file or use fewer workers"
    )
