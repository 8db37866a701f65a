"""The small world of the run tests: two cohorts of ellipsoids, toy methods, a toy protocol."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location("world_of_runs", Path(__file__).parents[1] / "run" / "conftest.py")
assert _spec is not None
assert _spec.loader is not None
_module = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = _module  # its data classes look themselves up
_spec.loader.exec_module(_module)

cache, world, run = _module.cache, _module.world, _module.run


@pytest.fixture(autouse=True)
def _one_thread():
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def complain(world):
    """``complain(cohorts=("toy-lesion",), …)``: a diagnosis of toy-good under the toy protocol."""
    from cerebench.diagnose.subject import Complaint

    def make(**more):
        base = {"method": "toy-good", "protocol": "toy-transfer", "preset": "nightly"}
        place = {"data_root": world.data, "cards": (world.cards,), "results": world.results, "device": "cpu"}
        return Complaint(**{**base, **place, **more})

    return make
