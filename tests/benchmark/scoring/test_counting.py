"""What update() accepts and refuses, dtype by dtype and layout by layout."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cerebench.scoring import ScoreSketch
from cerebench.scoring.codes import FLOAT32_MAX, encode, lower_edges
from cerebench.scoring.counting import add_counts, count, count_on_device

FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False)


def example(n: int = 5000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.standard_normal(n).astype(np.float32), rng.random(n) < 0.2


@given(FINITE, FINITE)
def test_codes_keep_the_order(a: float, b: float) -> None:
    low, high = encode(np.array(sorted([a, b])))
    assert low <= high
    edge = lower_edges(np.array([low, high]))
    assert (edge <= sorted([a, b])).all()
    # at most one part in 2^11 is lost
    assert abs(edge[0] - min(a, b)) <= max(abs(min(a, b)) * 2.0**-11, 2.0**-126)


def test_half_precision_values_are_lower_edges() -> None:
    patterns = np.arange(2**16, dtype=np.uint16)
    half = patterns.view(np.float16)
    brain = (patterns.astype(np.uint32) << 16).view(np.float32)
    for values in (half[np.isfinite(half)].astype(np.float64), brain[np.isfinite(brain)].astype(np.float64)):
        assert np.array_equal(lower_edges(encode(values)), values)


def test_minus_zero_is_zero() -> None:
    assert encode(np.float32(-0.0)) == encode(np.float32(0.0))
    sketch = ScoreSketch().update(np.array([-0.0, 0.0], np.float32), [True, False])
    assert sketch.auroc() == 0.5


def test_the_smallest_float_has_a_finite_edge() -> None:
    sketch = ScoreSketch().update(np.array([-FLOAT32_MAX, -1e300, 1e300]), [1, 1, 0])
    _, threshold = sketch.best_dice()
    assert threshold == -FLOAT32_MAX
    assert sketch.counts_at(threshold) == (2, 1, 0, 0)


@pytest.mark.usefixtures("either_path")
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int16, np.uint8, np.int64])
@pytest.mark.parametrize("label_dtype", [np.bool_, np.uint8, np.int64, np.float32])
def test_dtypes_of_arrays(dtype: type, label_dtype: type) -> None:
    scores, labels = example()
    scores = np.round(scores * 10 + 60).astype(dtype)
    sketch = ScoreSketch().update(scores, labels.astype(label_dtype))
    assert sketch == ScoreSketch().update(scores.astype(np.float32), labels)
    assert sketch.n_positive == labels.sum()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int32])
def test_dtypes_of_tensors(dtype: torch.dtype) -> None:
    scores, labels = example()
    tensor = torch.from_numpy(np.round(scores * 8)).to(dtype).requires_grad_(dtype.is_floating_point)
    expected = ScoreSketch().update(np.round(scores * 8), labels)
    assert ScoreSketch().update(tensor, torch.from_numpy(labels)) == expected
    assert ScoreSketch().update(tensor, labels.tolist()) == expected


@pytest.mark.parametrize("few", [0, 1 << 15])
def test_layouts_and_dimensions(few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cerebench.scoring.counting.FEW_VOXELS", few)
    monkeypatch.setattr("cerebench.scoring.counting.COPIED_AT_ONCE", 200)
    scores, labels = (part[:4800].reshape(10, 12, 40) for part in example())
    expected = ScoreSketch().update(scores.ravel(), labels.ravel())
    assert ScoreSketch().update(np.asfortranarray(scores), np.asfortranarray(labels)) == expected
    assert ScoreSketch().update(np.asfortranarray(scores), labels) == expected
    assert ScoreSketch().update(scores[::-1, :, ::-1], labels[::-1, :, ::-1]) == expected
    assert ScoreSketch().update(torch.from_numpy(scores).permute(2, 0, 1), labels.transpose(2, 0, 1)) == expected
    assert ScoreSketch().update(np.float32(1.5), True).counts_at(1.5) == (1, 0, 0, 0)
    assert ScoreSketch().update(np.empty((0, 3)), np.empty((0, 3))) == ScoreSketch()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_threads_and_chunks_count_every_voxel_once(dtype: type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cerebench.scoring.counting.VOXELS_WORTH_A_THREAD", 100)
    monkeypatch.setattr("cerebench.scoring.counting.CONVERTED_AT_ONCE", 333)
    monkeypatch.setattr("cerebench.scoring.counting.PIECE_LIMIT", 1999)
    monkeypatch.setattr("cerebench.scoring.counting.COPIED_AT_ONCE", 1500)
    monkeypatch.setattr("cerebench.scoring.counting.FEW_VOXELS", 0)
    monkeypatch.setattr("cerebench.scoring.counting.usable_cpus", lambda: 3)
    scores, labels = example()
    ignore = np.random.default_rng(1).random(scores.size) < 0.3
    counts = count(scores.astype(dtype), labels, ignore)
    codes, index = np.unique(encode(scores[~ignore]), return_inverse=True)
    assert np.array_equal(counts.codes, codes)
    assert np.array_equal(counts.positives, np.bincount(index, labels[~ignore]))
    assert np.array_equal(counts.negatives, np.bincount(index, ~labels[~ignore]))


@pytest.mark.usefixtures("either_path")
def test_ignored_voxels_are_not_looked_at() -> None:
    scores, labels = example()
    ignore = np.arange(scores.size) % 3 == 0
    spoilt, wild = scores.copy(), labels.astype(np.uint8)
    spoilt[ignore], wild[ignore] = np.nan, 2
    expected = ScoreSketch().update(scores[~ignore], labels[~ignore])
    assert ScoreSketch().update(spoilt, wild, ignore=ignore) == expected
    assert ScoreSketch().update(spoilt.astype(np.float64), wild.astype(np.int64), ignore) == expected


def test_the_device_path_counts_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cerebench.scoring.counting.CUDA_AT_ONCE", 700)
    scores, labels = example()
    scores[:4] = -0.0, 0.0, -3e38, 1e-40
    ignore = np.arange(scores.size) % 5 == 0
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        tensor = torch.from_numpy(scores).to(dtype)
        for left_out in (None, ignore):
            found = count_on_device(tensor, labels, left_out)
            for mine, theirs in zip(found, count(tensor, labels, left_out), strict=True):
                assert np.array_equal(mine, theirs)
                assert mine.dtype == theirs.dtype
    with pytest.raises(ValueError, match="NaN"):
        count_on_device(torch.tensor([1.0, torch.nan]), torch.tensor([0, 1]))
    with pytest.raises(ValueError, match="other than 0 and 1"):
        count_on_device(torch.tensor([1.0, 2.0]), torch.tensor([0, 2]))


@pytest.fixture(params=[0, 1 << 15], ids=["table", "sort"])
def either_path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cerebench.scoring.counting.FEW_VOXELS", request.param)


@pytest.mark.usefixtures("either_path")
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_scores_that_are_not_finite_are_refused(bad: float, dtype: type) -> None:
    scores, labels = example(100)
    before = ScoreSketch().update(scores, labels)
    sketch = ScoreSketch().update(scores, labels)
    scores[50] = bad
    with pytest.raises(ValueError, match="NaN or infinite"):
        sketch.update(scores.astype(dtype), labels)
    assert sketch == before


@pytest.mark.usefixtures("either_path")
@pytest.mark.parametrize("labels", [[0, 2], [0, -1], [0, 0.5], [0.0, np.nan], np.array([0, 255], np.uint8)])
def test_labels_other_than_0_and_1_are_refused(labels: list[float]) -> None:
    with pytest.raises(ValueError, match="other than 0 and 1"):
        ScoreSketch().update(np.array([0.1, 0.2]), labels)


def test_shapes_and_types_are_checked() -> None:
    with pytest.raises(ValueError, match=r"scores \(3,\), labels \(2,\)"):
        ScoreSketch().update(np.zeros(3), np.zeros(2))
    with pytest.raises(ValueError, match=r"ignore \(2,\)"):
        ScoreSketch().update(np.zeros(3), np.zeros(3), np.zeros(2, bool))
    with pytest.raises(ValueError, match="expected bool"):
        ScoreSketch().update(np.zeros(3), np.zeros(3), np.zeros(3))
    with pytest.raises(ValueError, match="real numbers"):
        ScoreSketch().update(np.zeros(3, complex), np.zeros(3))
    with pytest.raises(ValueError, match="0/1 or bool"):
        ScoreSketch().update(np.zeros(2), np.array(["a", "b"]))


def test_adding_many_equals_adding_pairs() -> None:
    parts = [count(*example(500, seed)) for seed in range(5)]
    pairwise = parts[0]
    for part in parts[1:]:
        pairwise = add_counts([pairwise, part])
    for mine, theirs in zip(add_counts(parts), pairwise, strict=True):
        assert np.array_equal(mine, theirs)


def test_importing_the_sketch_is_light() -> None:
    code = (
        "import sys; from cerebench.scoring import ScoreSketch; import cerebench.scoring.metrics; "
        "print(sorted({'torch', 'numba', 'sklearn', 'scipy', 'pandas'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_the_kernels_loaded_ahead_are_those_that_counting_takes() -> None:
    """In a fresh process: counting afterwards compiles no further variant, and counts nothing that was loaded."""
    code = """
import numpy as np
from cerebench.scoring import counting, kernels
counting.load_kernels()
loops = (kernels.count_float32, kernels.count_float32_masked, kernels.occupied, kernels.gather)
before = [list(loop.signatures) for loop in loops]
assert all(before), before
scores, labels = np.linspace(0, 1, counting.FEW_VOXELS + 1, dtype=np.float32), np.zeros(counting.FEW_VOXELS + 1, bool)
for ignore in (None, labels):
    counts = counting.count(scores, labels, ignore)
    assert counts.negatives.sum() == scores.size and counts.positives.sum() == 0
assert [list(loop.signatures) for loop in loops] == before
"""
    subprocess.run([sys.executable, "-c", code], check=True)
