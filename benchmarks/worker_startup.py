"""Times how long a worker takes from ``Process.start()`` to its first word, with the server already running.

    python benchmarks/worker_startup.py [--repeats 15] [--limit 0.5]

Prints medians for a bare process of the server (the floor: fork, unpickling, connection), for a worker of the local
executor that runs an empty job (until it reports that it is done), and the one-off start of the server with its
imports. Ends with exit code 1 if the worker's median is above the limit.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from cerebench.executors.local import _main as worker_main
from cerebench.plan.cells import Job, Options
from cerebench.processes import start_process, use_server


def main() -> int:
    """Measure, print, and compare with the limit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--limit", type=float, default=0.5, help="seconds that the worker's median may not exceed")
    options = parser.parse_args()
    context = use_server()
    with tempfile.TemporaryDirectory() as folder:
        first = time_of(context, Connection.send, lambda pipe: (pipe, "here"))
        floor = [time_of(context, Connection.send, lambda pipe: (pipe, "here")) for _ in range(options.repeats)]
        log = str(Path(folder) / "worker.log")
        words = (empty_job().to_json(), folder, "cpu", 1, dict(os.environ))
        times = [time_of(context, worker_main, lambda pipe: (*words, pipe, log)) for _ in range(options.repeats)]
    load = os.getloadavg()[0]
    print(f"medians of {options.repeats}, {os.cpu_count()} cores, load {load:.1f}, Python {sys.version.split()[0]}")
    print(f"server with its imports  {first:6.3f} s, once a run")
    print(f"bare process (floor)     {statistics.median(floor):6.3f} s")
    print(f"worker, empty job        {statistics.median(times):6.3f} s (slowest {max(times):.3f} s)")
    return 1 if statistics.median(times) > options.limit else 0


def time_of(context: Any, target: Any, arguments: Callable[[Connection], tuple[Any, ...]]) -> float:
    """Seconds from starting a process to the first thing it sends; the target must live in an importable module."""
    ours, theirs = context.Pipe()
    process = context.Process(target=target, args=arguments(theirs))
    begin = time.perf_counter()
    start_process(process)
    theirs.close()
    ours.recv()
    seconds = time.perf_counter() - begin
    process.join()
    ours.close()
    return seconds


def empty_job() -> Job:
    """A job without a cell: what is left is the start."""
    plain = Options("anomaly", ("raw",), "32-true", 64, 64.0, 100, 0.95)
    return Job("empty", "none", {}, "quick", ("t1",), (8, 8, 8), (1.0, 1.0, 1.0), (), 0, plain, {}, (), (), ())


if __name__ == "__main__":
    sys.exit(main())
