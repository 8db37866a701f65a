"""A third modality: what is trained, what stays as it was, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cerebench.api import FitRun, MethodError, PredictContext, Volume
from cerebench.testing.mock import MemoryVolumes
from cerebench.training.seeding import seed_all
from cerebench_methods.disentangled_anatomy.extension import extend
from cerebench_methods.disentangled_anatomy.method import DisentangledAnatomy

SHAPE = (16, 16, 16)


def trio(seed: int) -> Volume:
    rng = np.random.default_rng(seed)
    image = rng.random((3, *SHAPE), dtype=np.float32)
    return Volume(image, np.ones(SHAPE, dtype=bool), (4.0, 4.0, 4.0), ("t1", "t2", "flair"))


def run_in(folder: Path) -> FitRun:
    return FitRun(torch.device("cpu"), "32-true", 0, folder)


def made(**settings: Any) -> DisentangledAnatomy:
    seed_all(0)
    method = DisentangledAnatomy(DisentangledAnatomy.settings_for("mock", settings))
    method.build(("t1", "t2"), SHAPE, (4.0, 4.0, 4.0))
    method.networks.eval()
    return method


def seen(method: DisentangledAnatomy, modality: str) -> torch.Tensor:
    volume = trio(9)
    image = torch.from_numpy(volume.image[[volume.modalities.index(modality)]])[None]
    context = PredictContext(torch.ones(1, *SHAPE, dtype=torch.bool), volume.spacing, (modality,), image.device, 0)
    with torch.inference_mode():
        maps = method.predict(image, context).maps
    assert maps is not None
    return maps


def test_only_the_new_curves_and_the_new_extractor_change(tmp_path: Path) -> None:
    method = made()
    before = {name: value.clone() for name, value in method.networks.state_dict().items()}
    maps = seen(method, "t1")
    with pytest.raises(MethodError, match="tests T1 or T2 alone, found flair"):
        seen(method, "flair")

    count = extend(method, "flair", MemoryVolumes([trio(seed) for seed in range(2)]), run_in(tmp_path), steps=3)

    after = method.networks.state_dict()
    new = {name for name in after if name not in before}
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert {name.partition(".flair")[0].partition(".rows")[0] for name in new} == {"added", "anatomy.curves"}
    assert count == sum(after[name].numel() for name in new)
    assert not torch.equal(after["added.flair.vector.weight"], after["modality.vector.weight"])
    assert torch.equal(seen(method, "t1"), maps)
    assert seen(method, "flair").isfinite().all()
    assert method.mean_vectors.shape == (3, method.settings.modality_size)


def test_joint_training_on_three_modalities(tmp_path: Path) -> None:
    seed_all(0)
    method = DisentangledAnatomy(DisentangledAnatomy.settings_for("mock", {"steps": 2}))
    method.build(("flair", "t1", "t2"), SHAPE, (4.0, 4.0, 4.0))
    method.fit(MemoryVolumes([trio(0), trio(1)]), MemoryVolumes([]), run_in(tmp_path))
    assert method.known == ("t1", "t2", "flair")
    assert seen(method, "flair").isfinite().all()


def test_a_known_modality_and_missing_scans_are_refused(tmp_path: Path) -> None:
    method = made()
    with pytest.raises(MethodError, match="knows t2 already"):
        extend(method, "t2", MemoryVolumes([trio(0)]), run_in(tmp_path), steps=1)
    pair = trio(0)
    alone = Volume(pair.image[:2], pair.brain, pair.spacing, ("t1", "t2"))
    with pytest.raises(MethodError, match=r"found t1\+t2: choose training sources with both"):
        extend(method, "flair", MemoryVolumes([alone]), run_in(tmp_path), steps=1)
