"""Checkpoint of an unfinished training: one file, written atomically, read without unpickling code."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from cerebench.errors import MethodError


class Checkpoint:
    """The checkpoint file of one named training in the stage's scratch folder.

    Args:
        folder: scratch folder of the stage.
        name: name of the training within the stage.
        identity: what has to agree for a checkpoint to be continued (seed, sizes, shapes).
    """

    def __init__(self, folder: Path, name: str, identity: dict[str, Any]) -> None:
        self.path = folder / f"{name}.checkpoint.pt"
        self.identity = json.dumps(identity, sort_keys=True)

    def save(self, state: dict[str, Any]) -> None:
        """Write the state under a temporary name, then rename.

        Raises:
            MethodError: the folder cannot be written.
        """
        import torch

        temporary = self.path.with_suffix(".tmp")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                torch.save({"identity": self.identity, **state}, file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self.path)
        except OSError as error:
            raise MethodError(
                f"{self.path}: the checkpoint cannot be written ({error.strerror}); free space or choose another "
                "results folder"
            ) from error

    def load(self) -> dict[str, Any] | None:
        """The saved state on the CPU; ``None`` if there is none or it belongs to another training.

        Raises:
            MethodError: the file is damaged.
        """
        import torch

        if not self.path.exists():
            return None
        try:
            state: dict[str, Any] = torch.load(self.path, map_location="cpu", weights_only=True)
        except Exception as error:
            raise MethodError(
                f"{self.path}: the checkpoint cannot be read ({type(error).__name__}); delete it to train afresh"
            ) from error
        return state if state.pop("identity", None) == self.identity else None
