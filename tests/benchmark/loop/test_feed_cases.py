"""The prefetching reader."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from cerebench.loop import feed as module
from cerebench.loop.feed import feed, prepared

CPU = torch.device("cpu")


def test_cases_come_in_order_with_contiguous_tensors_of_the_stored_values(make_case):
    refs = [make_case(name, seed=number) for number, name in enumerate("dbca")]
    loaded = list(feed(refs, CPU))
    assert [item.ref for item in loaded] == refs
    for item in loaded:
        entry = prepared(item.ref)
        assert item.image.is_contiguous()
        assert item.brain.is_contiguous()
        assert item.labels is not None
        assert item.labels.is_contiguous()
        assert (item.image.dtype, item.brain.dtype, item.labels.dtype) == (torch.float32, torch.bool, torch.uint8)
        assert np.array_equal(item.image.numpy(), entry.image())
        assert np.array_equal(item.labels.numpy(), entry.labels())
        assert item.spacing == (2.0, 2.0, 2.0)


def test_exactly_one_case_is_read_ahead(make_case, monkeypatch):
    read: list[str] = []
    arrived = {name: threading.Event() for name in "abc"}
    original = module.load_case

    def counting(ref, target):
        read.append(ref.id)
        arrived[ref.id].set()
        return original(ref, target)

    monkeypatch.setattr(module, "load_case", counting)
    stream = feed([make_case(name) for name in "abc"], CPU)
    assert read == []
    next(stream)
    assert arrived["b"].wait(10)
    assert read == ["a", "b"]
    next(stream)
    assert arrived["c"].wait(10)
    stream.close()
    assert read == ["a", "b", "c"]


def test_writing_into_a_loaded_case_leaves_the_cache_alone(make_case):
    ref = make_case("a")
    before = prepared(ref).image().copy()
    (loaded,) = feed([ref], CPU)
    loaded.image.fill_(-1)
    loaded.brain.fill_(False)
    assert np.array_equal(prepared(ref).image(), before)
    assert prepared(ref).brain().any()


def test_a_case_that_cannot_be_read_is_raised_at_its_turn(make_case):
    good, bad = make_case("a"), make_case("b")
    (prepared(bad).folder / "image.npy").unlink()
    stream = feed([good, bad], CPU)
    assert next(stream).ref == good
    with pytest.raises(OSError, match=r"image\.npy"):
        next(stream)


def test_no_case_gives_nothing():
    assert list(feed([], CPU)) == []
