"""Checks on what a method says about itself. They train nothing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from cerebench.contract.info import MethodInfo
from cerebench.contract.method import Method
from cerebench.errors import PluginError
from cerebench.plugins.local_methods import LOCAL_PREFIX
from cerebench.plugins.manifest import find_manifest, read_manifest
from cerebench.testing.outcome import Broken, NotApplicable, require


def check_declaration(cls: type[Method]) -> str:
    """``info`` is complete and every declared stage exists."""
    info = getattr(cls, "info", None)
    require(isinstance(info, MethodInfo), f"{cls.__name__}.info is {type(info).__name__}, expected a MethodInfo")
    assert isinstance(info, MethodInfo)
    require(bool(info.summary.strip()), "info.summary is empty: say in one sentence what the method does")
    require(cls.predict is not Method.predict, "predict is not implemented")
    names = [stage.name for stage in info.stages]
    require(len(set(names)) == len(names), f"info.stages names a stage twice: {names}")
    require(
        bool(names) == (info.supervision != "none"),
        f"supervision is {info.supervision!r} but there are {len(names)} training stages",
    )
    for stage in info.stages:
        implemented = getattr(cls, stage.name, None)
        missing = not callable(implemented) or implemented in (Method.fit, Method.predict)
        require(not missing, f"stage {stage.name!r} is declared but the class has no method of that name")
        unknown = sorted(set(stage.settings or ()) - set(cls.Settings.model_fields))
        require(not unknown, f"stage {stage.name!r} depends on settings that do not exist: {unknown}")
        labels = stage.data == "labelled" and info.supervision != "labels"
        require(not labels, f"stage {stage.name!r} asks for labelled data, but supervision is {info.supervision!r}")
    return f"{len(names)} training stages" + (f": {', '.join(names)}" if names else "")


def check_manifest(cls: type[Method]) -> str:
    """The static manifest of the class's package says the same as the class."""
    if cls.__module__.startswith(LOCAL_PREFIX):
        raise NotApplicable("a local file has no manifest")
    try:
        path = find_manifest(cls.__module__)
    except PluginError as error:
        raise NotApplicable(str(error)) from None
    manifest = read_manifest(path)
    require(not manifest.problems, "; ".join(manifest.problems))
    items = {item.name: item for item in manifest.methods}
    if cls.info.name not in items:
        raise Broken(f"{path.name} does not list {cls.info.name!r} (it lists {', '.join(items) or 'no method'})")
    module, _, name = items[cls.info.name].target.partition(":")
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    require(found is cls, f"{path.name}: target {module}:{name} is not {cls.__module__}:{cls.__qualname__}")
    for key, written in items[cls.info.name].data.items():
        if key == "target":
            continue
        said = getattr(cls.info, key)
        agrees = sorted(said) == sorted(written) if isinstance(said, frozenset) else said == written
        require(agrees, f"{path.name} says {key} is {written!r}, the class says {said!r}")
    return Path(path).name


def check_settings(cls: type[Method]) -> str:
    """Presets and variants are valid, and settings survive JSON."""
    named = {**{f"preset {key!r}": value for key, value in cls.presets.items()}}
    named |= {f"variant {key!r}": value for key, value in cls.variants.items()}
    for what, values in {"defaults": {}, **named}.items():
        try:
            settings = cls.settings_for("", values)
        except Exception as error:
            raise Broken(f"{what}: {error}") from None
        again = cls.Settings.model_validate_json(settings.model_dump_json())
        require(again == settings, f"{what} do not survive JSON: {settings!r} became {again!r}")
    return f"{len(cls.presets)} presets, {len(cls.variants)} variants"
