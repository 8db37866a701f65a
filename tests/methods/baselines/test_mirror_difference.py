"""Left minus right: exact where the answer is known, on a symmetric head and on planted lesions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from cerebench.api import PredictContext
from cerebench.testing import assert_conforms
from cerebench_methods.baselines.mirror_difference import MirrorDifference

SHAPE, SPACING = (32, 40, 20), (4.0, 4.0, 4.0)


def symmetric_head() -> tuple[np.ndarray, np.ndarray]:
    """A head that equals its mirror image on the grid, with a texture, and its brain mask."""
    axes = np.meshgrid(*[np.linspace(-1, 1, side) for side in SHAPE], indexing="ij")
    brain = sum(np.square(axis / half) for axis, half in zip(axes, (0.8, 0.9, 0.85), strict=True)) < 1
    noise = gaussian_filter(np.random.default_rng(0).normal(size=SHAPE), 2)
    texture = 0.5 + 0.1 * (noise + np.flip(noise, 0)) / noise.std()
    return np.where(brain, texture, 0).astype(np.float32), brain


def scored(image: np.ndarray, brain: np.ndarray, **settings: object) -> np.ndarray:
    method = MirrorDifference(MirrorDifference.settings_for("quick", settings))
    context = PredictContext(torch.from_numpy(brain)[None], SPACING, ("t1",), torch.device("cpu"), seed=0)
    maps = method.predict(torch.from_numpy(image)[None, None], context).maps
    assert maps is not None
    return maps[0].numpy()


def test_symmetric_head_scores_almost_nothing() -> None:
    image, brain = symmetric_head()

    assert scored(image, brain).max() < 0.02
    assert scored(image, brain).max() < 0.1 * image[brain].std()


def test_lesion_scores_its_own_height_on_both_sides() -> None:
    """Without smoothing the difference is the lesion's contrast, at the lesion and at its mirror image."""
    image, brain = symmetric_head()
    image[22:26, 18:22, 9:12] += 0.3

    maps = scored(image, brain, smoothing_mm=0)

    assert maps[23:25, 19:21, 10].mean() == pytest.approx(0.3, abs=0.03)
    assert maps[7:9, 19:21, 10].mean() == pytest.approx(0.3, abs=0.03)
    maps[21:27, 17:23, 8:13] = maps[5:11, 17:23, 8:13] = 0
    assert maps.max() < 0.1


@pytest.mark.parametrize(("polarity", "side"), [("bright", 23), ("dark", 8)])
def test_polarity_picks_the_brighter_or_the_darker_side(polarity: str, side: int) -> None:
    image, brain = symmetric_head()
    image[22:26, 18:22, 9:12] += 0.3

    maps = scored(image, brain, polarity=polarity)

    other = SHAPE[0] - 1 - side
    assert maps[side, 20, 10] > 0.15
    assert maps[other, 20, 10] < 0.02


def test_no_tissue_opposite_scores_zero() -> None:
    """Half a brain has nothing to be compared with; its edge is no anomaly."""
    image, brain = symmetric_head()
    cut = brain.copy()
    cut[22:, 15:25, 5:15] = False

    maps = scored(image * cut, cut)

    assert maps[:10, 17:23, 7:13].max() < 0.05  # tissue is at 0.5
    assert (maps[~cut] == 0).all()


def test_noise_weighs_less_after_smoothing() -> None:
    image, brain = symmetric_head()
    noisy = np.where(brain, image + 0.05 * np.random.default_rng(1).normal(size=SHAPE), 0).astype(np.float32)

    assert (
        scored(noisy, brain, smoothing_mm=4.0)[brain].mean() < 0.5 * scored(noisy, brain, smoothing_mm=0)[brain].mean()
    )


def test_is_not_fooled_by_a_turned_head() -> None:
    """Rotated by 8 degrees and shifted: the plane is found, and the head stays symmetric."""
    from scipy.ndimage import affine_transform
    from scipy.spatial.transform import Rotation

    image, brain = symmetric_head()
    rotation = Rotation.from_euler("zy", [8, -5], degrees=True).as_matrix()
    middle = (np.array(SHAPE) - 1) / 2
    turn = [
        affine_transform(one.astype(np.float32), rotation, middle - rotation @ (middle + 1.3)) for one in (image, brain)
    ]
    mask = turn[1] >= 0.5
    turned = (turn[0] * mask).astype(np.float32)
    naive = np.abs(turned - np.flip(turned, 0))[mask & np.flip(mask, 0)].mean()

    assert scored(turned, mask)[mask].mean() < 0.3 * naive


def test_conforms() -> None:
    assert_conforms(MirrorDifference)
