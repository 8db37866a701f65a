"""Speed and memory of the score sketches against scikit-learn and against one plain read of the same arrays.

Prints a table: medians of the repeats, all in one run on one machine. ``python benchmarks/scoring_speed.py --help``.
"""

from __future__ import annotations

import argparse
import statistics
import threading
import time
from collections.abc import Callable

import numpy as np
import psutil
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score
from tabulate import tabulate

from cerebench.scoring import ScoreSketch
from cerebench.scoring.intervals import PooledMetric, bootstrap_sketches


def volumes(n_voxels: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A float32 map with a heavy tail, and 1 % lesion voxels."""
    rng = np.random.default_rng(seed)
    labels = rng.random(n_voxels, dtype=np.float32) < 0.01
    scores = rng.standard_normal(n_voxels, dtype=np.float32)
    scores += labels
    return np.exp(scores, out=scores), labels


def three_calls(scores: np.ndarray, labels: np.ndarray) -> tuple[float, float, float]:
    """AP, AUROC and best Dice by scikit-learn."""
    precision, recall, _ = precision_recall_curve(labels, scores)
    dice = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    return float(average_precision_score(labels, scores)), float(roc_auc_score(labels, scores)), float(dice.max())


def by_sketch(scores: np.ndarray, labels: np.ndarray) -> tuple[float, float, float]:
    """The same three by a sketch."""
    sketch = ScoreSketch().update(scores, labels)
    return sketch.average_precision(), sketch.auroc(), sketch.best_dice()[0]


def plain_read(scores: np.ndarray, labels: np.ndarray) -> tuple[float, ...]:
    """One pass over both arrays with NumPy's fastest reduction."""
    return float(scores.max()), float(labels.view(np.uint8).max())


def timed(work: Callable[[], object]) -> float:
    """Wall seconds of a call."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def extra_memory(work: Callable[[], object]) -> float:
    """Peak resident memory during a call above the level before it, in MB, sampled every millisecond."""
    process = psutil.Process()
    before = peak = process.memory_info().rss
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.is_set():
            peak = max(peak, process.memory_info().rss)
            done.wait(0.001)

    watcher = threading.Thread(target=watch)
    watcher.start()
    work()
    done.set()
    watcher.join()
    return (peak - before) / 1e6


def bootstrap_seconds(n_patients: int) -> float:
    """1,000 patient bootstraps of pooled AP, AUROC and best Dice."""
    rng = np.random.default_rng(1)
    sketches = []
    for _ in range(n_patients):
        labels = rng.random(20_000) < min(0.3, 0.01 * rng.lognormal(0, 1.2))
        scores = np.exp(rng.standard_normal(20_000) + 1.5 * labels + 0.3 * rng.standard_normal())
        sketches.append(ScoreSketch().update(scores.astype(np.float32), labels))
    metrics = [PooledMetric(name) for name in ("ap", "auroc", "best_dice")]
    return timed(lambda: bootstrap_sketches(sketches, [str(i) for i in range(n_patients)], metrics, resamples=1000))


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--voxels", type=float, default=66e6, help="voxels of the map (default 66e6)")
    parser.add_argument("--repeats", type=int, default=5, help="repeats of sketch and plain read (default 5)")
    parser.add_argument("--sklearn-repeats", type=int, default=1, help="repeats of scikit-learn's calls (default 1)")
    parser.add_argument("--patients", type=int, default=4443, help="patients of the bootstrap (default 4443)")
    options = parser.parse_args()
    scores, labels = volumes(int(options.voxels), seed=0)
    by_sketch(scores[:100_000], labels[:100_000])  # compiled and loaded

    memory = extra_memory(lambda: by_sketch(scores, labels))
    reads, ours = [], []
    for _ in range(options.repeats):
        reads.append(timed(lambda: plain_read(scores, labels)))
        ours.append(timed(lambda: by_sketch(scores, labels)))
    theirs, reference = [], (0.0, 0.0, 0.0)
    for _ in range(options.sklearn_repeats):
        begin = time.perf_counter()
        reference = three_calls(scores, labels)
        theirs.append(time.perf_counter() - begin)
    read, sketch, sklearn = (statistics.median(times) for times in (reads, ours, theirs))
    rows = [
        ["plain read of scores and labels", read, read / sketch, 1.0, None],
        ["sketch: AP + AUROC + best Dice", sketch, 1.0, sketch / read, memory],
        ["scikit-learn: the same three", sklearn, sklearn / sketch, sklearn / read, None],
    ]
    print(f"{scores.size:,} voxels, float32 scores, bool labels, {psutil.cpu_count()} CPUs")
    print(tabulate(rows, ["", "seconds", "x sketch", "x read", "extra MB"], floatfmt=("", ".4f", ".1f", ".1f", ".0f")))
    difference = max(abs(a - b) for a, b in zip(by_sketch(scores, labels), reference, strict=True))
    print(f"largest difference from scikit-learn: {difference:.1e}")
    seconds = bootstrap_seconds(options.patients)
    print(f"1,000 resamples over {options.patients:,} patients, three metrics: {seconds:.1f} s")


if __name__ == "__main__":
    main()
