"""``bench show``: one method, cohort or protocol in full."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Annotated, Any

import typer

from cerebench.cli.output import print_fields, print_json, print_table
from cerebench.plugins.registry import Registry

app = typer.Typer(help="Show one method, cohort or protocol in full.", no_args_is_help=True, rich_markup_mode=None)

Json = Annotated[bool, typer.Option("--json", help="Print an object.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Public name, as in 'bench list'.")]


@app.command()
def method(name: Name, as_json: Json = False) -> None:
    """Show a method: what it is, its stages and settings with their values by preset, variants, assumptions."""
    registry = Registry.discover()
    shown = describe_method(registry.load_method(name))
    entry = registry.entry("method", name)
    shown |= {"source": entry.source, "version": entry.version}
    if as_json:
        print_json(shown)
        return
    long = ("settings", "presets", "variants", "assumptions", "stages")
    print_fields((key, value) for key, value in shown.items() if key not in long)
    stages = [{**stage, "settings": "all" if (own := stage["settings"]) is None else own} for stage in shown["stages"]]
    _section("stages", stages, ("name", "data", "settings", "shared_as"))
    presets = tuple(shown["presets"])
    settings = [{**row, **{preset: row["presets"][preset] for preset in presets}} for row in shown["settings"]]
    _section("settings", settings, ("name", "type", "default", *presets, "description"))
    variants = [{"name": variant, "settings": values} for variant, values in shown["variants"].items()]
    _section(f"variants, chosen as {name}[variant=NAME]", variants, ("name", "settings"))
    if shown["assumptions"]:
        print("\nassumptions")
        for text in shown["assumptions"]:
            print(f"- {text}")


@app.command()
def cohort(
    name: Name,
    as_json: Json = False,
    cards: Annotated[
        list[Path] | None, typer.Option("--cards", metavar="DIR", help="Folder with further cards; may be repeated.")
    ] = None,
) -> None:
    """Show a cohort: its datasheet, how its files are named and read, its traps, its in-silico twin."""
    registry = Registry.discover(cards=cards or [])
    card = registry.card(name)
    source = registry.entry("cohort", name).source
    if as_json:
        print_json({**card.model_dump(mode="json", exclude_none=True), "source": source})
        return
    from cerebench.datasheet import datasheet

    print(f"{card.title}\n{card.summary}\n")
    for section in datasheet(card):
        if section.title:
            print(f"\n{section.title}")
        print_fields(section.fields)
        for grid in section.grids:
            _section("", [dict(zip(grid.headers, row, strict=True)) for row in grid.rows], grid.headers)
        for point in section.points:
            print(f"- {point}")
    print(f"\nsource: {source}")


@app.command()
def protocol(name: Name, as_json: Json = False) -> None:
    """Show a protocol: what trains, what selects thresholds, what tests, with which metrics and presets."""
    from cerebench.protocol import load_protocol

    registry = Registry.discover()
    path = registry.protocol_file(name)
    document = load_protocol(path).model_dump(mode="json", exclude_none=True)
    document["source"] = registry.entry("protocol", name).source
    if as_json:
        print_json(document)
        return
    import yaml

    print(yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120), end="")


def describe_method(loaded: Any) -> dict[str, Any]:
    """Everything that a method's class says of itself, as plain data; each setting with its value in every preset."""
    info = loaded.info.model_dump(mode="json")
    presets = {preset: loaded.settings_for(preset).model_dump(mode="json") for preset in loaded.presets}
    defaults = loaded.settings_for("").model_dump(mode="json")
    documented = _attributes(loaded.Settings.__doc__ or "")
    settings = [
        {
            "name": field,
            "type": _type_text(description.annotation),
            "default": defaults[field],
            "presets": {preset: values[field] for preset, values in presets.items()},
            "description": description.description or documented.get(field, ""),
        }
        for field, description in loaded.Settings.model_fields.items()
    ]
    info["modalities"], info["inputs"] = sorted(info["modalities"]), sorted(info["inputs"])
    variants = {variant: dict(values) for variant, values in loaded.variants.items()}
    return {**info, "settings": settings, "presets": list(presets), "variants": variants}


def _attributes(docstring: str) -> dict[str, str]:
    """The lines of a docstring's ``Attributes:`` section, continuation lines joined."""
    found: dict[str, str] = {}
    name = ""
    section = inspect.cleandoc(docstring).partition("Attributes:\n")[2].partition("\n\n")[0]
    for line in section.splitlines():
        if start := re.match(r" {4}(\w+): (.*)", line):
            name, found[start[1]] = start[1], start[2]
        elif name:
            found[name] += f" {line.strip()}"
    return {name: text.replace("``", "") for name, text in found.items()}


def _type_text(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation).replace("typing.", "")


def _section(title: str, rows: list[dict[str, Any]], columns: tuple[str, ...]) -> None:
    if rows:
        print(f"\n{title}".rstrip())
        used = [column for column in columns if any(row.get(column) not in ("", None) for row in rows)]
        print_table(rows, used, "")
