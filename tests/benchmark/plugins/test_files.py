"""Cohorts, protocols, metrics and simulators of plugins, and local cards."""

from __future__ import annotations

import pytest

from cerebench.errors import PluginError, UsageError
from cerebench.plugins.entries import MARKER
from cerebench.plugins.registry import Registry

MANIFEST = """
schema: 1
api: 1
cohorts:
  - card: cards/town.yaml
protocols:
  - file: town.yaml
metrics:
  - {name: half, target: "{package}.things:Half", summary: Half., levels: [voxel], higher_is_better: false}
simulators:
  - {name: dots, target: "{package}.things:dots"}
"""
PLUGIN = """
from pathlib import Path
from cerebench.api import hookimpl

HERE = Path(__file__).parent

@hookimpl
def bench_register_cohorts(register):
    register(HERE / "cards" / "town.yaml")

@hookimpl
def bench_register_protocols(register):
    register(str(HERE / "town.yaml"))

@hookimpl
def bench_register_metrics(register):
    register("half", "{package}.things:Half")

@hookimpl
def bench_register_simulators(register):
    register("dots", "{package}.things:dots")
"""
CARD = "name: town\nsummary: A town.\nhealthy: true\nmodalities: [t1]\nlicence: CC0\nfolders: [Town-2020]\n"
FILES = {
    "cards/town.yaml": CARD,
    "town.yaml": "name: town-protocol\nversion: 3\nsummary: Tests a town.\n",
    "things.py": "class Half: ...\ndef dots(): ...\n",
}


@pytest.fixture
def town(install):
    return install("fake-town", manifest=MANIFEST, plugin=PLUGIN, files=FILES)


def test_everything_a_plugin_can_bring(town):
    registry = Registry.discover()
    cohort = next(entry for entry in registry.cohorts() if entry.name == "town")
    assert (cohort.source, cohort.licence, cohort.healthy, cohort.modalities) == ("fake-town", "CC0", True, ("t1",))
    protocol = next(entry for entry in registry.protocols() if entry.name == "town-protocol")
    assert protocol.protocol_version == 3
    metric = next(entry for entry in registry.metrics() if entry.name == "half")
    assert (metric.levels, metric.higher_is_better) == (("voxel",), False)
    assert registry.protocol_file("town-protocol") == town / "town.yaml"
    assert registry.load_metric("half").__name__ == "Half"
    assert registry.load_simulator("dots").__name__ == "dots"
    assert [entry.name for entry in registry.simulators() if entry.source == "fake-town"] == ["dots"]


def test_a_card_that_no_hook_registers(install):
    plugin = PLUGIN.replace('register(HERE / "cards" / "town.yaml")', "...")
    install("fake-town", manifest=MANIFEST, plugin=plugin, files=FILES)
    with pytest.raises(PluginError, match=r"cohorts: only the manifest lists .*town\.yaml"):
        Registry.discover().card("town")


@pytest.mark.parametrize(
    ("card", "error"),
    [("name: [", "not valid YAML"), ("- 1", "expected fields, found list"), (None, "No such file")],
)
def test_a_broken_card_leaves_the_others_listed(install, card, error):
    files = {**FILES, "cards/town.yaml": card} if card else {name: FILES[name] for name in FILES if "cards" not in name}
    install("fake-town", manifest=MANIFEST, plugin=PLUGIN, files=files)
    registry = Registry.discover()
    entry = next(entry for entry in registry.cohorts() if entry.name == "town")
    assert entry.state == "failed"
    assert error in entry.error
    assert any("town.yaml" in line for line in registry.warnings())
    assert "town" not in registry.select("cohort", "all")
    assert "ixi" in registry.select("cohort", "all")
    with pytest.raises(PluginError, match="'town' of fake-town"):
        registry.select("cohort", "town")


@pytest.mark.parametrize("layout", ["child", "case", "itself"])
def test_availability(town, tmp_path, layout):
    cohort = next(entry for entry in Registry.discover().cohorts() if entry.name == "town")
    root = tmp_path / "data"
    folder = root / {"child": "Town-2020", "case": "TOWN-2020", "itself": "."}[layout]
    if layout == "itself":
        root = folder = tmp_path / "town-2020"
    folder.mkdir(parents=True)
    assert cohort.available(None) == "none"
    assert cohort.available(root) == "none"
    (folder / "scan.nii.gz").touch()
    assert cohort.available(root) == "real"
    (folder / MARKER).touch()
    assert cohort.available(root) == "in-silico"


def test_a_card_with_a_simulator_is_available_in_silico(tmp_path):
    ixi = next(entry for entry in Registry.discover().cohorts() if entry.name == "ixi")
    assert ixi.available(None) == "in-silico"
    (tmp_path / "ixi").mkdir()
    (tmp_path / "ixi" / "x.nii.gz").touch()
    assert ixi.available(tmp_path) == "real"


def test_local_cards(tmp_path):
    (tmp_path / "village.yaml").write_text(CARD.replace("name: town", "name: village"))
    (tmp_path / "notes.txt").touch()
    registry = Registry.discover(cards=[tmp_path])
    (entry,) = [entry for entry in registry.cohorts() if entry.source == "local"]
    assert (entry.name, entry.path) == ("village", (tmp_path / "village.yaml").resolve())
    assert Registry.discover(cards=[tmp_path / "village.yaml"]).select("cohort", "vill*") == ["village"]


def test_local_cards_that_cannot_be(tmp_path):
    with pytest.raises(UsageError, match="does not exist"):
        Registry.discover(cards=[tmp_path / "nowhere"])
    with pytest.raises(UsageError, match=r"holds no \.yaml file"):
        Registry.discover(cards=[tmp_path])
    (tmp_path / "mine.yaml").write_text(CARD.replace("name: town", "name: ixi"))
    with pytest.raises(UsageError, match=r"mine\.yaml: cohort 'ixi' is already provided by cerebench"):
        Registry.discover(cards=[tmp_path])
