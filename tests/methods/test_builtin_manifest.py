"""The built-in plugin: manifest, hook and classes say the same; reading them costs no torch."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from cerebench.plugins.manifest import find_manifest, read_manifest
from cerebench.testing.declaration import check_declaration, check_manifest, check_settings
from cerebench_methods.plugin import METHODS, bench_register_methods

MANIFEST = read_manifest(find_manifest("cerebench_methods.plugin"))


def test_hook_registers_what_the_manifest_lists() -> None:
    registered: dict[str, str] = {}
    bench_register_methods(registered.__setitem__)

    assert not MANIFEST.problems
    assert registered == {item.name: item.target for item in MANIFEST.methods} == METHODS


@pytest.mark.parametrize("name", sorted(METHODS))
def test_class_agrees_with_manifest(name: str) -> None:
    module, _, attribute = METHODS[name].partition(":")
    cls = getattr(importlib.import_module(module), attribute)

    assert cls.info.citation
    assert check_declaration(cls)
    assert check_manifest(cls) == "cerebench.yaml"
    assert check_settings(cls)


def test_settings_of_a_method_import_no_torch() -> None:
    modules = sorted({target.partition(":")[0] for target in METHODS.values()})
    heavy = ("torch", "monai", "scipy", "numpy")
    code = f"import sys, {', '.join(modules)}; print([name for name in {heavy} if name in sys.modules])"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("target", METHODS.values())
def test_every_built_in_method_passes_the_conformance_suite_in_some_test(target):
    """The suite trains twice from one seed and wants equal bits; a method whose tests leave it out proves nothing."""
    name = target.partition(":")[2]
    tests = [path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("*/test_*.py")]
    assert any("assert_conforms" in text and name in text for text in tests)
