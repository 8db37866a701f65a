"""Small transformers, contexts and lesions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cerebench.api import FitRun, Method, PredictContext

SHAPE, SPACING = (12, 12, 12), (4.0, 4.0, 4.0)


@pytest.fixture
def built() -> Callable[..., Any]:
    """``built(SslVit, depth=1, …)``: a method as the harness builds it, preset ``mock``."""

    def make(cls: type[Method], shape: tuple[int, ...] = SHAPE, seed: int = 0, **settings: Any) -> Any:
        torch.manual_seed(seed)
        method = cls(cls.settings_for("mock", settings))
        method.build(("t1c",), shape, SPACING)
        return method

    return make


@pytest.fixture
def fit_run(tmp_path: Path) -> FitRun:
    return FitRun(torch.device("cpu"), "32-true", 0, tmp_path / "scratch")


@pytest.fixture
def context() -> Callable[..., PredictContext]:
    """``context(mask, covariates)``."""

    def make(mask: torch.Tensor, covariates: Any = None) -> PredictContext:
        brain = torch.ones(mask.shape, dtype=torch.bool)
        return PredictContext(brain, SPACING, ("t1c",), torch.device("cpu"), 0, mask, covariates)

    return make
