"""Time and memory of methods: compared only on the same device, as ratios, beyond what a busy machine explains."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from cerebench.compare.pairs import Pair, groups
from cerebench.compare.report import Finding, Kind, Limits
from cerebench.compare.snapshot import CellFacts, Snapshot

MANY = 5
"""From so many methods on, their median ratio tells a slower machine from a slower method."""
WHOLE_RUN = "the whole run"


@dataclass(frozen=True)
class _Timing:
    """Seconds of one method in one stage: sums over its cells, and the typical ratio of a cell."""

    section: str
    method: str
    what: str
    before: float
    after: float
    typical: float
    n: int

    @property
    def ratio(self) -> float:
        return self.after / self.before


def resource_findings(
    baseline: Snapshot, current: Snapshot, pairs: Sequence[Pair], limits: Limits
) -> tuple[list[Finding], list[str]]:
    """Slower and faster methods, and those that need more memory; and a note where devices differ."""
    sides = [(baseline.cells[pair.baseline], current.cells[pair.current]) for pair in pairs]
    same = [
        pair
        for pair, (old, new) in zip(pairs, sides, strict=True)
        if old.device is not None and old.device == new.device
    ]
    notes = []
    if len(same) < len(pairs):
        notes.append(f"time and memory of {len(pairs) - len(same)} cells not compared: another or an unknown device")
    findings: list[Finding] = []
    for what, seconds in (("predict", _predict), ("training", _training)):
        timings = list(_timings(baseline, current, same, what, seconds))
        drift = median(item.typical for item in timings) if len(timings) >= MANY else 1.0
        findings += _slower(timings, drift, limits)
    findings += _memory(baseline, current, same, limits)
    return findings, notes


def _predict(cells: Sequence[CellFacts]) -> list[float | None]:
    return [cell.predict_s for cell in cells]


def _training(cells: Sequence[CellFacts]) -> list[float | None]:
    """Seconds of each distinct training; cells that share one count it once."""
    known: dict[tuple[str, ...], float] = {}
    for cell in cells:
        if cell.training_s:
            known.setdefault(tuple(cell.training_s), sum(cell.training_s.values()))
    return list(known.values())


def _timings(
    baseline: Snapshot,
    current: Snapshot,
    pairs: Sequence[Pair],
    what: str,
    seconds: Callable[[Sequence[CellFacts]], list[float | None]],
) -> Iterator[_Timing]:
    for (section, method), members in groups(pairs):
        before = seconds([baseline.cells[pair.baseline] for pair in members])
        after = seconds([current.cells[pair.current] for pair in members])
        if len(before) != len(after):
            continue  # trainings are shared otherwise than before: their sums are not about the same work
        known = [(old, new) for old, new in zip(before, after, strict=True) if old and new]
        if known:
            old, new = (sum(side) for side in zip(*known, strict=True))
            yield _Timing(section, method, what, old, new, median(n / o for o, n in known), len(known))


def _slower(timings: Sequence[_Timing], drift: float, limits: Limits) -> Iterator[Finding]:
    """Both the sum and the typical cell have to exceed the limit: one cell beside a busy neighbour is no regression."""
    if drift > limits.slower or drift < 1 / limits.slower:
        kind: Kind = "regression" if drift > 1 else "improvement"
        what, n = timings[0].what, len(timings)
        word = "slower" if drift > 1 else "faster"
        text = f"{WHOLE_RUN}: {what} {word} by ×{drift:.2f} in the median of {n} methods (harness, library or machine)"
        yield Finding(kind, "time", "", "", (), f"{what} seconds", None, None, drift, None, n, text)
    # the machine may be slow tonight, but never makes a method look slower by having been fast
    allowed = max(1.0, drift) * limits.slower
    for item in timings:
        slow = min(item.ratio, item.typical) > allowed and item.after - item.before > limits.floor_s
        fast = max(item.ratio, item.typical) < min(1.0, drift) / limits.slower
        if slow or (fast and item.before - item.after > limits.floor_s):
            yield _finding("regression" if slow else "improvement", "time", item, f"{item.what} seconds", "s", 1.0)


def _memory(baseline: Snapshot, current: Snapshot, pairs: Sequence[Pair], limits: Limits) -> Iterator[Finding]:
    for (section, method), members in groups(pairs):
        for kind in ("rss", "cuda"):
            sides = [
                max((snapshot.cells[place].peak_bytes.get(kind, 0) for place in places), default=0)
                for snapshot, places in (
                    (baseline, [pair.baseline for pair in members]),
                    (current, [pair.current for pair in members]),
                )
            ]
            before, after = sides
            if before and after > limits.bigger * before and after - before > limits.floor_bytes:
                item = _Timing(section, method, kind, before, after, after / before, len(members))
                yield _finding("regression", "memory", item, f"peak memory ({kind})", "MiB", 2.0**20)


def _finding(kind: Kind, subject: str, item: _Timing, what: str, unit: str, scale: float) -> Finding:
    before, after = item.before / scale, item.after / scale
    text = f"{item.method}: {what} ×{item.ratio:.2f} ({before:.1f} → {after:.1f} {unit} over {item.n} cells)"
    return Finding(
        kind,
        "time" if subject == "time" else "memory",
        *(item.section, item.method, (), what, item.before, item.after, item.ratio, None, item.n, text),
    )
