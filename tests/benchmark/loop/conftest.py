"""Prepared cases written by hand, so that every expected number can be computed beside the loop."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cerebench.plan.cells import CaseRef, Options
from cerebench.prepare.arrays import save_array

SHAPE = (12, 10, 8)
SPACING = (2.0, 2.0, 2.0)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def options() -> Callable[..., Options]:
    """Options of a protocol with small values."""

    def make(**more: Any) -> Options:
        base = {"task": "anomaly", "post": ("raw",), "precision": "32-true", "slice_batch": 3, "lesion_crop_mm": 8.0}
        return Options(**{**base, "resamples": 100, "level": 0.95, **more})

    return make


def ball(shape: tuple[int, ...] = SHAPE, radius: float = 0.95) -> np.ndarray:
    """A brain: an ellipsoid that leaves the outermost slices empty."""
    grid = np.stack(np.meshgrid(*(np.linspace(-1.25, 1.25, side) for side in shape), indexing="ij"))
    return np.asarray((grid**2).sum(0) < radius)


@pytest.fixture
def make_case(tmp_path: Path) -> Callable[..., CaseRef]:
    """``make_case("a", lesion=…, seed=…)``: arrays in a folder like the cache's, and the reference to them."""

    def make(
        name: str,
        *,
        seed: int = 0,
        labels: np.ndarray | str | None = None,
        image: np.ndarray | None = None,
        brain: np.ndarray | None = None,
        patient: str | None = None,
        modalities: tuple[str, ...] = ("t1",),
        **ref: Any,
    ) -> CaseRef:
        rng = np.random.default_rng(seed)
        brain = ball() if brain is None else brain
        image = rng.random((len(modalities), *brain.shape)) if image is None else image
        healthy = bool(ref.pop("healthy", False))
        kind = "healthy" if healthy else "none" if isinstance(labels, str) else "file"
        if labels is None:
            labels = (rng.random(brain.shape) < 0.1) & brain
        folder = tmp_path / "prepared" / name
        folder.mkdir(parents=True)
        save_array(folder / "image.npy", (image * brain).astype(np.float32))
        save_array(folder / "brain.npy", brain)
        if kind == "file":
            save_array(folder / "labels.npy", np.asarray(labels).astype(np.uint8))
        meta = {"modalities": list(modalities), "spacing": list(SPACING), "shape": list(brain.shape), "labels": kind}
        areas = brain.sum(axis=(0, 1)).tolist()
        (folder / "meta.json").write_text(json.dumps({**meta, "brain_voxels_by_slice": areas}))
        return CaseRef(name, patient or f"c/{name}", str(folder), f"key-{name}", modalities, healthy, **ref)

    return make
