"""The toy world of the runs, with small heads and troublesome methods added; shared by the tests of one module."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
_spec = importlib.util.spec_from_file_location("toy_world_of_runs", HERE.parent / "run" / "conftest.py")
assert _spec is not None
assert _spec.loader is not None
toys = importlib.util.module_from_spec(_spec)
import sys  # noqa: E402

sys.modules[_spec.name] = toys  # dataclasses look their module up
_spec.loader.exec_module(toys)


@dataclass
class Trouble:
    """A toy world: folders, and the place where methods leave notes."""

    world: Any
    notes: Path

    def options(self, **more: object) -> dict[str, Any]:
        """Keywords for ``cerebench.run``."""
        return dict(self.world.options(**more))

    def results(self, name: str) -> Path:
        """A results folder of its own."""
        return Path(self.world.results).parent / name


def make_world(folder: Path) -> Any:
    """Six healthy subjects, four patients and one small head that only serves for testing."""
    world = toys.World(folder / "data", folder / "cards", folder / "results")
    world.cards.mkdir(parents=True)
    small = toys.LESION_CARD.replace("toy-lesion", "toy-dwarf")
    plan = (("toy-healthy", 4, toys.HEALTHY_CARD), ("toy-lesion", 4, toys.LESION_CARD), ("toy-dwarf", 3, small))
    for number, (name, count, card) in enumerate(plan):
        (world.data / name).mkdir(parents=True)
        (world.cards / f"{name}.yaml").write_text(card)
        for index in range(count):
            write_head(world.data / name, f"p{index:02d}", 100 * number + index, name)
    return world


def write_head(folder: Path, patient: str, seed: int, cohort: str) -> None:
    """Files of one head; a small one is cut off at its middle."""
    t1, t2, mask = toys.ellipsoid(seed, cohort != "toy-healthy")
    if cohort == "toy-dwarf":
        for array in (t1, t2, mask):
            array[: array.shape[0] // 2] = 0
        mask[12, 12, 10] = True
    toys.write_image(folder / f"{patient}_t1.nii.gz", t1)
    toys.write_image(folder / f"{patient}_t2.nii.gz", t2)
    if cohort != "toy-healthy":
        toys.write_image(folder / f"{patient}_mask.nii.gz", mask, "uint8")


@pytest.fixture(scope="module")
def trouble(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trouble]:
    """The world with its plugins installed, for this process and its children."""
    folder = tmp_path_factory.mktemp("trouble")
    packages = {**toys.PACKAGES, "cerebench-toy-trouble": (HERE / "plugin", "cerebench_toy_trouble")}
    (folder / "notes").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(toys, "PACKAGES", packages)
        toys.install(folder / "site", patch)
        patch.setenv("CEREBENCH_CACHE", str(folder / "cache"))
        patch.setenv("TROUBLE_NOTES", str(folder / "notes"))
        patch.setenv("CEREBENCH_WRITABLE", str(folder / "notes"))
        patch.setenv("TROUBLE_SECONDS", "0.3")
        patch.delenv("CEREBENCH_DATA", raising=False)
        yield Trouble(make_world(folder), folder / "notes")


@pytest.fixture(autouse=True)
def toy_plugins(trouble: Trouble, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plugins of the world are the ones that are seen, whatever the fixture for all tests says."""
    monkeypatch.setenv("CEREBENCH_PLUGINS", os.environ.get("CEREBENCH_PLUGINS") or "cerebench-toy*")
