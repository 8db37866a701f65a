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
def ask(world):
    """``ask(method="toy-good", …)``: a question about the world's first tested patient."""
    from cerebench.explain.target import Question

    def make(**more):
        base = {"method": "toy-good", "cohort": "toy-lesion", "protocol": "toy-transfer", "preset": "nightly"}
        place = {"data_root": world.data, "cards": (world.cards,), "results": world.results, "device": "cpu"}
        return Question(**{**base, **place, "case": "p00", **more})

    return make


@pytest.fixture
def tested(ask):
    """Identifiers of the tested patients, sorted."""
    from cerebench.errors import UsageError
    from cerebench.explain.target import find_target
    from cerebench.plugins.registry import Registry
    from cerebench.request import Quiet

    question = ask(case="p0x")
    registry = Registry.discover(list(question.cards))
    for name in (f"p{index:02d}" for index in range(10)):
        try:
            target = find_target(ask(case=name), registry, Quiet())
        except UsageError:
            continue
        return sorted(ref.id for ref in target.cell.cases)
    raise AssertionError("no patient is tested")
