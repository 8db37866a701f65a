"""docs/protocols.md: its example is a protocol, and every field is explained with its default."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import BaseModel

from cerebench import protocol as schema

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "protocols.md").read_text(encoding="utf-8")
SECTIONS: dict[str, type[BaseModel]] = {
    "Protocol": schema.Protocol,
    "Train": schema.Training,
    "Select": schema.Selection,
    "Test": schema.Testing,
    "Splits": schema.Splits,
    "Preset": schema.Preset,
    "Twins": schema.Twin,
    "Bootstrap": schema.Bootstrap,
}


def rows(title: str) -> dict[str, str]:
    """Field → default as the page has them."""
    part = TEXT.split(f"### {title}\n")[1].split("\n#")[0]
    found = {}
    for line in part.splitlines():
        if line.startswith("| `"):
            _, names, default, *_ = line.split("|")
            found |= dict.fromkeys(re.findall(r"`(\w+)`", names), default.strip())
    return found


@pytest.mark.parametrize("title", SECTIONS)
def test_every_field_is_explained(title: str) -> None:
    fields = SECTIONS[title].model_fields
    assert set(rows(title)) == {field.alias or name for name, field in fields.items()}


@pytest.mark.parametrize("title", SECTIONS)
def test_defaults_are_right(title: str) -> None:
    for name, field in SECTIONS[title].model_fields.items():
        said = rows(title)[field.alias or name]
        assert (said == "required") == field.is_required(), name
        if isinstance(field.default, bool):
            assert said == f"`{str(field.default).lower()}`", name
        elif isinstance(field.default, (int, float)):
            assert float(said) == field.default, name
        elif isinstance(field.default, str) and field.default:
            assert said == f"`{field.default}`", name


def test_split_defaults_are_right() -> None:
    for name, default in rows("Splits").items():
        said = {role: float(share) for role, share in re.findall(r"(\w+) ([\d.]+)", default)}
        assert said == getattr(schema.Splits(), name)


def test_example_is_a_protocol(tmp_path: Path, blocks: Callable[[str, str], list[str]]) -> None:
    (example,) = blocks(TEXT, "yaml")
    (tmp_path / "protocol.yaml").write_text(example, encoding="utf-8")
    protocol = schema.load_protocol(tmp_path / "protocol.yaml")
    assert protocol.test.modalities == ("t2", "flair")
    assert protocol.preset(None)[1].ranked is False
