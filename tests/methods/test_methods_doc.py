"""The example of docs/methods.md is a method that conforms, and every built-in method is in its table."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from cerebench.testing import assert_conforms
from cerebench_methods.plugin import METHODS

TEXT = (Path(__file__).parents[2] / "docs" / "methods.md").read_text(encoding="utf-8")


def test_example_conforms() -> None:
    example = next(block for block in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL) if "class " in block)
    names: dict[str, Any] = {"__name__": "example"}

    exec(compile(example, "docs/methods.md", "exec"), names)

    assert_conforms(names["MeanIntensity"])


def test_every_builtin_method_is_described() -> None:
    assert set(re.findall(r"^\| `([a-z:-]+)` \|", TEXT, re.MULTILINE)) == set(METHODS)
