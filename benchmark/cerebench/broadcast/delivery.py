"""One reporter's events, handed over in a thread of its own: neither its errors nor its slowness reach the run."""

from __future__ import annotations

import queue
import threading
import time

from cerebench.plugins.host import describe
from cerebench.reporting.events import RunEvent
from cerebench.reporting.reporter import Reporter

PATIENCE_S = 30.0
"""Longest time that one hook may take once the run is over."""


class Delivery:
    """Queue and thread of one reporter.

    Attributes:
        failure: one sentence once a hook has raised; nothing is handed over any more.
    """

    def __init__(self, label: str, reporter: Reporter) -> None:
        self.failure = ""
        self._label, self._reporter = label, reporter
        self._waiting: queue.SimpleQueue[RunEvent | None] = queue.SimpleQueue()
        self._hook, self._since = "", time.monotonic()
        self._thread = threading.Thread(target=self._work, name=label, daemon=True)
        self._thread.start()

    def tell(self, event: RunEvent) -> None:
        """Hand over an event; returns at once."""
        if not self.failure:
            self._waiting.put(event)

    def close(self) -> None:
        """Wait until everything is handed over, or until a hook has taken too long."""
        self._waiting.put(None)
        begin = time.monotonic()
        while self._thread.is_alive():
            self._thread.join(0.02)
            if time.monotonic() - max(begin, self._since) > PATIENCE_S and self._thread.is_alive():
                self.failure = (
                    f"{self._label} is still busy in {self._hook or 'its thread'} {PATIENCE_S:g} s after the run and "
                    "is left alone; what it was still to be told is lost"
                )
                return

    def _work(self) -> None:
        while (event := self._waiting.get()) is not None:
            self._hook, self._since = event.name.replace("-", "_"), time.monotonic()
            try:
                getattr(self._reporter, self._hook)(event)
            except BaseException as error:  # sys.exit too: nothing of a reporter may end more than its own thread
                self.failure = (
                    f"{self._label} failed in {self._hook} and is told no more of this run: {describe(error)}"
                )
                return
