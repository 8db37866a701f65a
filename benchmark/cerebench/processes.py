"""Starting processes: from a server with the heavy imports loaded, and without importing the caller's script.

There is one such server a process, so light work (preparation) uses fresh processes instead of claiming it.
"""

from __future__ import annotations

import multiprocessing
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_PRELOAD = ["cerebench.executors.preload"]
_hiding = threading.Lock()


def use_server(warm: bool = False) -> Any:
    """The context whose processes are forked from the server; ``warm`` starts the server at once, in the background."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOAD)
    if warm:
        from multiprocessing import forkserver

        with _without_main():
            forkserver.ensure_running()
    return context


def start_process(process: Any) -> None:
    """Start a process that does not run the caller's ``__main__`` again.

    A script that calls :func:`cerebench.run` needs no ``if __name__ == "__main__"`` guard this way.
    """
    with _without_main():
        process.start()


@contextmanager
def _without_main() -> Iterator[None]:
    main = sys.modules["__main__"]
    with _hiding:
        kept = {name: getattr(main, name) for name in ("__file__", "__spec__") if hasattr(main, name)}
        for name in kept:
            setattr(main, name, None)
        try:
            yield
        finally:
            for name, value in kept.items():
                setattr(main, name, value)
