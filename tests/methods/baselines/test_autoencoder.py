"""The autoencoder: shapes, losses against hand-computed ones, padding, learning, polarity."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cerebench.api import FitRun, MethodError, PredictContext, Volumes
from cerebench.testing import assert_conforms, mock_volumes
from cerebench.training.canvas import canvas_shape, crop_to, pad_to
from cerebench.training.losses import reconstruction_loss
from cerebench_methods.baselines.autoencoder import Autoencoder

SHAPE, SPACING = (40, 48), (4.0, 4.0)


def built(shape: tuple[int, ...] = SHAPE, **settings: Any) -> Autoencoder:
    torch.manual_seed(0)
    method = Autoencoder(Autoencoder.settings_for("mock", settings))
    method.build(("t2",), shape, SPACING)
    return method


def context(brain: torch.Tensor) -> PredictContext:
    return PredictContext(brain, SPACING, ("t2",), torch.device("cpu"), seed=0)


@pytest.mark.parametrize("bottleneck", ["dense", "spatial"])
@pytest.mark.parametrize("shape", [(40, 48), (37, 45), (8, 9)])
def test_reconstruction_has_the_shape_of_the_slice(shape: tuple[int, int], bottleneck: str) -> None:
    method = built(shape, bottleneck=bottleneck, depth=3)
    images = torch.rand(2, 1, *shape)

    with torch.no_grad():
        assert method.reconstruct(images).shape == images.shape


def test_dense_code_has_the_set_size() -> None:
    method = built(latent=5)
    codes = []
    linear = next(part for part in method.network.intermediate if isinstance(part, torch.nn.Linear))
    linear.register_forward_hook(lambda module, given, code: codes.append(code))

    with torch.no_grad():
        method.reconstruct(torch.rand(3, 1, *SHAPE))

    assert codes[0].shape == (3, 5)


def test_losses_are_the_textbook_ones() -> None:
    generator = np.random.default_rng(0)
    one, other = (generator.random((2, 1, 24, 24)) for _ in range(2))
    tensors = torch.from_numpy(one), torch.from_numpy(other)

    assert reconstruction_loss("l1")(*tensors).item() == pytest.approx(np.abs(one - other).mean())
    assert reconstruction_loss("mse")(*tensors).item() == pytest.approx(np.square(one - other).mean())


def test_ssim_loss_agrees_with_scikit_image() -> None:
    metrics = pytest.importorskip("skimage.metrics")
    generator = np.random.default_rng(1)
    one = generator.random((32, 40))
    other = 0.7 * one + 0.3 * generator.random((32, 40))

    loss = reconstruction_loss("ssim")(*(torch.from_numpy(image)[None, None].float() for image in (one, other))).item()
    _, surface = metrics.structural_similarity(
        one, other, data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
    )

    assert loss == pytest.approx(1 - surface[5:-5, 5:-5].mean(), abs=1e-4)


def test_same_seed_is_needed_for_the_same_weights() -> None:
    assert torch.equal(next(built().network.parameters()), next(built().network.parameters()))


@pytest.mark.parametrize("shape", [(40, 48), (37, 45), (1, 7), (5, 6, 7)])
def test_cropping_undoes_padding(shape: tuple[int, ...]) -> None:
    images = torch.rand(2, 3, *shape)
    canvas = canvas_shape(shape, 8)

    padded = pad_to(images, canvas)

    assert all(side % 8 == 0 and 0 <= side - before < 8 for side, before in zip(canvas, shape, strict=True))
    assert padded.shape == (2, 3, *canvas)
    assert padded.sum() == pytest.approx(images.sum())
    assert torch.equal(crop_to(padded, shape), images)


def test_slices_larger_than_the_network_are_refused() -> None:
    with pytest.raises(MethodError, match=r"\(64, 48\) do not fit the network's \(40, 48\)"):
        built().reconstruct(torch.rand(1, 1, 64, 48))


def test_map_is_the_error_inside_the_brain(monkeypatch: pytest.MonkeyPatch) -> None:
    images = torch.tensor([[[[1.0, 0.2], [0.5, 3.0]]]])
    brain = torch.tensor([[[True, True], [True, False]]])
    expected = {"absolute": [[0.5, 0.3], [0.0, 0.0]], "bright": [[0.5, 0.0], [0.0, 0.0]]}
    for polarity, values in expected.items():
        method = built(polarity=polarity)
        monkeypatch.setattr(method, "reconstruct", lambda images: torch.full_like(images, 0.5))

        torch.testing.assert_close(method.predict(images, context(brain)).maps, torch.tensor([values]))


def trained(folder: Path, train: Volumes, validation: Volumes, **settings: Any) -> tuple[Autoencoder, FitRun]:
    method = built(train[0].image.shape[1:3], **settings)
    run = FitRun(torch.device("cpu"), "32-true", 0, folder)
    torch.manual_seed(0)
    method.fit(train, validation, run)
    return method, run


@pytest.mark.parametrize("loss", ["l1", "mse", "ssim"])
def test_training_lowers_the_validation_loss(tmp_path: Path, loss: str) -> None:
    train, validation = (mock_volumes(Autoencoder.info, count, seed=count) for count in (6, 2))

    _, run = trained(tmp_path, train, validation, loss=loss)

    assert min(row["validation"] for row in run.curves) < 0.6 * run.curves[0]["validation"]
    assert sum(1 for row in run.curves) > 5


def test_reconstructs_healthy_slices_better_than_the_mean_slice(tmp_path: Path) -> None:
    """A network that has learnt only the average anatomy would be a slower template."""
    train, validation = (mock_volumes(Autoencoder.info, count, seed=count) for count in (8, 3))
    method, _ = trained(tmp_path, train, validation, steps=200)
    held_out = torch.stack(list(validation.slices()))
    mean = torch.stack(list(train.slices())).mean(0)

    with torch.no_grad():
        ours = (method.reconstruct(held_out) - held_out).abs().mean()

    assert ours < 0.5 * (mean - held_out).abs().mean()


@pytest.mark.parametrize("preset", sorted(Autoencoder.presets))
def test_presets_build(preset: str) -> None:
    method = Autoencoder(Autoencoder.settings_for(preset))
    method.build(("t1",), SHAPE, SPACING)

    with torch.no_grad():
        assert method.reconstruct(torch.zeros(1, 1, *SHAPE)).shape == (1, 1, *SHAPE)


def test_conforms() -> None:
    assert_conforms(Autoencoder)
