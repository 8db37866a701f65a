"""docs/plugins.md: every hook and variable is there, and the plugin in it works as printed."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from cerebench.plugins import discovery, hookspecs
from cerebench.plugins.registry import Registry

TEXT = (Path(__file__).parents[3] / "docs" / "plugins.md").read_text(encoding="utf-8")
HOOKS = [name for name in vars(hookspecs) if name.startswith("bench_")]


@pytest.mark.parametrize("name", HOOKS)
def test_every_hook_is_documented_with_its_arguments(name):
    arguments = ", ".join(inspect.signature(getattr(hookspecs, name)).parameters)
    assert f"`{name}({arguments})`" in TEXT


def test_the_entry_point_group_is_the_project():
    assert discovery.GROUP == hookspecs.PROJECT
    assert "[project.entry-points.cerebench]" in TEXT


def test_no_hook_is_documented_that_does_not_exist():
    assert set(re.findall(r"\bbench_\w+", TEXT)) == set(HOOKS)


@pytest.mark.parametrize("name", [discovery.ALLOW, discovery.BLOCK, discovery.STRICT])
def test_every_variable_is_documented(name):
    assert f"| `{name}` |" in TEXT


def test_the_plugin_in_the_docs_works_as_printed(install):
    torch = pytest.importorskip("torch")
    files = dict(re.findall(r"`fake_brightness/([\w.]+)`:\n\n```\w+\n(.*?)```", TEXT, flags=re.DOTALL))
    assert set(files) == {"cerebench.yaml", "plugin.py", "method.py"}
    manifest = files.pop("cerebench.yaml")
    install("fake-brightness", manifest=manifest, plugin=files["plugin.py"], method=files["method.py"])
    registry = Registry.discover()
    method = registry.load_method("brightness")
    assert registry.method_disagreements("brightness") == []
    images = torch.rand(2, 3, 4, 5, 6)
    maps = method(method.settings_for("quick")).predict(images, None).maps
    assert torch.equal(maps, images.mean(dim=1))


def test_the_python_example_runs(capsys):
    (example,) = re.findall(r"## From Python\n\n```python\n(.*?)```", TEXT, flags=re.DOTALL)
    exec(compile(example, "docs/plugins.md", "exec"), {})
    assert "intensity-threshold" in capsys.readouterr().out
