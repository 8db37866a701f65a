"""Pre-training: the two losses against loops, what is kept of the encoder, external weights."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from cerebench.api import MethodError, UsageError
from cerebench.testing import mock_volumes
from cerebench_methods.ssl_vit.augmentation import flipped, recoloured, two_views
from cerebench_methods.ssl_vit.encoder import scaled
from cerebench_methods.ssl_vit.methods import SslVit, SslVitMultimodal
from cerebench_methods.ssl_vit.objectives import Contrast, MaskedAutoencoding


def test_masked_loss_is_the_error_of_the_hidden_patches(built):
    method = built(SslVit, dropout=0.0)
    module = MaskedAutoencoding(method.encoder, method.canvas, method.settings)
    images = torch.rand(2, 1, 12, 12, 12)
    torch.manual_seed(1)
    loss = float(module(images).detach())
    torch.manual_seed(1)
    found, hidden = module.network(scaled(images))
    side, total, count = method.settings.patch, 0.0, 0
    for item in range(2):
        place = 0
        for d in range(0, 12, side):
            for h in range(0, 12, side):
                for w in range(0, 12, side):
                    patch = images[item, 0, d : d + side, h : h + side, w : w + side].reshape(-1).numpy()
                    wanted = (patch - patch.mean()) / np.sqrt(patch.var(ddof=1) + 1e-3)
                    if hidden[item, place]:
                        total += float(((found[item, place].detach().numpy() - wanted) ** 2).mean())
                        count += 1
                    place += 1
    assert count == 2 * 6  # three quarters of eight patches
    assert loss == pytest.approx(total / count, rel=1e-5)


def test_contrastive_loss_is_nt_xent(built, monkeypatch):
    method = built(SslVit, dropout=0.0, temperature=0.5)
    module = Contrast(method.encoder, method.settings)
    views = torch.rand(2, 3, 1, 12, 12, 12)
    monkeypatch.setattr("cerebench_methods.ssl_vit.objectives.two_views", lambda images: (views[0], views[1]))
    loss = float(module(views[0]).detach())
    codes = []
    for view in views:
        tokens = method.encoder(scaled(view))
        codes.append(module.projector(torch.cat([tokens[:, 0], tokens[:, 1:].mean(1)], dim=1)))
    z = torch.cat(codes).detach().double()
    z = z / z.norm(dim=1, keepdim=True)
    terms = []
    for i in range(6):
        similar = [math.exp(float(z[i] @ z[k]) / 0.5) for k in range(6)]
        terms.append(-math.log(similar[(i + 3) % 6] / (sum(similar) - similar[i])))
    assert loss == pytest.approx(sum(terms) / 6, rel=1e-4)


@pytest.mark.parametrize("objective", ["masked", "contrastive"])
def test_pretraining_lowers_the_loss_and_trains_every_part_of_the_encoder(built, fit_run, objective):
    steps = {"masked": 40, "contrastive": 80}[objective]
    method = built(SslVit, objective=objective, pretrain_steps=steps, pretrain_rate=5e-3, pretrain_batch=8, dropout=0.0)
    before = {name: value.clone() for name, value in method.encoder.state_dict().items()}
    volumes = mock_volumes(SslVit.info, 8, shape=(12, 12, 12))
    method.pretrain(volumes, volumes, fit_run)
    losses = [row["loss"] for row in fit_run.curves]
    assert np.mean(losses[-20:]) < 0.92 * np.mean(losses[:5])
    same = {name for name, value in method.encoder.state_dict().items() if torch.equal(value, before[name])}
    # the positions are fixed by design, and MONAI's blocks hold a norm for cross-attention that nothing here uses
    assert {name for name in same if "cross_attn" not in name} == {"patch_embedding.position_embeddings"}


def test_shared_pretraining_starts_equal_whatever_the_head(built):
    one, other = (built(cls, seed=3).encoder.state_dict() for cls in (SslVit, SslVitMultimodal))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_external_weights_are_taken_and_checked(built, fit_run, tmp_path):
    donor = built(SslVit, seed=7)
    file = tmp_path / "weights.safetensors"
    save_file({f"encoder.{name}": value.contiguous() for name, value in donor.encoder.state_dict().items()}, file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    method = built(SslVit, weights=str(file), weights_sha256=digest)
    method.pretrain([], [], fit_run)
    assert all(torch.equal(v, donor.encoder.state_dict()[k]) for k, v in method.encoder.state_dict().items())
    with pytest.raises(UsageError, match=f"weights_sha256 is 'empty', but .* has {digest}: set it"):
        built(SslVit, weights=str(file)).pretrain([], [], fit_run)
    with pytest.raises(UsageError, match="cannot be read"):
        built(SslVit, weights=str(tmp_path / "none"), weights_sha256=digest).pretrain([], [], fit_run)
    other = built(SslVit, weights=str(file), weights_sha256=digest, width=48)
    with pytest.raises(MethodError, match=r"holds \(1, 1, 24\) for 'cls_token', expected \(1, 1, 48\)"):
        other.pretrain([], [], fit_run)
    file.write_bytes(b"no tensors")
    wrong = built(SslVit, weights=str(file), weights_sha256=hashlib.sha256(b"no tensors").hexdigest())
    with pytest.raises(MethodError, match="is no safetensors file"):
        wrong.pretrain([], [], fit_run)


def test_views_differ_keep_the_outside_and_flips_move_mask_and_image_together():
    torch.manual_seed(0)
    images = torch.rand(4, 1, 8, 8, 8) + 0.5
    images[:, :, 0] = 0
    first, second = two_views(images)
    assert first.shape == second.shape == images.shape
    assert not torch.equal(first, second)
    assert 0.05 < float((first == 0).float().mean()) - 1 / 8 < 0.2  # a box of an eighth is blank
    assert torch.equal(recoloured(images) == 0, images == 0)
    both = torch.cat([images, 2 * images], dim=1)
    moved = flipped(both)
    assert torch.equal(moved[:, 1], 2 * moved[:, 0])
    assert not torch.equal(moved, both)
    for item, original in zip(moved, both, strict=True):
        torch.testing.assert_close(item.flatten().sort().values, original.flatten().sort().values)
