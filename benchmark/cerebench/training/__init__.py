"""The one training loop of every method: ``train(run, modules, data, loss, …)``. Importing it brings no torch."""

from __future__ import annotations

from cerebench.training.loop import Trained, train

__all__ = ["Trained", "train"]
