"""Pairs that may differ by chance (another machine, another library): paired permutation tests, one family a run.

A method's statistic is the mean over its cells of the mean gain of their cases. Under the null hypothesis the two runs
of a patient may be exchanged, so the gains of all cases, modalities and seeds of a patient change sign together. The
methods' p-values are adjusted by Holm's procedure, and then those of the cells within each method that was found: a
test of every cell at once would need a p-value far below what a few hundred resamples can give.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cerebench.compare.pairs import Pair, groups
from cerebench.compare.report import Finding, Limits
from cerebench.scoring.permutation import holm

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

DRAWS = 9999
FEWEST_PATIENTS = 6
"""With fewer patients no exchange can reach a p-value of 0.05."""


@dataclass(frozen=True)
class _Test:
    section: str
    method: str
    what: str
    p: float
    gain: float
    before: float
    after: float
    floor: float
    n: int
    names: tuple[str, ...]
    """Column and seed of every cell."""
    sums: npt.NDArray[np.float64]
    """Gains ``[patients, cells]``."""


def chance_findings(table: pd.DataFrame, pairs: Sequence[Pair], limits: Limits) -> tuple[list[Finding], int, list[str]]:
    """Findings of all pairs that are not exact, the number of tests made, and why some could not be made."""
    tests: list[_Test] = []
    notes: list[str] = []
    chosen = table[table["gated"] & (table["post"] != "median")].dropna(subset=["gain"])
    by_pair = dict(list(chosen[~chosen["pooled"]].groupby("pair")))
    numbers = {pair: number for number, pair in enumerate(pairs)}
    for (section, method), members in groups([pair for pair in pairs if not pair.exact]):
        places = [numbers[pair] for pair in members]
        frames = [by_pair[place] for place in places if place in by_pair]
        few = 0
        for (level, metric), rows in _by_metric(frames):
            if rows["patient"].nunique() < FEWEST_PATIENTS:
                few = max(few, int(rows["patient"].nunique()))
                continue
            tests.append(_test(rows, pairs, section, method, f"{metric} ({level}, raw)", limits))
        if not frames or few:
            what = f"{few} patients, {FEWEST_PATIENTS} needed" if few else "no per-case values of a headline metric"
            notes.append(f"{method} under {section} could not be tested: {what}")
    adjusted = holm([test.p for test in tests])
    findings = [
        _finding(test, p, limits)
        for test, p in zip(tests, adjusted, strict=True)
        if p <= limits.alpha and abs(test.gain) > test.floor
    ]
    return findings, len(tests), notes


def _by_metric(frames: Sequence[pd.DataFrame]) -> Iterator[tuple[tuple[str, str], pd.DataFrame]]:
    import pandas as pd

    if frames:
        for key, rows in pd.concat(frames).groupby(["level", "metric"], observed=True):
            yield (str(key[0]), str(key[1])), rows


def _test(rows: pd.DataFrame, pairs: Sequence[Pair], section: str, method: str, what: str, limits: Limits) -> _Test:
    import numpy as np
    import pandas as pd

    places, cell = np.unique(rows["pair"].to_numpy(), return_inverse=True)
    patient = pd.factorize(rows["patient"].astype(str))[0]
    counts = np.bincount(cell)
    weighted = rows["gain"].to_numpy() / counts[cell]
    sums = np.zeros((patient.max() + 1, len(places)))
    np.add.at(sums, (patient, cell), weighted)
    gains = sums.mean(axis=1)
    p = float(_sign_flips(gains[:, None])[0])
    means = {side: np.bincount(cell, rows[side].to_numpy()) / counts for side in ("baseline", "current")}
    seeds = np.array([pairs[int(place)].cell.identity["seed"] for place in places])
    floor = max(
        float(rows["tolerance"].iloc[0]),
        limits.margin * abs(float(means["baseline"].mean())),
        _seed_allowance(means, seeds, limits.alpha),
    )
    names = tuple(f"{pairs[int(place)].cell.column} seed {seed}" for place, seed in zip(places, seeds, strict=True))
    before, after = (float(means[side].mean()) for side in ("baseline", "current"))
    return _Test(section, method, what, p, float(gains.sum()), before, after, floor, len(rows), names, sums)


def _sign_flips(gains: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Two-sided p-values ``[K]`` of the column sums of gains ``[patients, K]``, when patients change sign at random."""
    import numpy as np

    scale = np.abs(gains).max(axis=0, initial=0.0)
    gains = gains / np.where(scale > 0, scale, 1.0)
    drawn = np.abs(_signs(len(gains)) @ gains.astype(np.float32))
    observed = np.abs(gains.sum(axis=0))
    counts: npt.NDArray[np.float64] = (1 + (drawn >= observed - 1e-4).sum(axis=0)) / (DRAWS + 1)
    return counts


@lru_cache(maxsize=1)
def _signs(patients: int) -> npt.NDArray[np.float32]:
    """Random signs ``[DRAWS, patients]``; tests of equally many patients share them, which Holm's procedure allows."""
    import numpy as np

    signs: npt.NDArray[np.float32] = np.random.default_rng(0).integers(0, 2, (DRAWS, patients)).astype(np.float32)
    return signs * 2 - 1


def _seed_allowance(means: dict[str, npt.NDArray[np.float64]], seeds: npt.NDArray[Any], alpha: float) -> float:
    """How far two runs of equal code may lie apart by their seeds alone (t interval); 0 with one seed.

    Cases of one training share its luck, which no exchange of cases can see.
    """
    import numpy as np

    known = np.unique(seeds)
    if len(known) < 2:
        return 0.0
    from scipy.stats import t

    sides = [np.array([side[seeds == seed].mean() for seed in known]) for side in means.values()]
    variance = sum(float(side.var(ddof=1)) for side in sides) / 2
    freedom = 2 * (len(known) - 1)
    return float(t.ppf(1 - alpha / 2, freedom) * np.sqrt(2 * variance / len(known)))


def _finding(test: _Test, p: float, limits: Limits) -> Finding:
    """The method with the cells that carry its difference: those found themselves, else the one that moved most."""
    sign = 1 if test.gain > 0 else -1
    adjusted = holm([float(chance) for chance in _sign_flips(test.sums)])
    cells = zip(test.names, test.sums.sum(axis=0), adjusted, strict=True)
    same = sorted((cell for cell in cells if cell[1] * sign > 0), key=lambda cell: -abs(cell[1]))
    carrying = tuple(name for name, _, chance in same if chance <= limits.alpha) or tuple(name for name, *_ in same[:1])
    more = f" and {len(carrying) - 3} more" if len(carrying) > 3 else ""
    word = "worse" if sign < 0 else "better"
    text = (
        f"{test.method}: {test.what} {word}, {test.before:.4f} → {test.after:.4f} in the mean of "
        f"{len(test.names)} cells (p = {p:.2g} after Holm), carried by {', '.join(carrying[:3])}{more}"
    )
    return Finding(
        "regression" if sign < 0 else "improvement",
        "metric",
        *(test.section, test.method, carrying, test.what, test.before, test.after, test.after - test.before),
        *(p, test.n, text),
    )
