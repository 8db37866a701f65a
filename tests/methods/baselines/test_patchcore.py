"""PatchCore: coreset against a naive loop, neighbours against scikit-learn, reweighting against the paper's formula."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from cerebench.api import MethodError
from cerebench.testing import assert_conforms
from cerebench_methods.baselines.patchcore import Patchcore
from cerebench_methods.baselines.patchcore_memory import coreset, farthest_first, nearest, reweighted, sampled

SHAPE, SPACING = (40, 48), (4.0, 4.0)


def built(preset: str = "mock", **settings: Any) -> Patchcore:
    torch.manual_seed(0)
    method = Patchcore(Patchcore.settings_for(preset, settings))
    method.build(("t2",), SHAPE, SPACING)
    return method


def points(count: int, size: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed))


def naive_farthest_first(values: np.ndarray, size: int, first: int) -> list[int]:
    chosen = [first]
    while len(chosen) < size:
        gaps = [min(np.linalg.norm(one - values[other]) for other in chosen) for one in values]
        chosen.append(int(np.argmax(gaps)))
    return chosen


def test_coreset_is_that_of_a_naive_loop() -> None:
    values = points(60, 5).double()

    assert farthest_first(values, 20, 7).tolist() == naive_farthest_first(values.numpy(), 20, 7)


def test_coreset_takes_everything_where_there_is_less_and_refuses_nothing() -> None:
    assert sorted(coreset(points(6, 3), 20, 2).tolist()) == list(range(6))
    with pytest.raises(MethodError, match="the memory would be empty"):
        coreset(points(0, 3), 20, 2)


def test_coreset_in_a_projection_covers_all_clusters() -> None:
    centres = 20 * points(8, 300)
    values = torch.cat([centre + 0.1 * points(50, 300, seed) for seed, centre in enumerate(centres)])
    torch.manual_seed(0)

    chosen = coreset(values, 8, 16)

    assert {index // 50 for index in chosen.tolist()} == set(range(8))


def test_nearest_is_that_of_scikit_learn() -> None:
    queries, memory = 30 + points(5000, 24), 30 + points(300, 24, 1)

    distances, places = nearest(queries, memory)
    expected, where = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(memory.numpy()).kneighbors(queries.numpy())

    np.testing.assert_allclose(distances.numpy(), expected[:, 0], rtol=1e-3)
    assert np.mean(places.numpy() == where[:, 0]) > 0.999


def test_scores_are_those_of_equation_7() -> None:
    patches, memory = points(3 * 10, 6).reshape(3, 10, 6), points(40, 6, 1)
    usable = torch.rand(3, 10, generator=torch.Generator().manual_seed(0)) < 0.5
    distances, places = (value.reshape(3, 10) for value in nearest(patches.reshape(-1, 6), memory))

    found = reweighted(patches, distances, places, usable, memory, 5)

    bank = memory.numpy().astype(float)
    for index, image in enumerate(patches.numpy().astype(float)):
        gaps = np.linalg.norm(image[:, None] - bank[None], axis=2)
        worst = max(np.flatnonzero(usable[index].numpy()), key=lambda place: gaps[place].min())
        anchor = gaps[worst].argmin()
        around = np.argsort(np.linalg.norm(bank - bank[anchor], axis=1))[:5]
        share = np.exp(gaps[worst].min()) / np.exp(gaps[worst][around]).sum()
        assert found[index].item() == pytest.approx((1 - share) * gaps[worst].min(), rel=1e-4)


def test_one_neighbour_leaves_the_distance_as_it_is() -> None:
    patches, memory = points(4, 6).reshape(1, 4, 6), points(40, 6, 1)
    distances, places = (value[None] for value in nearest(patches[0], memory))

    found = reweighted(patches, distances, places, torch.zeros(1, 4, dtype=torch.bool), memory, 1)

    assert found.item() == distances.max().item()


def test_sample_holds_tissue_alone_and_the_same_from_every_slice() -> None:
    patches = torch.arange(2 * 3 * 4, dtype=torch.float32).reshape(2, 3, 4, 1)
    usable = torch.zeros(2, 3, 4, dtype=torch.bool)
    usable[0, 1], usable[1, 2, :2] = True, True

    found = sampled(patches, usable, 3)[:, 0].tolist()

    assert len(found) == 5
    assert set(found[:3]) < {4.0, 5.0, 6.0, 7.0}
    assert set(found[3:]) == {20.0, 21.0}


def test_patches_are_pooled_over_their_neighbours() -> None:
    method = built(layers=(2,))
    images = torch.rand(1, 1, *SHAPE)
    level = method.levels(images)[2]

    found = method.embed(images)[0]

    torch.testing.assert_close(found[2, 3], level[0, :, 1:4, 2:5].mean((1, 2)))
    assert built(layers=(1, 2)).embed(images).shape == (1, *method.encoder.grid(1), 24)


@pytest.mark.parametrize("preset", sorted(set(Patchcore.presets) - {"paper"}))
def test_presets_build(preset: str) -> None:
    assert built(preset).memory.numel() == 0


def test_conforms() -> None:
    assert_conforms(Patchcore)
