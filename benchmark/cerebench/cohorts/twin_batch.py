"""Several in-silico twins at once, each in a process of its own."""

from __future__ import annotations

import multiprocessing
import pickle
import signal
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from cerebench.cohorts.card import Card
from cerebench.cohorts.twins import Progress, Simulator, ensure_twin, twin_folder
from cerebench.processes import start_process


@dataclass(frozen=True)
class Order:
    """What :func:`cerebench.cohorts.twins.ensure_twin` needs to know of one twin."""

    card: Card
    simulate: Simulator
    cases: int
    spacing: float
    seed: int
    cache: Path
    digest: str

    @property
    def filled(self) -> bool:
        """Whether the twin is there."""
        return twin_folder(self.card, self.cases, self.spacing, self.seed, self.cache, self.digest).is_dir()


def make_ahead(orders: Sequence[Order], workers: int, progress: Progress) -> None:
    """Generate the missing twins side by side, so that :func:`ensure_twin` finds them.

    Nothing is reported of one that fails or cannot be sent to a process: whoever asks for it makes it again, and that
    call says what is wrong.

    Args:
        orders: twins, one a cohort.
        workers: processes; with less than two nothing is done.
        progress: called with (done, total, text), in cases over all twins.
    """
    queue = deque(order for order in orders if not order.filled)
    if workers < 2 or len(queue) < 2:
        return
    total = sum(order.cases for order in queue)
    done: dict[str, int] = {}
    running: dict[Connection, tuple[Any, str]] = {}
    context = multiprocessing.get_context("spawn")  # never a plain fork: the parent may hold threads
    try:
        while queue or running:
            while queue and len(running) < workers:
                order = queue.popleft()
                pipe, theirs = context.Pipe(duplex=False)
                process = context.Process(target=_make, args=(theirs, order), daemon=True)
                try:
                    start_process(process)
                except (pickle.PicklingError, AttributeError, TypeError):
                    pipe.close()
                else:
                    running[pipe] = process, order.card.name
                theirs.close()
            for pipe in wait(list(running)):
                process, name = running[pipe]
                try:
                    done[name] = pipe.recv()
                except (EOFError, OSError):
                    process.join()
                    pipe.close()
                    del running[pipe]
                else:
                    progress(sum(done.values()), total, f"simulating {name}")
    finally:
        for process, _ in running.values():
            process.kill()
            process.join()


def _make(pipe: Connection, order: Order) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent answers Ctrl-C and ends this process

    def tell(done: int, total: int, text: str) -> None:
        pipe.send(done)

    try:
        ensure_twin(order.card, order.simulate, order.cases, order.spacing, order.seed, order.cache, order.digest, tell)
    except Exception:
        return  # told by the next call, in the process that can tell it
