"""Methods that crash, print, exit, linger and sleep."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from cerebench.api import Method, MethodInfo, PredictContext, Prediction

SMALL = 1500
"""Voxels of a brain that the tests call small."""


class Intensity(Method):
    """Squared intensity; the others add their trouble."""

    def predict(self, images: Any, context: PredictContext) -> Prediction:
        return Prediction(maps=images[:, 0] ** 2 * context.brain)


class Column(Intensity):
    info = MethodInfo(name="trouble-column", summary="Crashes on small heads only.", supervision="none", stages=())

    def predict(self, images: Any, context: PredictContext) -> Prediction:
        if int(context.brain.sum()) < SMALL:
            os.kill(os.getpid(), signal.SIGSEGV)
            time.sleep(60)
        return super().predict(images, context)


class Prints(Intensity):
    info = MethodInfo(name="trouble-prints", summary="Prints megabytes.", supervision="none", stages=())

    def predict(self, images: Any, context: PredictContext) -> Prediction:
        print("out " * 2**18)
        print("err " * 2**18, file=sys.stderr)
        os.write(1, b"raw " * 2**18)
        return super().predict(images, context)


class Exits(Intensity):
    info = MethodInfo(name="trouble-exits", summary="Calls sys.exit.", supervision="none", stages=())

    def predict(self, images: Any, context: PredictContext) -> Prediction:
        sys.exit(0)


class Thread(Intensity):
    info = MethodInfo(name="trouble-thread", summary="Leaves a thread behind.", supervision="none", stages=())

    def predict(self, images: Any, context: PredictContext) -> Prediction:
        threading.Thread(target=time.sleep, args=(600,), daemon=False).start()
        return super().predict(images, context)


class Child(Intensity):
    info = MethodInfo(name="trouble-child", summary="Dies, leaves a child behind.", supervision="none", stages=())

    def predict(self, images: Any, context: PredictContext) -> Prediction:
        child = os.fork()
        if child == 0:
            time.sleep(600)
            os._exit(0)
        (Path(os.environ["TROUBLE_NOTES"]) / f"child-{child}").touch()
        os._exit(7)


class Sleeps(Intensity):
    info = MethodInfo(name="trouble-sleeps", summary="Sleeps and notes when.", supervision="none", stages=())

    def predict(self, images: Any, context: PredictContext) -> Prediction:
        begin = time.monotonic()
        note = Path(os.environ["TROUBLE_NOTES"]) / f"sleeps-{os.getpid()}"
        note.touch()
        time.sleep(float(os.environ["TROUBLE_SECONDS"]))
        with note.open("a") as stream:
            stream.write(f"{begin} {time.monotonic()}\n")
        return super().predict(images, context)


def sleep_whatever_is_asked(*words: object) -> None:
    """In place of a worker's main function: it never gets to its job."""
    time.sleep(600)
