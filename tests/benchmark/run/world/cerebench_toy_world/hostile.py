"""One good method and every known way to misbehave."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from cerebench.api import FitRun, Method, MethodInfo, MethodSettings, PredictContext, Prediction, Stage, Volumes


def _info(name: str, summary: str, **more: Any) -> MethodInfo:
    return MethodInfo(name=name, summary=summary, **{"supervision": "none", "stages": (), **more})


class Good(Method):
    info = _info("toy-good", "Squared intensity.")

    class Settings(MethodSettings):
        power: float = 2.0

    def predict(self, images: Any, context: PredictContext) -> Prediction:
        return Prediction(maps=images[:, 0].abs() ** self.settings.power * context.brain)


class Raises(Good):
    info = _info("toy-raises", "Raises in fit.", supervision="healthy", stages=(Stage(name="fit"),))

    def fit(self, train: Volumes, validation: Volumes, run: FitRun) -> None:
        raise KeyError("a bug in the method")


class RaisesLate(Good):
    info = _info("toy-raises-late", "Raises in predict.")

    def predict(self, images: Any, context: PredictContext) -> Prediction:
        raise ZeroDivisionError("division by zero")


class Hangs(Good):
    info = _info("toy-hangs", "Sleeps for ever.")

    def predict(self, images: Any, context: PredictContext) -> Prediction:
        time.sleep(3600)
        return super().predict(images, context)


class Shape(Good):
    info = _info("toy-shape", "Returns another shape.")

    def predict(self, images: Any, context: PredictContext) -> Prediction:
        return Prediction(maps=images[:, 0, 1:])


class Nan(Good):
    info = _info("toy-nan", "Returns NaN.")

    def predict(self, images: Any, context: PredictContext) -> Prediction:
        return Prediction(maps=images[:, 0] * float("nan"))


class Elsewhere(Good):
    info = _info("toy-device", "Returns a map on another device.")

    def predict(self, images: Any, context: PredictContext) -> Prediction:
        return Prediction(maps=images[:, 0].to("meta"))


class Crashes(Good):
    info = _info("toy-crashes", "Ends its process by a signal.")

    def predict(self, images: Any, context: PredictContext) -> Prediction:
        os.kill(os.getpid(), signal.SIGSEGV)
        time.sleep(60)
        return super().predict(images, context)


class Greedy(Good):
    info = _info("toy-greedy", "Takes all memory.")

    def predict(self, images: Any, context: PredictContext) -> Prediction:
        import torch

        hoard = []
        while True:
            hoard.append(torch.ones(2**26))
