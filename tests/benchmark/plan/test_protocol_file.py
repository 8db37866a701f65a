"""Protocol files: the built-in one, and what a wrong one is answered with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cerebench.errors import UsageError
from cerebench.plugins.registry import Registry
from cerebench.protocol import Protocol, load_protocol

TEXT = """schema: 1
name: mine
version: 1
title: Mine
summary: A protocol.
train:
  sources: {healthy: [a]}
splits:
  lesion: {validation: 0.2, test: 0.8}
presets:
  quick:
    spacing_mm: 4
"""


@pytest.fixture
def load(tmp_path: Path) -> Callable[[str], Protocol]:
    def run(text: str) -> Protocol:
        path = tmp_path / "mine.yaml"
        path.write_text(text)
        return load_protocol(path)

    return run


def test_every_built_in_protocol_loads_and_the_main_one_has_four_presets():
    registry = Registry.discover([])
    loaded = {name: load_protocol(registry.protocol_file(name)) for name in registry.select("protocol", ["*"])}
    assert all(protocol.name == name for name, protocol in loaded.items())
    main = loaded["multicentre-anomaly"]
    assert set(main.presets) == {"quick", "nightly", "standard", "paper"}
    assert main.default_preset == "quick"
    assert not main.presets["quick"].ranked
    assert main.presets["quick"].banner
    assert all(main.presets[name].ranked for name in ("nightly", "standard", "paper"))


def test_a_small_file_loads_with_defaults(load):
    protocol = load(TEXT)
    assert protocol.preset(None)[0] == "quick"
    assert protocol.post == ("raw", "median")
    with pytest.raises(UsageError, match="no preset 'quik': did you mean 'quick'"):
        protocol.preset("quik")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("version: 1", "version: one", r"mine\.yaml, line 3, version"),
        ("version: 1", "version: 1\nversoin: 2", r"mine\.yaml, line 4, versoin"),
        ("title: Mine\n", "", r"title: the field is missing"),
        ("name: mine", "name: My Protocol", r"mine\.yaml, line 2, name"),
        ("spacing_mm: 4", "spacing_mm: -4", r"mine\.yaml, line 12, presets\.quick\.spacing_mm"),
        ("spacing_mm: 4", "spacing: 4", r"presets\.quick\.spacing"),
        ("{healthy: [a]}", "{helathy: [a]}", r"mine\.yaml, line 7, train\.sources"),
        ("test: 0.8", "test: 0.7", r"'lesion' add up to 0.9, expected 1"),
        ("test: 0.8", "tset: 0.8", r"role 'tset'; roles are train, validation, test"),
        ("  quick:", "  slow:", r"default_preset 'quick' is not among the presets \['slow'\]"),
        ("name: mine", "name: mine\nname: yours", r"mine\.yaml, line 3, name: the field is given twice"),
        ("{healthy: [a]}", "{healthy: [a]", r"mine\.yaml, line \d+: not valid YAML"),
        ("schema: 1", "schema: 2", r"mine\.yaml, line 1, schema"),
        ("title: Mine", "title: !!python/object/apply:os.getcwd []", r"mine\.yaml, line 4: not valid YAML"),
    ],
)
def test_a_malformed_file_names_file_line_and_field(load, old, new, words):
    assert old in TEXT
    with pytest.raises(UsageError, match=words):
        load(TEXT.replace(old, new, 1))


def test_a_missing_file_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match=r"absent\.yaml cannot be read"):
        load_protocol(tmp_path / "absent.yaml")
