"""The grid of a protocol as variants of the selected methods."""

from __future__ import annotations

from typing import ClassVar

import pytest

from cerebench.api import Method, MethodInfo, MethodSettings
from cerebench.errors import UsageError
from cerebench.plan.model import Selected
from cerebench.protocol import Protocol
from cerebench.search.grid import combinations, with_grids


class Toy(Method):
    """Two settings."""

    info = MethodInfo(name="toy", summary="Toy.", supervision="none")

    class Settings(MethodSettings):
        """Two settings."""

        width: int = 4
        score: str = "a"

    presets: ClassVar = {"quick": {"width": 2}}


def protocol(**search: object) -> Protocol:
    preset = {"spacing_mm": 4}
    return Protocol.model_validate(
        {"schema": 1, "name": "p", "version": 1, "title": "P", "summary": "P.", "presets": {"quick": preset}}
        | {"search": search}
    )


def names(grid: Protocol, *selected: Selected) -> list[str]:
    return [one.variant for one in with_grids({"p": list(selected)}, {"p": grid})["p"]]


def test_every_combination_but_the_one_that_is_there() -> None:
    grid = protocol(toy={"width": [2, 8], "score": ["a", "b"]})
    assert names(grid, Selected(Toy, {}, "")) == ["", "score=b,width=2", "score=a,width=8", "score=b,width=8"]
    assert combinations({}) == []


def test_settings_of_the_selection_stay_and_equal_variants_run_once() -> None:
    grid = protocol(toy={"score": ["a", "b"]})
    plain, wide = Selected(Toy, {}, ""), Selected(Toy, {"width": 9}, "width=9")
    assert names(grid, plain, wide) == ["", "width=9", "score=b", "width=9,score=b"]
    assert names(grid, plain, Selected(Toy, {"score": "b"}, "score=b")) == ["", "score=b"]


def test_other_methods_have_no_grid() -> None:
    assert names(protocol(other={"score": ["b"]}), Selected(Toy, {}, "")) == [""]


def test_unknown_settings_and_empty_grids_are_refused() -> None:
    with pytest.raises(UsageError, match="widht"):
        names(protocol(toy={"widht": [2]}), Selected(Toy, {}, ""))
    with pytest.raises(ValueError, match="at least 1 item"):
        protocol(toy={"width": []})
