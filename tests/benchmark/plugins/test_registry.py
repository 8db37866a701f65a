"""Plugins of every kind of health, as fake installed distributions."""

from __future__ import annotations

import sys

import pytest

from cerebench.errors import PluginError, UsageError
from cerebench.plugins.registry import Registry


def state_of(registry: Registry, distribution: str):
    return next(state for state in registry.plugins() if state.distribution == distribution)


def test_a_healthy_plugin_is_listed_without_import_and_loaded_on_demand(install):
    install("fake-a")
    registry = Registry.discover()
    entry = next(entry for entry in registry.methods() if entry.name == "a")
    assert (entry.source, entry.version, entry.state, entry.unit) == ("fake-a", "1.0", "ok", "volume")
    assert not [module for module in sys.modules if module.startswith("fake_a")]
    assert registry.warnings() == []
    loaded = registry.load_method("a")
    assert loaded.info.name == "a"
    assert registry.load_method("a") is loaded


def test_registries_share_nothing(install):
    install("fake-a")
    first, second = Registry.discover(), Registry.discover()
    first.load_method("a")
    assert first._host is not None
    assert second._host is None


BROKEN = {
    "import error": ({"plugin": "import no_such_module_anywhere"}, "ModuleNotFoundError", "plugin.py, line 1"),
    "syntax error": ({"plugin": "def broken(:\n"}, "SyntaxError", "plugin.py, line 1"),
    "exit at import": ({"plugin": "raise SystemExit(3)"}, "SystemExit", "plugin.py"),
    "unknown hook": (
        {"plugin": "from cerebench.api import hookimpl\n@hookimpl\ndef bench_register_method(register): ...\n"},
        "bench_register_method",
        "hook that cerebench does not have",
    ),
    "unknown argument": (
        {"plugin": "from cerebench.api import hookimpl\n@hookimpl\ndef bench_register_methods(registry): ...\n"},
        "registry",
        "cannot be registered",
    ),
    "hook raises": (
        {"plugin": "from cerebench.api import hookimpl\n@hookimpl\ndef bench_register_methods(register): 1 / 0\n"},
        "ZeroDivisionError",
        "bench_register_methods",
    ),
    "registers nothing": ({"plugin": ""}, "only the manifest lists 'broken'", "methods"),
    "registers more": (
        {"plugin": "{default}    register('more', '{package}.method:Invert')\n"},
        "only a hook registers 'more'",
        "methods",
    ),
    "registers twice": (
        {"plugin": "{default}    register('{name}', '{package}.method:Invert')\n"},
        "registered twice",
        "ValueError",
    ),
    "registers nonsense": (
        {"plugin": "{default}    register('{name}2', 3)\n"},
        "expected a name and 'module:Class'",
        "TypeError",
    ),
    "other target": ({"edit": ("method:Invert", "method:Other")}, "in the manifest", "in the hook"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_plugin_fails_alone_and_says_why(install, case):
    changes, cause, place = BROKEN[case]
    install("fake-broken", **changes)
    install("fake-fine")
    registry = Registry.discover()

    with pytest.raises(PluginError) as raised:
        registry.load_method("broken")

    message = str(raised.value)
    assert "fake-broken 1.0" in message
    assert cause in message
    assert place in message
    assert "\n" not in message
    state = state_of(registry, "fake-broken")
    assert (state.state, bool(state.error)) == ("failed", True)
    assert any("fake-broken" in line for line in registry.warnings())
    assert registry.load_method("fine").info.name == "fine"
    with pytest.raises(PluginError):
        registry.load_method("broken")


def test_a_target_that_cannot_be_imported(install):
    install("fake-a", method="import no_such_module_anywhere")
    with pytest.raises(PluginError, match=r"'a' of fake-a 1\.0 cannot import 'fake_a\.method': ModuleNotFoundError"):
        Registry.discover().load_method("a")


@pytest.mark.parametrize(
    ("method", "cause"),
    [
        ("", "has no 'Invert'"),
        ("class Invert: ...", "not a subclass of cerebench.api.Method"),
        ("from cerebench.api import Method\nclass Invert(Method): ...", "has no 'info'"),
    ],
)
def test_a_target_that_is_no_method(install, method, cause):
    install("fake-a", method=method)
    with pytest.raises(PluginError, match=cause):
        Registry.discover().load_method("a")


@pytest.mark.parametrize(
    ("edit", "field"),
    [
        (("task: anomaly", "task: lesion-classification"), "task"),
        (("supervision: none", "supervision: labels"), "supervision"),
        (("unit: volume", "unit: slice"), "unit"),
        (("modalities: []", "modalities: [t1]"), "modalities"),
        (("unit: volume", "unit: volume\n    cost: iterative"), "cost"),
    ],
)
def test_manifest_and_class_that_disagree(install, edit, field):
    install("fake-a", edit=edit)
    with pytest.raises(PluginError, match=f"class and manifest disagree: {field} is"):
        Registry.discover().load_method("a")


def test_wording_and_omissions_are_left_to_the_conformance_check(install):
    install("fake-a", edit=("Inverts.", "Turns around."), method=METHOD_ITERATIVE)
    registry = Registry.discover()
    assert registry.load_method("a").info.cost == "iterative"
    fields = [line.split(" is ")[0] for line in registry.method_disagreements("a")]
    assert fields == ["cost", "summary"]


METHOD_ITERATIVE = """
from cerebench.api import Method, MethodInfo

class Invert(Method):
    info = MethodInfo(
        name="a", summary="Inverts.", supervision="none", unit="volume", stages=(), cost="iterative", citation="X"
    )
"""


def test_a_name_taken_by_another_distribution(install):
    install("fake-a", name="same")
    install("fake-b", name="same")
    registry = Registry.discover()
    first, second = [entry for entry in registry.methods() if entry.name == "same"]
    assert (first.source, first.state) == ("fake-a", "ok")
    assert (second.source, second.state) == ("fake-b", "duplicate")
    assert state_of(registry, "fake-a").state == "ok"
    assert state_of(registry, "fake-b").state == "duplicate"
    (warning,) = registry.warnings()
    assert "fake-a" in warning
    assert "fake-b" in warning
    assert registry.load_method("same").__module__ == "fake_a.method"


def test_a_built_in_name_cannot_be_taken(install):
    install("fake-a", name="intensity-threshold")
    registry = Registry.discover()
    assert state_of(registry, "fake-a").state == "duplicate"
    assert registry.load_method("intensity-threshold").__module__.startswith("cerebench_methods")


@pytest.mark.parametrize(("api", "advice"), [("2", "upgrade cerebench"), ("0", "upgrade the plugin")])
def test_another_version_of_the_contract(install, api, advice):
    install("fake-old", edit=("api: 1", f"api: {api}"))
    registry = Registry.discover()
    state = state_of(registry, "fake-old")
    assert state.state == "incompatible"
    assert advice in state.error
    with pytest.raises(PluginError, match=r"fake-old 1\.0 cannot be used: written for API"):
        registry.load_method("old")


def test_blocked_plugins_are_known_but_not_used(install, monkeypatch):
    install("fake-a")
    monkeypatch.setenv("CEREBENCH_BLOCK_PLUGINS", "fake-a, other")
    registry = Registry.discover()
    assert state_of(registry, "fake-a").state == "blocked"
    assert registry.warnings() == []
    assert "a" not in registry.select("method", "all")
    with pytest.raises(PluginError, match="CEREBENCH_BLOCK_PLUGINS names it"):
        registry.load_method("a")


@pytest.mark.parametrize(
    ("allowed", "states"),
    [("", ["blocked", "blocked"]), ("fake-a", ["ok", "blocked"]), ("fake-?", ["ok", "ok"]), (None, ["ok", "ok"])],
)
def test_the_allow_list(install, monkeypatch, allowed, states):
    install("fake-a")
    install("fake-b")
    if allowed is None:
        monkeypatch.delenv("CEREBENCH_PLUGINS")
    else:
        monkeypatch.setenv("CEREBENCH_PLUGINS", allowed)
    registry = Registry.discover()
    assert [state_of(registry, name).state for name in ("fake-a", "fake-b")] == states
    assert state_of(registry, "cerebench").state == "ok"


def test_strict_mode_makes_any_broken_plugin_an_error(install, monkeypatch):
    install("fake-broken", manifest=None)
    assert len(Registry.discover().warnings()) == 1
    monkeypatch.setenv("CEREBENCH_STRICT_PLUGINS", "1")
    with pytest.raises(PluginError, match="fake-broken"):
        Registry.discover()


def test_selection(install):
    install("fake-a", name="net-large")
    install("fake-b", name="net-small")
    install("fake-c", name="other")
    registry = Registry.discover()
    assert registry.select("method", "net-*") == ["net-large", "net-small"]
    assert registry.select("method", ["other", "net-*", "other"]) == ["other", "net-large", "net-small"]
    assert registry.select("method", "net-?mall[width=3,x=[1,2]]") == ["net-small[width=3,x=[1,2]]"]
    assert {"net-large", "other", "intensity-threshold"} <= set(registry.select("method", ["all"]))
    with pytest.raises(UsageError, match="unknown method 'net-smal': did you mean 'net-small'"):
        registry.select("method", "net-smal")
    with pytest.raises(UsageError, match=r"no method matches 'zz\*'"):
        registry.select("method", "zz*")


def test_selection_with_a_broken_plugin(install, monkeypatch):
    install("fake-a", plugin="1 / 0")
    install("fake-b")
    registry = Registry.discover()
    assert registry.select("method", ["?"], load=True) == ["b"]
    assert any("fake-a" in line and "ZeroDivisionError" in line for line in registry.warnings())
    with pytest.raises(PluginError, match="ZeroDivisionError"):
        Registry.discover().select("method", ["a"], load=True)
    monkeypatch.setenv("CEREBENCH_STRICT_PLUGINS", "1")
    with pytest.raises(PluginError, match="ZeroDivisionError"):
        Registry.discover().select("method", ["?"], load=True)


def test_a_method_whose_module_fails_is_left_out_with_a_warning(install):
    install("fake-a", method="1 / 0")
    install("fake-b")
    registry = Registry.discover()
    assert registry.select("method", "?", load=True) == ["b"]
    assert [line for line in registry.warnings() if "'a' of fake-a" in line and "ZeroDivisionError" in line]


def test_an_unreadable_manifest_is_mentioned_where_a_name_is_unknown(install):
    install("fake-a", manifest="methods: [")
    with pytest.raises(UsageError, match=r"unknown method 'a': .*fake-a 1\.0.* may hold it"):
        Registry.discover().load_method("a")


def test_every_built_in_plugin_loads():
    registry = Registry.discover()
    assert {state.state for state in registry.load_all() if state.distribution == "cerebench"} == {"ok"}
    for entry in registry.methods():
        assert registry.load_method(entry.name).info.name == entry.name


def test_manifests_of_the_built_in_methods_tell_the_whole_truth():
    registry = Registry.discover()
    built_in = [entry.name for entry in registry.methods() if entry.source == "cerebench"]
    assert built_in
    assert {name: registry.method_disagreements(name) for name in built_in} == {name: [] for name in built_in}
