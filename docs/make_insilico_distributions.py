"""Draw ``docs/img/in-silico-distributions.png``: lesion volumes and counts of the twins against published figures.

Run from the repository root: ``python docs/make_insilico_distributions.py`` (minutes; needs matplotlib). It prints the
table that ``docs/in-silico.md`` shows.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from scipy import ndimage

import cerebench_datasets
from cerebench.cohorts.card import load_card
from cerebench.cohorts.reader import read_cohort
from cerebench.cohorts.twins import write_twin
from cerebench.prepare.read import read_mask
from cerebench_datasets.insilico.write import simulate

mpl.use("Agg")
SPACING, CASES, SEED = 3.0, 40, 0


@dataclass(frozen=True)
class Published:
    """Median and range in ml over the cases that have the part, and the share of such cases; ``None``: not stated."""

    median: float | None
    low: float | None = None
    high: float | None = None
    share: float | None = None


LIST = "statistics over the released masks, openmedlab/Awesome-Medical-Dataset"
VOLUMES: dict[tuple[str, str, tuple[int, ...]], Published] = {
    ("brats-gli", "oedema", (2,)): Published(52.4, None, 216, 0.97),
    ("brats-gli", "necrosis", (1,)): Published(7.9, None, 189, 0.97),
    ("brats-gli", "enhancing", (3,)): Published(18.0, None, 111, 1.0),
    ("brats-ssa", "oedema", (2,)): Published(94, 0.5, 280, 1.0),
    ("brats-ssa", "necrosis", (1,)): Published(9, None, 122, 0.92),
    ("brats-ssa", "enhancing", (3,)): Published(28, 0.5, 122, 1.0),
    ("brats-men", "SNFH", (2,)): Published(17, None, 250, 0.54),
    ("brats-men", "NETC", (1,)): Published(0.32, None, 80, 0.34),
    ("brats-men", "enhancing", (3,)): Published(9, None, 194, 1.0),
    ("brats-met", "SNFH", (2,)): Published(25.3, None, 280, 0.97),
    ("brats-met", "NETC", (1,)): Published(1.46, None, 41, 0.68),
    ("brats-met", "enhancing", (3,)): Published(4.58, 0.04, 63, 1.0),
    ("brats-ped", "oedema", (4,)): Published(1, None, 132, 0.58),
    ("brats-ped", "not enhancing", (2, 3)): Published(30, 1, 125, 1.0),
    ("brats-ped", "enhancing", (1,)): Published(6, None, 64, 0.89),
    ("atlas2", "lesion", (1,)): Published(5, 0.01, 497, 1.0),
    ("isles2022", "lesion", (1,)): Published(6, 0.04, 482, 0.99),
    ("wmh2017", "WMH", (1,)): Published(15, 0.8, 75, 1.0),
    ("mslub", "lesion", (1,)): Published(None, 1.3, 49.8),
    ("msseg2016", "lesion", (1,)): Published(None),
    ("brats-gli-post", "enhancing", (3,)): Published(None),
    ("brats-gli-post", "cavity", (4,)): Published(None),
    ("brainmetshare", "lesion", (255,)): Published(None),
    ("ucsf-bmsr", "lesion", (1,)): Published(None),
}
"""(cohort, part, labels) → what is published; MSLUB: the two patients that were measured."""
COUNTS: dict[str, tuple[float, str]] = {
    "brats-met": (4.3, "mean of 1,286 scans with metastases"),
    "ucsf-bmsr": (9.2, "mean of 560 scans"),
    "mslub": (67.5, "mean of two patients, 37 and 98"),
    "isles2022": (21, "one patient"),
}
"""Cohort → number of separate lesions a case."""


def measured(name: str, folder: Path) -> tuple[list[dict[int, float]], list[int]]:
    """Volume in ml of every label, and number of separate lesions, of every case of a twin."""
    card = load_card(Path(cerebench_datasets.__file__).parent / "cards" / f"{name}.yaml")
    write_twin(card, simulate, folder / name, CASES, SPACING, SEED)
    listing = read_cohort(card, folder / name)
    volumes, counts = [], []
    for case in listing.cases:
        mask = read_mask(case.mask, listing.policy.slices)
        found, voxels = np.unique(mask.data[mask.data > 0], return_counts=True)
        volumes.append({int(label): float(n) * SPACING**3 / 1000 for label, n in zip(found, voxels, strict=True)})
        # oedema joins neighbours, so that lesions are counted by what enhances, where that is labelled apart
        core = mask.data > 0 if len(found) < 3 else np.isin(mask.data, (1, 3))
        counts.append(int(ndimage.label(core, np.ones((3, 3, 3)))[1]))
    return volumes, counts


def main() -> None:
    import matplotlib.pyplot as plt

    names = list(dict.fromkeys(name for name, _, _ in VOLUMES))
    with tempfile.TemporaryDirectory() as folder:
        found = {name: measured(name, Path(folder)) for name in names}
    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 7.5), width_ratios=(2.2, 1), layout="constrained")
    print("| cohort, part | share, median (range) ml | published share, median (range) |\n|---|---|---|")
    for place, ((name, part, labels), known) in enumerate(VOLUMES.items()):
        volumes = [sum(case.get(label, 0.0) for label in labels) for case in found[name][0]]
        shown = sorted(value for value in volumes if value > 0)
        left.plot(shown, [place] * len(shown), "o", color="tab:blue", alpha=0.35, markersize=4)
        left.plot(np.median(shown), place, "|", color="black", markersize=14, markeredgewidth=2)
        ends = [known.low or known.median, known.high or known.median]
        if None not in ends:
            left.plot(ends, [place + 0.3] * 2, "-", color="tab:red", linewidth=1.5)
        if known.median is not None:
            left.plot(known.median, place + 0.3, "D", color="tab:red", markersize=5)
        share = len(shown) / len(volumes)
        theirs = "not at hand"
        if known.median is not None:
            theirs = f"{known.share:.0%}, {known.median:g} ({known.low or '?'}–{known.high:g})"
        elif known.low is not None:
            theirs = f"two patients: {known.low:g}, {known.high:g}"
        print(f"| {name}, {part} | {share:.0%}, {np.median(shown):.3g} ({shown[0]:.2g}–{shown[-1]:.3g}) | {theirs} |")
    left.set_yticks(range(len(VOLUMES)), [f"{name}: {part}" for name, part, _ in VOLUMES])
    left.set(
        xscale="log",
        xlabel="ml a case, where there is any",
        title=f"Lesion volume, {CASES} cases a twin at {SPACING:g} mm",
    )
    left.invert_yaxis()
    left.grid(axis="x", alpha=0.3)
    left.plot([], [], "o", color="tab:blue", label="phantom, one case")
    left.plot([], [], "|", color="black", markersize=12, label="phantom, median")
    left.plot([], [], "D-", color="tab:red", label="published median and range")
    left.legend(loc="lower left", fontsize=8)
    for place, (name, (known_count, words)) in enumerate(COUNTS.items()):
        counts = np.array(found[name][1])
        right.plot(counts, [place] * len(counts), "o", color="tab:blue", alpha=0.35, markersize=4)
        right.plot(counts.mean(), place, "|", color="black", markersize=14, markeredgewidth=2)
        right.plot(known_count, place + 0.2, "D", color="tab:red", markersize=5)
        print(f"{name}: lesions a case mean {counts.mean():.1f} ({counts.min()}–{counts.max()}), {known_count} {words}")
    right.set_yticks(range(len(COUNTS)), [f"{name}\n({words})" for name, (_, words) in COUNTS.items()], fontsize=8)
    right.set(xscale="log", xlabel="separate lesions a case", title="Lesion count (bar: phantom mean)")
    right.invert_yaxis()
    right.grid(axis="x", alpha=0.3)
    figure.savefig(Path(__file__).parent / "img" / "in-silico-distributions.png", dpi=80)


if __name__ == "__main__":
    main()
