"""YAML files checked against a pydantic model, with errors that name file, line and field."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from cerebench.errors import UsageError
from cerebench.yamlio import SAFE_LOADER

Model = TypeVar("Model", bound=BaseModel)
Location = Sequence[int | str]


def load_model(path: Path, model: type[Model]) -> Model:
    """Read one YAML file into a pydantic model.

    Raises:
        UsageError: the file is absent, not YAML, repeats a key, or does not fit the model; the sentence names file,
            line and field.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read as a text file: {_reason(error)}") from None
    root, data = _parse(path, text)
    if root is None or not isinstance(data, dict):
        raise UsageError(f"{path}, line 1: expected a mapping of field names to values, found {_kind(data)}")
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise UsageError(_explain(path, root, model, error)) from None


def _parse(path: Path, text: str) -> tuple[yaml.Node | None, Any]:
    loader = SAFE_LOADER(text)
    try:
        root: yaml.Node | None = loader.get_single_node()
        if root is None:
            return None, None
        for key in _repeated_keys(root):
            raise UsageError(f"{path}, line {key.start_mark.line + 1}, {key.value}: the field is given twice; keep one")
        return root, loader.construct_document(root)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise UsageError(f"{path}{line}: not valid YAML: {problem}") from None
    finally:
        loader.dispose()


def _repeated_keys(node: yaml.Node, seen: set[int] | None = None) -> Iterator[yaml.ScalarNode]:
    seen = set() if seen is None else seen
    if id(node) in seen:  # an alias: already walked, and possibly recursive
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        names: set[str] = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in names:
                    yield key
                names.add(key.value)
            yield from _repeated_keys(value, seen)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _repeated_keys(item, seen)


def _explain(path: Path, root: yaml.Node, model: type[BaseModel], error: ValidationError) -> str:
    faults = error.errors()
    # a misspelt field is also a missing one: the spelling says more
    first = next((fault for fault in faults if fault["type"] == "extra_forbidden"), faults[0])
    location = [part for part in first["loc"] if part != "[key]"]
    field = ".".join(str(part) for part in location)
    line = _line(root, location)
    where = f"{path}, line {line}, {field}" if field else f"{path}, line {line}"
    more = f" ({len(faults) - 1} more in this file)" if len(faults) > 1 else ""
    if first["type"] == "missing":
        return f"{where}: the field is missing{more}"
    if first["type"] == "extra_forbidden":
        return f"{where}: unknown field{_known(model, location)}{more}"
    problem = first["msg"].removeprefix("Value error, ")
    problem = problem[:1].lower() + problem[1:]
    if first["type"] == "value_error":
        return f"{where}: {problem}{more}"
    return f"{where}: {problem}, found {first['input']!r:.80}{more}"


def _line(root: yaml.Node, location: Location) -> int:
    """Line of the deepest node on the way to ``location``: a missing field is reported at its parent."""
    node, line = root, root.start_mark.line
    for part in location:
        if isinstance(node, yaml.MappingNode):
            pairs = [(key, value) for key, value in node.value if key.value == str(part)]
            if not pairs:
                break
            line, node = pairs[0][0].start_mark.line, pairs[0][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line
        else:
            break
    return line + 1


def _known(model: type[BaseModel], location: Location) -> str:
    """``: known fields are …`` for the model that refused the last part of ``location``."""
    import difflib

    current: Any = model
    for part in location[:-1]:
        if isinstance(part, str) and isinstance(current, type) and issubclass(current, BaseModel):
            current = _unwrap(_aliases(current).get(part))
    if not (isinstance(current, type) and issubclass(current, BaseModel)):
        return ""
    names = sorted(_aliases(current))
    near = difflib.get_close_matches(str(location[-1]), names, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; known fields are: {', '.join(names)}"


def _aliases(model: type[BaseModel]) -> dict[str, Any]:
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def _unwrap(annotation: Any) -> Any:
    """The model inside ``X | None``, ``tuple[X, ...]`` and the like; the annotation itself where there is none."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType, tuple, list):
        for argument in typing.get_args(annotation):
            found = _unwrap(argument)
            if isinstance(found, type) and issubclass(found, BaseModel):
                return found
    return annotation


def _kind(data: Any) -> str:
    return "nothing" if data is None else f"a {type(data).__name__}"


def _reason(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else "it is not UTF-8"
