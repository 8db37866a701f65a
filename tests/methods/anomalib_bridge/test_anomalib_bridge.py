"""With anomalib: the bridge gives the maps of anomalib's own models, built, fed and fitted without the bridge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from cerebench.api import FitRun, MethodError, PredictContext
from cerebench.testing import assert_conforms, mock_volumes
from cerebench.training.seeding import seed_all
from cerebench_methods.anomalib_bridge import models
from cerebench_methods.anomalib_bridge.extra import from_anomalib, quietly

pytest.importorskip("anomalib", reason="anomalib is not installed: pip install 'cerebench[anomalib]'")

SHAPE, SPACING = (32, 32), (4.0, 4.0)


def bridged(cls: Any, folder: Path, **settings: Any) -> tuple[Any, Any]:
    """A method trained through the harness's contract, at the network's own input size, and its volumes."""
    torch.manual_seed(0)
    method = cls(cls.settings_for("mock", {"weights": "random", **settings}))
    method.build(("t1",), SHAPE, SPACING)
    volumes = mock_volumes(method.info, 5, shape=(*SHAPE, 10))
    seed_all(7)
    method.fit(volumes, mock_volumes(method.info, 1), FitRun(torch.device("cpu"), "32-true", 0, folder))
    return method, volumes


def images_for(method: Any, slices: torch.Tensor) -> torch.Tensor:
    """Colour images as a user of anomalib would make them from equally scaled slices; no resizing at this size."""
    from cerebench_methods.features.encoder import same_tissue

    return ((same_tissue(slices) - 0.449) / 0.226).repeat(1, 3, 1, 1)


def load_encoder(extractor: Any, method: Any) -> None:
    """Our encoder's weights in anomalib's extractor; its first layer sees the first of three equal channels."""
    state = dict(method.encoder.network.state_dict())
    first = state["conv1.weight"]
    state["conv1.weight"] = torch.cat([first, torch.zeros_like(first), torch.zeros_like(first)], 1)
    lacking, _ = extractor.load_state_dict(state, strict=False)
    assert not [name for name in lacking if not name.startswith("layer4")]


def both_maps(method: Any, own: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Maps of slices that were not trained on: a distance near 0 is the root of rounding errors."""
    slices = torch.stack(list(mock_volumes(method.info, 1, seed=3, shape=(*SHAPE, 10)).slices()))
    context = PredictContext(
        torch.ones(len(slices), *SHAPE, dtype=torch.bool), SPACING, ("t1",), torch.device("cpu"), 0
    )
    with torch.inference_mode():
        return method.predict(slices, context).maps, own.eval()(images_for(method, slices)).anomaly_map[:, 0]


def test_padim_gives_the_maps_of_anomalib(tmp_path: Path) -> None:
    method, volumes = bridged(models.AnomalibPadim, tmp_path)
    own = from_anomalib("padim.torch_model", "PadimModel")(
        "resnet18", ["layer1", "layer2", "layer3"], pre_trained=False, n_features=20
    )
    load_encoder(own.feature_extractor.feature_extractor, method)
    own.idx = method.model.idx.clone()
    own.train()
    own.feature_extractor.eval()
    own(images_for(method, torch.stack(list(volumes.slices()))))
    own.fit()

    ours, theirs = both_maps(method, own)

    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    assert theirs.std() > 0.01


def test_patchcore_gives_the_maps_of_anomalib(tmp_path: Path) -> None:
    method, volumes = bridged(models.AnomalibPatchcore, tmp_path)
    own = from_anomalib("patchcore.torch_model", "PatchcoreModel")(["layer1", "layer2"], "resnet18", pre_trained=False)
    load_encoder(own.feature_extractor.feature_extractor, method)
    own.train()
    own.feature_extractor.eval()
    own(images_for(method, torch.stack(list(volumes.slices()))))
    seed_all(7)
    with quietly():
        own.subsample_embedding(0.2)

    ours, theirs = both_maps(method, own)

    assert own.memory_bank.shape == method.model.memory_bank.shape
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    assert theirs.std() > 0.01


def test_fastflow_gives_the_maps_of_anomalib(tmp_path: Path) -> None:
    method, _ = bridged(models.AnomalibFastflow, tmp_path, steps=4)
    own = from_anomalib("fastflow.torch_model", "FastflowModel")(SHAPE, "resnet18", pre_trained=False, flow_steps=2)
    own.load_state_dict(method.model.state_dict(), strict=False)
    load_encoder(own.feature_extractor, method)

    ours, theirs = both_maps(method, own)

    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    assert theirs.std() > 0


def test_learning_changes_the_model_and_not_the_encoder(tmp_path: Path) -> None:
    cls = models.AnomalibReverseDistillation
    torch.manual_seed(0)
    method = cls(cls.settings_for("mock", {"steps": 20}))
    method.build(("t1",), SHAPE, SPACING)
    frozen = {key: value.clone() for key, value in method.encoder.state_dict().items()}
    run = FitRun(torch.device("cpu"), "32-true", 0, tmp_path)

    method.fit(mock_volumes(cls.info, 5, shape=(*SHAPE, 10)), mock_volumes(cls.info, 1), run)

    assert all(torch.equal(frozen[key], value) for key, value in method.encoder.state_dict().items())
    assert not [key for key in method.model.state_dict() if key.startswith("encoder")]
    assert run.curves[-1]["loss"] < 0.8 * run.curves[0]["loss"]


def test_two_channels_are_refused(tmp_path: Path) -> None:
    method = models.AnomalibPatchcore(models.AnomalibPatchcore.settings_for("mock"))
    method.build(("t1", "t2"), SHAPE, SPACING)
    context = PredictContext(torch.ones(1, *SHAPE, dtype=torch.bool), SPACING, ("t1",), torch.device("cpu"), 0)

    with pytest.raises(MethodError, match=r"1 or 3 channels \(found 2\)"):
        method.predict(torch.rand(1, 2, *SHAPE), context)


def test_an_encoder_that_anomalib_does_not_know_is_named() -> None:
    method = models.AnomalibFastflow(models.AnomalibFastflow.settings_for("mock", {"encoder": "resnet34"}))
    with pytest.raises(MethodError, match=r"anomalib cannot build 'anomalib:fastflow' with encoder='resnet34'"):
        method.build(("t1",), SHAPE, SPACING)


@pytest.mark.parametrize("cls", [models.AnomalibPadim, models.AnomalibPatchcore])
def test_conforms(cls: Any) -> None:
    assert_conforms(cls)


@pytest.mark.slow
@pytest.mark.parametrize("cls", [models.AnomalibFastflow, models.AnomalibReverseDistillation])
def test_trained_models_conform(cls: Any) -> None:
    assert_conforms(cls)
