"""From a protocol's ``search`` to the variants to run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cerebench.plan.model import Selected
    from cerebench.protocol import Protocol


def with_grids(
    chosen: Mapping[str, list[Selected]], protocols: Mapping[str, Protocol], preset: str | None = None
) -> dict[str, list[Selected]]:
    """The selected methods of every protocol, and behind them the combinations that its ``search`` lists for them.

    A method that was selected with settings of its own keeps them under those of the grid. The combination that equals
    the method as it was selected, at ``preset`` or the protocol's default one, is not run twice.

    Raises:
        UsageError: ``search`` names an unknown setting, or a value that the setting does not take.
    """
    found: dict[str, list[Selected]] = {}
    for name, methods in chosen.items():
        protocol = protocols[name]
        found[name] = list(methods)
        known = {_identity(protocol, preset, one) for one in methods}
        for one in methods:
            for values in combinations(protocol.search.get(one.cls.info.name, {})):
                words = ",".join(f"{key}={value}" for key, value in sorted(values.items()))
                variant = ",".join(filter(None, [one.variant, words]))
                other = replace(one, overrides={**one.overrides, **values}, variant=variant)
                identity = _identity(protocol, preset, other)
                if identity not in known:
                    known.add(identity)
                    found[name].append(other)
    return found


def combinations(grid: Mapping[str, tuple[Any, ...]]) -> list[dict[str, Any]]:
    """Every combination of the values of a grid; none for an empty grid."""
    return [dict(zip(grid, values, strict=True)) for values in product(*grid.values())] if grid else []


def _identity(protocol: Protocol, preset: str | None, one: Selected) -> tuple[str, str, str]:
    settings = one.cls.settings_for(protocol.preset(preset)[0], one.overrides)
    return one.cls.info.name, one.local, settings.model_dump_json()
