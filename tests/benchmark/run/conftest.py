"""A small world on disk: two cohorts of ellipsoids, their cards, and the toy plugins as installed distributions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

HERE = Path(__file__).parent
PACKAGES = {
    "cerebench-toy-world": (HERE / "world", "cerebench_toy_world"),
    "cerebench-toys": (HERE.parent / "toys", "cerebench_toys"),
}

HEALTHY_CARD = """
schema: 1
name: toy-healthy
title: Toy
summary: Ellipsoids.
citation: none
licence: CC0
access: made by the test
healthy: true
modalities: [t1, t2]
layouts:
  - name: flat
    images: {t1: "{patient}_t1.nii.gz", t2: "{patient}_t2.nii.gz"}
    patient: "{patient}"
    skull_stripped: true
"""

LESION_CARD = (
    HEALTHY_CARD.replace("toy-healthy", "toy-lesion")
    .replace("healthy: true", "healthy: false")
    .replace('    patient: "{patient}"', '    mask: "{patient}_mask.nii.gz"\n    patient: "{patient}"')
)


@dataclass
class World:
    """Where the test's cohorts, cards and results are."""

    data: Path
    cards: Path
    results: Path

    def options(self, **more: object) -> dict[str, object]:
        """Keywords for ``cerebench.run``."""
        base = {"data_root": self.data, "cards": [self.cards], "results": self.results, "protocols": "toy-transfer"}
        return {**base, "device": "cpu", **more}


def ellipsoid(seed: int, lesion: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """T1, T2 and lesion mask of one head, 20 × 24 × 20 voxels of 8 mm."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*(np.linspace(-1.2, 1.2, side) for side in (20, 24, 20)), indexing="ij"))
    brain = (grid**2).sum(0) < 1
    mask = (((grid - rng.uniform(-0.4, 0.4, 3)[:, None, None, None]) ** 2).sum(0) < 0.08) & brain & lesion
    t1 = brain * (100 + 20 * grid[0] + rng.normal(0, 5, brain.shape) + 60 * mask)
    t2 = brain * (200 - 20 * grid[1] + rng.normal(0, 5, brain.shape) + 120 * mask)
    return t1, t2, mask


def write_image(path: Path, array: np.ndarray, dtype: type = np.float32) -> None:
    """A NIfTI file of 8 mm voxels."""
    nib.save(nib.Nifti1Image(array.astype(dtype), np.diag([8.0, 8.0, 8.0, 1.0])), path)


def write_subject(folder: Path, name: str, seed: int, lesion: bool) -> None:
    """All files of one subject."""
    t1, t2, mask = ellipsoid(seed, lesion)
    write_image(folder / f"{name}_t1.nii.gz", t1)
    write_image(folder / f"{name}_t2.nii.gz", t2)
    if lesion:
        write_image(folder / f"{name}_mask.nii.gz", mask, np.uint8)


def install(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the toy packages look installed, for this process and its children."""
    for name, (folder, package) in PACKAGES.items():
        info = site / f"{package}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[cerebench]\n{name} = {package}.plugin\n")
        monkeypatch.syspath_prepend(str(folder))
    monkeypatch.syspath_prepend(str(site))
    folders = [str(site), *(str(folder) for folder, _ in PACKAGES.values())]
    monkeypatch.setenv("PYTHONPATH", ":".join(folders))
    monkeypatch.setenv("CEREBENCH_PLUGINS", ",".join(PACKAGES))


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for all tests of the folder."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def world(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Eight healthy subjects and ten patients."""
    install(tmp_path / "site", monkeypatch)
    monkeypatch.setenv("CEREBENCH_CACHE", str(cache))
    monkeypatch.delenv("CEREBENCH_DATA", raising=False)
    data, cards = tmp_path / "data", tmp_path / "cards"
    for name, count, lesion, card in (("toy-healthy", 8, False, HEALTHY_CARD), ("toy-lesion", 10, True, LESION_CARD)):
        folder = data / name
        folder.mkdir(parents=True)
        for index in range(count):
            write_subject(folder, f"p{index:02d}", index + 100 * lesion, lesion)
        cards.mkdir(exist_ok=True)
        (cards / f"{name}.yaml").write_text(card)
    return World(data, cards, tmp_path / "results")


@pytest.fixture
def run(world: World) -> Callable[..., object]:
    """``run("toy-good")`` in this process."""
    import cerebench

    def go(methods: str, **more: object) -> object:
        return cerebench.run(methods, "toy-*", **world.options(in_process=True, **more))

    return go
