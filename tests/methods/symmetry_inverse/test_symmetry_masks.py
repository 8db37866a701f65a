"""What each masking strategy hides with regard to the mid-line, in training and at prediction."""

from __future__ import annotations

import pytest
import torch

from cerebench_methods.symmetry_inverse.masks import PASSES, complementary_masks, draw_masks

SHAPE, PATCH, CPU = (48, 64), 4, torch.device("cpu")
STRATEGIES = ["random", "symmetric-pairs", "hemisphere", "mixed"]


def drawn(strategy: str, count: int = 300, ratio: float = 0.5, seed: int = 0) -> torch.Tensor:
    torch.manual_seed(seed)
    return draw_masks(strategy, count, SHAPE, PATCH, ratio, CPU)


def both_hidden(masks: torch.Tensor) -> torch.Tensor:
    """Share of hidden pixels whose mirror image is hidden too, ``[N]``."""
    return (masks * masks.flip(2)).sum((1, 2, 3)) / masks.sum((1, 2, 3)).clamp(min=1)


def test_pairs_are_mirror_images() -> None:
    masks = drawn("symmetric-pairs")

    assert torch.equal(masks, masks.flip(2))
    assert masks.mean().item() == pytest.approx(0.5, abs=0.02)


def test_one_hemisphere_is_hidden_and_its_mirror_visible() -> None:
    masks = drawn("hemisphere")
    left, right = (half.flatten(1).any(1) for half in masks.chunk(2, dim=2))

    assert not (left & right).any()
    assert both_hidden(masks).max() == 0
    assert masks.mean().item() == pytest.approx(0.25, abs=0.02)
    assert left.float().mean().item() == pytest.approx(0.5, abs=0.12)


def test_random_masks_know_no_mid_line() -> None:
    """A hidden pixel's mirror image is hidden as often as any pixel."""
    for ratio in (0.25, 0.5):
        masks = drawn("random", ratio=ratio)
        assert masks.mean().item() == pytest.approx(ratio, abs=0.02)
        assert both_hidden(masks).mean().item() == pytest.approx(ratio, abs=0.05)


def test_mixed_masks_are_of_three_kinds() -> None:
    masks = drawn("mixed", 600)
    pairs = (masks == masks.flip(2)).flatten(1).all(1)
    halves = masks.chunk(2, dim=2)
    whole = sum(half.flatten(1).all(1).int() for half in halves) == 1
    one_side = (both_hidden(masks) == 0) & ~whole

    assert (pairs.int() + whole.int() + one_side.int() == 1).all()
    for kind in (pairs, whole, one_side):
        assert kind.float().mean().item() == pytest.approx(1 / 3, abs=0.07)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_drawn_masks_differ_and_follow_the_seed(strategy: str) -> None:
    masks = drawn(strategy, 8)

    assert masks.shape == (8, 1, *SHAPE)
    assert set(masks.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(masks, drawn(strategy, 8))
    assert len(masks.unique(dim=0)) > 4
    assert not torch.equal(masks, drawn(strategy, 8, seed=1))


def test_hidden_areas_are_whole_patches() -> None:
    """Runs of hidden pixels along a row are multiples of the patch, but where slice, mid-line or shift cut them."""
    mask = drawn("random", 1)[0, 0]
    edges = (mask[1:] != mask[:-1]).nonzero()[:, 0]

    assert len((edges % PATCH).unique()) == 1


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("ratio", [0.5, 0.25])
@pytest.mark.parametrize("shape", [SHAPE, (32, 48)])
def test_prediction_hides_every_pixel_equally_often(strategy: str, ratio: float, shape: tuple[int, int]) -> None:
    masks = complementary_masks(strategy, shape, PATCH, ratio, CPU)

    assert (masks.sum(0) == PASSES).all()
    assert torch.equal(masks, complementary_masks(strategy, shape, PATCH, ratio, CPU))


def test_prediction_masks_keep_the_strategy() -> None:
    pairs, one_side, mixed, free = (
        complementary_masks(strategy, SHAPE, PATCH, 0.5, CPU)
        for strategy in ("symmetric-pairs", "hemisphere", "mixed", "random")
    )

    assert torch.equal(pairs, pairs.flip(2))
    assert both_hidden(one_side).max() == 0
    assert sorted(both_hidden(mixed).unique().tolist()) == [0.0, 1.0]
    assert 0.2 < both_hidden(free).mean() < 0.8
