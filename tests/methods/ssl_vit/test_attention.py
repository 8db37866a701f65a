"""Attention maps against loops over blocks, heads and tokens; parts of a lesion; shares."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.filters import threshold_otsu

from cerebench_methods.ssl_vit.attention import (
    as_volume,
    captured,
    gradient_weighted,
    otsu,
    parts,
    rollout,
    share,
)
from cerebench_methods.ssl_vit.methods import SslVit


def attentions(blocks: int = 3, heads: int = 2, tokens: int = 5, items: int = 2) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    raw = torch.randn(blocks, items, heads, tokens, tokens, generator=generator)
    return [one.softmax(-1).requires_grad_() for one in raw]


@pytest.mark.parametrize("pool", ["cls", "mean"])
def test_rollout_by_loops(pool):
    given = attentions()
    found = rollout([one.detach() for one in given], pool).numpy()
    for item in range(2):
        joint = np.eye(5)
        for block in given:
            mean = block[item].detach().double().numpy().mean(0)
            joint = (0.5 * mean + 0.5 * np.eye(5)) @ joint
        row = joint[0, 1:] if pool == "cls" else joint[1:, 1:].mean(0)
        np.testing.assert_allclose(found[item], row / row.sum(), rtol=1e-5)


@pytest.mark.parametrize("pool", ["cls", "mean"])
def test_gradient_weighting_by_loops(pool):
    given = attentions()
    weights = torch.randn(3, 2, 2, 5, 5, generator=torch.Generator().manual_seed(1))
    output = sum((one * weight).sum((1, 2, 3)) for one, weight in zip(given, weights, strict=True))
    found = gradient_weighted(given, output, pool).numpy()
    for item in range(2):
        relevance = np.eye(5)
        for block, weight in zip(given, weights, strict=True):
            # the gradient of the output by an attention is its weight
            positive = np.maximum((block[item].detach() * weight[item]).double().numpy(), 0).mean(0)
            relevance = relevance + positive @ relevance
        relevance = relevance - np.eye(5)
        row = relevance[0, 1:] if pool == "cls" else relevance[1:, 1:].mean(0)
        np.testing.assert_allclose(found[item], row / row.sum(), rtol=1e-4)


def test_without_positive_relevance_attention_is_even():
    given = attentions(blocks=1)
    found = gradient_weighted(given, -(given[0]).sum((1, 2, 3)), "cls")
    torch.testing.assert_close(found, torch.full((2, 4), 0.25))


def test_attentions_are_captured_after_softmax_and_hooks_are_gone(built):
    encoder = built(SslVit).encoder
    images = torch.rand(2, 1, 12, 12, 12)
    with captured(encoder) as found:
        first = encoder(images)
    assert [tuple(one.shape) for one in found] == [(2, 2, 9, 9)] * 2
    torch.testing.assert_close(found[0].sum(-1), torch.ones(2, 2, 9))
    assert torch.equal(encoder(images), first) or encoder.training
    assert len(found) == 2


def test_pictures_add_up_to_one_and_lie_where_the_patch_is():
    patches = torch.zeros(1, 8)
    patches[0, 5] = 1  # d = 1, h = 0, w = 1
    picture = as_volume(patches, (2, 2, 2), (8, 8, 8))
    assert float(picture.sum()) == pytest.approx(1)
    assert np.unravel_index(int(picture.argmax()), (8, 8, 8)) in [
        (d, h, w) for d in (6, 7) for h in (0, 1) for w in (6, 7)
    ]
    region = torch.zeros(1, 8, 8, 8, dtype=torch.bool)
    region[:, 4:, :4, 4:] = True
    assert float(share(picture, region)) == pytest.approx(float(picture[region].sum()))
    assert float(share(torch.zeros_like(picture), region)) == 0.0


@pytest.mark.parametrize("seed", range(4))
def test_otsu_splits_as_scikit_image_does(seed):
    rng = np.random.default_rng(seed)
    values = np.concatenate([rng.integers(0, 120, 60), rng.integers(100, 256, 40)]).astype(np.uint8)
    mine = otsu(torch.from_numpy(values.astype(np.float32)))
    np.testing.assert_array_equal(values > mine, values > threshold_otsu(values))


def test_parts_are_disjoint_and_make_up_the_lesion():
    image = torch.zeros(2, 4, 4, 4)
    lesion = torch.zeros(2, 4, 4, 4, dtype=torch.bool)
    lesion[0, 1:3, 1:3, 1:3] = True
    image[0, 1:3, 1:3, 1:3] = 0.4
    image[0, 1, 1:3, 1:3] = 1.2
    image[0, 0] = 9.0
    found = parts(image, lesion)
    assert found["enhancing"].sum((1, 2, 3)).tolist() == [4, 0]
    assert torch.equal(found["enhancing"][0, 1, 1:3, 1:3], torch.ones(2, 2, dtype=torch.bool))
    assert torch.equal(found["enhancing"] | found["non-enhancing"], lesion)
    assert not (found["enhancing"] & found["non-enhancing"]).any()


def test_shares_of_the_parts_add_up_to_that_of_the_lesion(built, context):
    method = built(SslVit, shape=(13, 15, 11))
    with torch.no_grad():
        method.head.classify.weight.normal_()
    images = torch.rand(2, 1, 13, 15, 11)
    mask = torch.zeros(2, 13, 15, 11, dtype=torch.uint8)
    mask[:, 3:9, 3:9, 3:9] = 1
    with torch.inference_mode():
        found = method.explain(images.clone(), context(mask.clone()))
    for name in ("attention rollout", "attention gradient"):
        assert found[name].shape == (2, 13, 15, 11)
        whole, bright, dark = (
            found[f"{name}, share in {part}"] for part in ("lesion", "enhancing part", "non-enhancing part")
        )
        assert whole.shape == (2,)
        torch.testing.assert_close(whole, bright + dark)
        assert bool(((whole > 0) & (whole < 1)).all())
    # what is asked for does not change what is predicted
    assert all(value.grad is None for value in method.encoder.parameters())
