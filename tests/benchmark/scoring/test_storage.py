"""Sketches on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cerebench.errors import DataError
from cerebench.scoring import ScoreSketch
from cerebench.scoring.storage import load_sketches, save_sketches


@pytest.fixture
def sketches() -> dict[str, ScoreSketch]:
    rng = np.random.default_rng(0)
    found = {
        f"case{i}/{post}": ScoreSketch().update(rng.standard_normal(500), rng.random(500) < 0.1)
        for i in range(3)
        for post in ("raw", "median")
    }
    return found | {"nothing/raw": ScoreSketch()}


def test_round_trip(tmp_path: Path, sketches: dict[str, ScoreSketch]) -> None:
    save_sketches(tmp_path / "s.npz", sketches)
    assert load_sketches(tmp_path / "s.npz") == sketches
    save_sketches(tmp_path / "empty.npz", {})
    assert load_sketches(tmp_path / "empty.npz") == {}


def test_counts_beyond_32_bits_survive(tmp_path: Path) -> None:
    arrays = {"codes": np.array([5]), "negatives": np.array([2**40]), "positives": np.array([1])}
    save_sketches(tmp_path / "s.npz", {"a": ScoreSketch.from_arrays(arrays)})
    assert load_sketches(tmp_path / "s.npz")["a"].n_negative == 2**40


def test_the_same_sketches_give_the_same_bytes(tmp_path: Path, sketches: dict[str, ScoreSketch]) -> None:
    save_sketches(tmp_path / "a.npz", sketches)
    save_sketches(tmp_path / "b.npz", dict(reversed(sketches.items())))
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_damaged_files_are_told(tmp_path: Path, sketches: dict[str, ScoreSketch]) -> None:
    path = tmp_path / "s.npz"
    with pytest.raises(DataError, match=r"s\.npz"):
        load_sketches(path)
    save_sketches(path, sketches)
    whole = path.read_bytes()
    for broken in (whole[:100], whole[: len(whole) // 2], b"", b"not a zip"):
        path.write_bytes(broken)
        with pytest.raises(DataError, match="run it again"):
            load_sketches(path)


def test_pickled_arrays_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "s.npz", format=np.array([{}], dtype=object))
    with pytest.raises(DataError, match="not a readable file"):
        load_sketches(tmp_path / "s.npz")


@pytest.mark.parametrize("key", ["", "a\nb"])
def test_keys_that_could_not_be_read_back_are_refused(tmp_path: Path, key: str) -> None:
    with pytest.raises(ValueError, match="line break"):
        save_sketches(tmp_path / "s.npz", {key: ScoreSketch()})


@pytest.mark.parametrize(
    ("codes", "counts"), [([2, 1], [1, 1]), ([1, 1], [1, 1]), ([1 << 21, 1 << 22], [1, 1]), ([1, 2], [1, -1])]
)
def test_damaged_arrays_are_refused(codes: list[int], counts: list[int]) -> None:
    with pytest.raises(ValueError, match="damaged"):
        ScoreSketch.from_arrays({"codes": np.array(codes), "negatives": np.array(counts), "positives": np.ones(2, int)})
    with pytest.raises(ValueError, match="lacks the array"):
        ScoreSketch.from_arrays({"codes": np.array(codes)})
