from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cerebench.contract.data import ReadPolicy
from cerebench.contract.volumes import SliceList, Volume, Volumes
from cerebench.errors import DataError
from cerebench.loop.volumes import PreparedVolumes
from cerebench.prepare.cache import Prepared, Preparer
from cerebench.prepare.spec import PrepareSpec

Make = Callable[..., Any]


@pytest.fixture
def entries(tmp_path: Path, phantom: Make, stripped: ReadPolicy, spec: PrepareSpec) -> list[Prepared]:
    preparer = Preparer(tmp_path / "cache", spec)
    cases = [phantom(folder=f"case{number}", radius=30.0 + 3 * number)[1] for number in range(3)]
    return [preparer.prepare(case, ("t1",), stripped) for case in cases]


def test_volumes_are_the_entries(entries: list[Prepared]) -> None:
    volumes = PreparedVolumes(entries)
    assert len(volumes) == 3
    for entry, volume in zip(entries, volumes, strict=True):
        np.testing.assert_array_equal(volume.image, entry.image())
        np.testing.assert_array_equal(volume.brain, entry.brain())
        assert volume.spacing == (4.0, 4.0, 4.0)
        assert volume.modalities == ("t1",)
        assert (volume.lesion_mask, volume.covariates, volume.label) == (None, None, None)
    np.testing.assert_array_equal(volumes[-1].image, volumes[2].image)
    assert len(volumes[1:]) == 2
    with pytest.raises(IndexError):
        volumes[3]


def reachable(thing: object, seen: set[int]) -> Iterator[object]:
    """Everything that attributes, items and array bases lead to."""
    if id(thing) in seen or isinstance(thing, type):
        return
    seen.add(id(thing))
    yield thing
    inner: list[object] = []
    if isinstance(thing, dict):
        inner = [*thing.keys(), *thing.values()]
    elif isinstance(thing, list | tuple | set):
        inner = list(thing)
    elif isinstance(thing, np.ndarray):
        inner = [thing.base]
    elif isinstance(thing, PreparedVolumes | Volume | Prepared):
        inner = list(vars(thing).values())
    for item in inner:
        yield from reachable(item, seen)


def test_without_labels_nothing_leads_to_a_mask(entries: list[Prepared]) -> None:
    volumes = PreparedVolumes(entries)
    # A volume knows no path at all, the sequence only those of images and brains.
    assert not [thing for thing in reachable(volumes[0], set()) if isinstance(thing, Path | np.memmap | Prepared)]
    things = list(reachable(volumes, set()))
    assert not [thing for thing in things if isinstance(thing, Prepared)]
    assert {thing.name for thing in things if isinstance(thing, Path)} == {"image.npy", "brain.npy"}
    # The walk does find masks where they are.
    assert [
        thing for thing in reachable(PreparedVolumes(entries, with_labels=True), set()) if isinstance(thing, Prepared)
    ]


def test_side_inputs_are_delivered_when_asked_for(entries: list[Prepared]) -> None:
    covariates = [{"age": 40.0}, None, {"age": 60.0}]
    volumes = PreparedVolumes(entries, with_labels=True, labels=[0, 1, None], covariates=covariates)
    np.testing.assert_array_equal(volumes[1].lesion_mask, entries[1].labels())
    assert [volume.label for volume in volumes] == [0, 1, None]
    assert [volume.covariates for volume in volumes] == covariates
    with pytest.raises(ValueError, match="2 labels for 3 volumes"):
        PreparedVolumes(entries, labels=[0, 1])


def test_a_method_cannot_damage_the_cache(entries: list[Prepared]) -> None:
    volumes = PreparedVolumes(entries, with_labels=True)
    before = np.array(volumes[0].image)
    volume = volumes[0]
    for array in (volume.image, volume.brain, volume.lesion_mask):
        array[:] = 1
    np.testing.assert_array_equal(volumes[0].image, before)
    assert not volumes[0].brain.all()
    assert not volumes[0].lesion_mask.all()


def test_slices_are_those_with_brain_in_order(entries: list[Prepared]) -> None:
    import torch

    volumes = PreparedVolumes(entries)
    slices = volumes.slices(min_brain=0.2)
    assert isinstance(slices, SliceList)
    expected = [
        volume.image[..., place]
        for volume in volumes
        for place in range(volume.image.shape[-1])
        if volume.brain[..., place].mean() >= 0.2
    ]
    assert 0 < len(slices) == len(expected) < 3 * 24
    for found, reference in zip(slices, expected, strict=True):
        assert found.dtype == torch.float32
        assert found.is_contiguous()
        np.testing.assert_array_equal(found.numpy(), reference)
    assert slices.spacing == (4.0, 4.0)
    assert torch.equal(slices[-1], slices[len(slices) - 1])
    assert len(slices[2:5]) == 3
    with pytest.raises(IndexError):
        slices[len(slices)]


def test_slices_of_any_volumes_agree_with_the_shortcut(entries: list[Prepared]) -> None:
    class InMemory(Volumes):
        def __init__(self, items: list[Volume]) -> None:
            self.items = items

        def __len__(self) -> int:
            return len(self.items)

        def __getitem__(self, index: Any) -> Any:
            return self.items[index]

    volumes = PreparedVolumes(entries)
    assert SliceList(InMemory(list(volumes)), 0.1).places == SliceList(volumes, 0.1).places


def test_zero_part_still_means_some_brain_and_too_much_is_an_error(entries: list[Prepared]) -> None:
    volumes = PreparedVolumes(entries)
    filled = sum(int(volume.brain.any(axis=(0, 1)).sum()) for volume in volumes)
    assert len(volumes.slices(0.0)) == filled
    with pytest.raises(DataError, match="no slice with at least 99% brain in 3 volumes"):
        volumes.slices(0.99)


def test_a_slice_cannot_damage_the_cache_and_lists_can_be_sent(entries: list[Prepared]) -> None:
    import torch

    slices = PreparedVolumes(entries).slices()
    before = slices[5].clone()
    slices[5].fill_(9)
    assert torch.equal(slices[5], before)
    again = pickle.loads(pickle.dumps(slices))  # noqa: S301
    assert torch.equal(again[5], before)


def test_slices_feed_a_data_loader(entries: list[Prepared]) -> None:
    from torch.utils.data import DataLoader

    slices = PreparedVolumes(entries).slices()
    batches = list(DataLoader(slices, batch_size=8))  # type: ignore[arg-type]
    assert sum(len(batch) for batch in batches) == len(slices)
    assert batches[0].shape == (8, 1, 24, 24)
