"""The four sources of an encoder's weights, and what is said when one cannot be used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from cerebench.api import FitRun, MethodError
from cerebench.plan.keys import stage_key
from cerebench.testing import mock_volumes
from cerebench_methods.baselines.fae import FeatureAutoencoder
from cerebench_methods.baselines.padim import Padim
from cerebench_methods.baselines.patchcore import Patchcore
from cerebench_methods.baselines.reverse_distillation import ReverseDistillation
from cerebench_methods.features.encoder import SliceEncoder
from cerebench_methods.features.objective import MaskedModelling, random_patches
from cerebench_methods.features.settings import PRETRAIN
from cerebench_methods.features.weights import load_from_file, load_from_hub

Make = Callable[..., SliceEncoder]
FAMILY = (Padim, Patchcore, ReverseDistillation, FeatureAutoencoder)


def pretrained(folder: Path, cls: Any = Padim, **settings: Any) -> Any:
    torch.manual_seed(0)
    method = cls(cls.settings_for("mock", settings))
    method.build(("t1",), (32, 40), (4.0, 4.0))
    before = {key: value.clone() for key, value in method.encoder.state_dict().items()}
    torch.manual_seed(1)
    run = FitRun(torch.device("cpu"), "32-true", 0, folder)
    method.pretrain(mock_volumes(cls.info, 3), mock_volumes(cls.info, 1), run)
    return method, before, run


def test_training_in_place_lowers_its_own_loss(tmp_path: Path) -> None:
    method, before, run = pretrained(tmp_path, pretrain_steps=30, pretrain_rate=1e-2)

    assert any(not torch.equal(before[key], value) for key, value in method.encoder.state_dict().items())
    assert run.curves[-1]["loss"] < 0.7 * run.curves[0]["loss"]


def test_the_loss_is_the_error_of_what_the_heads_tell(encoder: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Heads that tell 0.2 everywhere are wrong by the tissue's intensity less 0.2; what is no tissue does not count."""
    from cerebench_methods.features import objective

    slices = torch.rand(4, 1, 64, 64, generator=torch.Generator().manual_seed(0)) + 0.1
    slices[:, :, :20] = 0
    monkeypatch.setattr(objective, "random_geometry", lambda slices: slices)
    masked = MaskedModelling(encoder(shape=(64, 64)))
    for head in masked.heads:
        torch.nn.init.zeros_(head.weight)
        torch.nn.init.constant_(head.bias, 0.2)

    loss = masked(slices).item()

    tissue = slices[:, 0, 20:].numpy()
    medians = np.median(tissue, axis=(1, 2), keepdims=True)
    assert loss == pytest.approx(np.abs(0.5 * tissue / medians - 0.2).mean(), rel=1e-3)


def test_patches_are_hidden_whole_and_in_the_given_share() -> None:
    torch.manual_seed(0)

    mask = random_patches(torch.zeros(50, 1, 36, 40), 0.6, 8)

    assert mask.shape == (50, 1, 36, 40)
    assert mask.mean().item() == pytest.approx(0.6, abs=0.03)
    assert all(len(block.unique()) == 1 for block in mask[0, 0].unfold(0, 8, 8).unfold(1, 8, 8).flatten(0, 1))


def test_random_weights_stay_as_they_were_built(tmp_path: Path) -> None:
    method, before, _ = pretrained(tmp_path, weights="random")

    assert all(torch.equal(before[key], value) for key, value in method.encoder.state_dict().items())


def test_weights_of_a_file_are_taken_over(tmp_path: Path) -> None:
    import timm

    torch.manual_seed(5)
    source = timm.create_model("resnet18", pretrained=False, channels=(8, 16, 32, 64))
    save_file(source.state_dict(), tmp_path / "resnet.safetensors")

    method, _, _ = pretrained(tmp_path, weights=str(tmp_path / "resnet.safetensors"))

    state = source.state_dict()
    found = method.encoder.network.state_dict()
    torch.testing.assert_close(found["conv1.weight"], state["conv1.weight"].sum(1, keepdim=True))
    assert torch.equal(found["layer3.1.conv2.weight"], state["layer3.1.conv2.weight"])


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda state: state.pop("layer2.0.conv1.weight"), "lacks 'layer2.0.conv1.weight'"),
        (lambda state: state.update({"conv1.weight": torch.zeros(2, 1, 7, 7)}), r"'conv1.weight' is \(2, 1, 7, 7\)"),
        (lambda state: state.update({"extra": torch.zeros(1)}), "holds 'extra'"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(
    encoder: Make, tmp_path: Path, change: Callable[[dict[str, torch.Tensor]], Any], fault: str
) -> None:
    state = {key: value.clone().contiguous() for key, value in encoder().network.state_dict().items()}
    change(state)
    save_file(state, tmp_path / "odd.safetensors")

    with pytest.raises(MethodError, match=f"does not fit the encoder: .*{fault}"):
        load_from_file(encoder(), tmp_path / "odd.safetensors")


def test_a_missing_or_damaged_file_is_named(encoder: Make, tmp_path: Path) -> None:
    with pytest.raises(MethodError, match=r"weights='.*nowhere.safetensors': there is no such file"):
        load_from_file(encoder(), tmp_path / "nowhere.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"no tensors")
    with pytest.raises(MethodError, match=r"bad.safetensors is not a safetensors file"):
        load_from_file(encoder(), tmp_path / "bad.safetensors")


def test_the_hub_is_asked_for_the_published_width_only(encoder: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    model = encoder()
    with pytest.raises(MethodError, match="width=8: pretrained weights have width 64"):
        load_from_hub(model, "resnet18", 8)

    def offline(*args: Any, **kwargs: Any) -> Any:
        raise OSError("no network")

    monkeypatch.setattr("timm.create_model", offline)
    with pytest.raises(MethodError, match=r"weights=hub: the weights of 'resnet18' cannot be had \(OSError\)"):
        load_from_hub(model, "resnet18", 64)


@pytest.mark.parametrize("preset", ["mock", "quick", "nightly"])
def test_all_methods_of_the_family_share_one_artefact(preset: str) -> None:
    """Key and starting weights agree, so whichever method comes first trains the encoder for all."""
    keys, weights = set(), []
    for cls in FAMILY:
        settings = cls.settings_for(preset)
        common: dict[str, Any] = {"parent": None, "modalities": ["t1"], "grid": {}, "train": [], "validation": []}
        keys.add(stage_key(cls, settings, PRETRAIN, **common, seed=0, precision="32-true"))
        torch.manual_seed(0)
        method = cls(settings)
        method.build(("t1",), (32, 40), (4.0, 4.0))
        weights.append(method.encoder.state_dict())

    assert len(keys) == 1
    assert all(torch.equal(weights[0][key], one[key]) for one in weights for key in weights[0])


def test_rows_say_where_the_weights_come_from() -> None:
    words = [
        Padim.remark(Padim.settings_for("quick", {"weights": weights}))
        for weights in ("self-supervised", "random", "hub", "/data/encoders/resnet.safetensors")
    ]
    assert words == [
        "encoder self-supervised on the same slices",
        "encoder with random weights",
        "encoder with the published weights of resnet18",
        "encoder with weights from resnet.safetensors",
    ]


@pytest.mark.parametrize("layers", [(), (2, 1), (4,)])
def test_layers_that_the_encoder_has_not_are_refused(layers: tuple[int, ...]) -> None:
    method = Padim(Padim.settings_for("mock", {"layers": layers}))
    with pytest.raises(MethodError, match=r"setting layers=.*ascending order"):
        method.build(("t1",), (32, 40), (4.0, 4.0))
