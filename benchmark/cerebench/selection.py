"""From the words of a request to methods and cohorts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cerebench.errors import BenchError, UsageError
from cerebench.plugins.registry import Registry
from cerebench.protocol import Protocol
from cerebench.request import Display
from cerebench.text import did_you_mean, parse_selection, split_list

if TYPE_CHECKING:
    from cerebench.contract.method import Method
    from cerebench.plan.model import Selected


def patterns(value: str | Sequence[str]) -> list[str]:
    """Patterns of a comma-separated text, or of a sequence."""
    return split_list(value) if isinstance(value, str) else list(value)


def select_cohorts(wanted: str | Sequence[str], registry: Registry, display: Display) -> list[str]:
    """Selected cohorts; one that only a glob brought in is left out with a warning if its card is malformed.

    Raises:
        UsageError: an unknown name, or a malformed card that was named.
    """
    asked = patterns(wanted)
    chosen = []
    for name in registry.select("cohort", asked):
        try:
            registry.card(name)
        except BenchError as error:
            if name in asked:
                raise
            display.warn(f"cohort {name!r} is left out: {error}")
            continue
        chosen.append(name)
    return chosen


def select_methods(wanted: str | Sequence[str], registry: Registry, protocol: Protocol) -> list[Selected]:
    """Selected methods of the protocol's task with their settings; ``variant=NAME`` stands for a named configuration.

    Raises:
        UsageError: an unknown name, setting or variant, or a method that was named does another task.
        PluginError: a method that was named belongs to a broken plugin.
    """
    from cerebench.plan.model import Selected

    asked = patterns(wanted)
    exact = {pattern.partition("[")[0] for pattern in asked}
    chosen = []
    for text in registry.select("method", asked, load=True):
        name, overrides = parse_selection(text)
        cls = registry.load_method(name)
        values = _settings(cls, overrides)
        cls.settings_for(protocol.default_preset, values)
        words = ",".join(f"{key}={value}" for key, value in sorted(overrides.items()))
        if cls.info.task == protocol.task:
            chosen.append(Selected(cls, values, words))
        elif name in exact:
            raise UsageError(
                f"method {name!r} does {cls.info.task}, protocol {protocol.name!r} asks for {protocol.task}; "
                "choose another protocol or method"
            )
    return chosen


def _settings(cls: type[Method], overrides: dict[str, Any]) -> dict[str, Any]:
    """Overrides with a named configuration spelt out."""
    if "variant" not in overrides or "variant" in cls.Settings.model_fields:
        return overrides
    name = str(overrides["variant"])
    if name not in cls.variants:
        raise UsageError(f"method {cls.info.name!r} has no variant {name!r}: {did_you_mean(name, cls.variants)}")
    rest = {key: value for key, value in overrides.items() if key != "variant"}
    return {**cls.variants[name], **rest}
