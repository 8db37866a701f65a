"""Holds a method's class against the metadata that its manifest promises."""

from __future__ import annotations

from typing import Any

from cerebench.contract.info import MethodInfo
from cerebench.plugins.manifest import Item

_FACTS = ("name", "task", "supervision", "unit", "training", "modalities", "inputs", "cost", "reimplementation")
_WORDS = ("summary", "citation")


def method_disagreements(item: Item, loaded: Any, complete: bool) -> list[str]:
    """Fields in which class and manifest differ.

    Args:
        item: the method's lines in the manifest.
        loaded: the class.
        complete: also compare the wording of summary and citation, and take a fact that the manifest leaves out as its
            default. Otherwise only the facts that the manifest states are compared.
    """
    info = getattr(loaded, "info", None)
    if not isinstance(info, MethodInfo):
        return [f"{item.target!r} has no 'info' that is a MethodInfo"]
    found = []
    for field in (*_FACTS, *(_WORDS if complete else ())):
        if field not in item.data and (not complete or field in _WORDS):
            continue
        default = MethodInfo.model_fields[field].default
        promised = item.data.get(field, default)
        actual = getattr(info, field)
        if isinstance(actual, frozenset):
            promised, actual = sorted(promised), sorted(actual)
        if promised != actual:
            found.append(f"{field} is {promised!r} in the manifest, {actual!r} in the class")
    return found
