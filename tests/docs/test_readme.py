"""README.md: its two commands, its excerpt, its presets and its Python."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cerebench.plugins.registry import Registry
from cerebench.protocol import Protocol, load_protocol

RUN = "python3 -m venv .venv && . .venv/bin/activate && pip install -e . && bench run --methods all\n"
TEST = "python3 -m venv .venv && . .venv/bin/activate && pip install -e '.[test]' && pytest\n"
Blocks = Callable[[str, str], list[str]]


@pytest.fixture(scope="module")
def readme(root: Path) -> str:
    return (root / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def protocol() -> Protocol:
    return load_protocol(Registry.discover().protocol_file("multicentre-anomaly"))


def test_opens_with_exactly_two_commands(readme: str, blocks: Blocks) -> None:
    assert readme.startswith(f"# cerebench\n\n```\n{RUN}```\n\n```\n{TEST}```\n")
    everything = blocks(readme, "")
    assert [block for block in everything if "venv" in block] == [RUN, TEST]


def test_excerpt_is_of_a_published_in_silico_page(readme: str, root: Path) -> None:
    """Two markers with the beginning of a page that ``docs/make_leaderboard.py`` wrote, number for number."""
    text = readme.partition("<!-- leaderboard:")[2].partition("<!-- /leaderboard -->")[0]
    assert "**IN SILICO: " in text
    link = re.search(r"\]\((results/leaderboards/[^)]+-in-silico\.md)\)", text)
    assert link is not None
    page = (root / link[1]).read_text(encoding="utf-8")
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len(table) > 5
    rows = [line.split("|")[1:-1] for line in table]
    whole = [line.split("|")[1:-1] for line in page.splitlines() if line.startswith("|")][: len(rows)]
    shown = [whole[0].index(name) for name in rows[0]]  # a wide table is shown in part
    assert [[row[index] for index in shown] for row in whole] == rows
    registry = Registry.discover()
    methods = {item.name for item in registry.methods()}
    columns = {f"{item.name} {modality}" for item in registry.cohorts() for modality in item.modalities}
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    names = {re.sub(r"\[.*", "", cell) for cell in [*cells[0][1:], *(line[0] for line in cells[2:])]}
    assert names <= methods | columns | {"mean rank"}
    assert names & methods
    assert names & columns


def test_presets_are_those_of_the_protocol(readme: str, protocol: Protocol) -> None:
    rows = re.findall(r"^\| `(\w+)`( \(default\))? \| ([\d.]+) mm \| (\d+) / (\d+) \|", readme, re.MULTILINE)
    found = [(name, float(mm), int(healthy), int(lesion)) for name, _, mm, healthy, lesion in rows]
    expected = [
        (name, preset.spacing_mm, preset.twins.healthy_cases, preset.twins.lesion_cases)
        for name, preset in protocol.presets.items()
    ]
    assert found == expected
    assert [name for name, default, *_ in rows if default] == [protocol.default_preset]


def test_the_method_learns_and_scores(readme: str, blocks: Blocks) -> None:
    torch = pytest.importorskip("torch")
    import numpy as np

    from cerebench.api import FitRun, PredictContext, Volume

    example = next(block for block in blocks(readme, "python") if "class " in block)
    names: dict[str, Any] = {"__name__": "readme"}
    exec(compile(example, "README.md", "exec"), names)
    cls = names["VoxelwiseZ"]
    rng = np.random.default_rng(0)
    shape, spacing = (4, 5, 6), (8.0, 8.0, 8.0)
    brain = np.ones(shape, dtype=bool)
    train = [
        Volume(rng.normal(0.5, 0.1, (1, *shape)).astype(np.float32), brain, spacing, modalities=("t1",))
        for _ in range(40)
    ]
    device = torch.device("cpu")
    method = cls(cls.settings_for("quick"))
    method.build(("t1",), shape, spacing)
    method.fit(train, train, FitRun(device=device, precision="32-true", seed=0, folder=Path()))
    image = torch.full((1, 1, *shape), 0.5)
    image[0, 0, 1, 2, 3] = 1.5
    context = PredictContext(torch.from_numpy(brain)[None], spacing, ("t1",), device, seed=0)
    maps = method.predict(image, context).maps
    assert maps.shape == (1, *shape)
    assert maps[0, 1, 2, 3] == maps.max()
    assert 4 < maps.max() < 6  # one unit above the mean, spread about 0.1 + 0.1


def test_the_python_api_is_called_as_it_is(readme: str, blocks: Blocks, monkeypatch: pytest.MonkeyPatch) -> None:
    import cerebench
    from cerebench.request import Request
    from cerebench.runner import run

    example = next(block for block in blocks(readme, "python") if "cerebench.run" in block)
    called: list[str] = []

    def stand_in(name: str, real: Callable[..., Any]) -> Callable[..., None]:
        def call(*args: Any, **options: Any) -> None:
            bound = inspect.signature(real).bind(*args, **options).arguments
            if name == "run":
                Request(**{**bound.pop("options", {}), **bound})
            called.append(name)

        return call

    for name, real in (("run", run), ("leaderboard", cerebench.leaderboard), ("results", cerebench.results)):
        monkeypatch.setattr(cerebench, name, stand_in(name, real), raising=False)
    exec(compile(example, "README.md", "exec"), {})
    assert called == ["run", "leaderboard", "results"]
