"""Methods from local files (``path/to/file.py:MyMethod``), for code that no plugin brings yet."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cerebench.errors import PluginError, UsageError
from cerebench.plugins.entries import LOCAL, MethodEntry
from cerebench.text import did_you_mean

if TYPE_CHECKING:
    from types import ModuleType

    from cerebench.contract.method import Method

LOCAL_PREFIX = "cerebench_local_"
"""Begins the name under which a local file is a module of this process."""

_REFERENCE = re.compile(r"(?P<file>.+\.py)(?::(?P<name>[^:#]*))?(?:#(?P<digest>[0-9a-f]{8}))?")


@dataclass(frozen=True)
class Reference:
    """A class in a file; ``digest`` (8 hex digits, or empty) is the content that the file must have."""

    file: Path
    name: str
    digest: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.name}"


def is_reference(text: str) -> bool:
    """Whether a method is named by a file, with or without the class."""
    return _REFERENCE.fullmatch(text) is not None


def read_reference(text: str) -> Reference:
    """The parts of ``path/to/file.py:MyMethod``, the path made absolute.

    Raises:
        UsageError: there is no such file.
    """
    parts = _REFERENCE.fullmatch(text)
    if parts is None:
        raise UsageError(f"{text!r} is not of the form path/to/file.py:MyMethod")
    file = Path(parts["file"]).expanduser()
    if not file.is_file():
        beside = [path.name for path in file.parent.glob("*.py")] if file.parent.is_dir() else []
        hint = f"; {did_you_mean(file.name, beside)}" if beside else ""
        raise UsageError(f"method {text!r}: there is no file {file}{hint}")
    return Reference(file.resolve(), parts["name"] or "", parts["digest"] or "")


def load_local(reference: Reference) -> tuple[MethodEntry, type[Method]]:
    """The class of a local method, and its line in a listing; the entry's ``version`` is the digest of the file.

    The same content is executed once a process; edited content is executed anew.

    Raises:
        UsageError: the class is not in the file, or is no method.
        PluginError: the file cannot be imported, or has changed since the reference was made.
    """
    content = reference.file.read_bytes()
    digest = hashlib.sha256(content).hexdigest()[:8]
    if reference.digest not in ("", digest):
        raise PluginError(f"{reference.file} has changed since the run began; start the same command again")
    cls = _method(reference, _module(reference.file, content, digest))
    info = cls.info
    entry = MethodEntry(
        name=info.name,
        summary=info.summary,
        source=LOCAL,
        version=digest,
        plugin="",
        state="ok",
        error="",
        target=str(reference),
        task=info.task,
        supervision=info.supervision,
        unit=info.unit,
        training=info.training,
        modalities=tuple(sorted(info.modalities)),
        inputs=tuple(sorted(info.inputs)),
        citation=info.citation,
        reimplementation=info.reimplementation,
        cost=info.cost,
    )
    return entry, cls


def _module(file: Path, content: bytes, digest: str) -> ModuleType:
    """The executed file. Its name tells contents apart, so that keys of results change with the file."""
    from cerebench.plugins.host import guarded

    name = f"{LOCAL_PREFIX}{re.sub(r'[^0-9A-Za-z]', '_', file.stem)}_{digest}"
    known = sys.modules.get(name)
    if known is not None and known.__file__ == str(file):
        return known
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        # not by its loader, which would leave a __pycache__ beside the file
        guarded(str(file), "cannot be imported", lambda: exec(compile(content, str(file), "exec"), module.__dict__))
    except PluginError as error:
        del sys.modules[name]
        raise _with_advice(error, file) from error.__cause__
    return module


def _with_advice(error: PluginError, file: Path) -> PluginError:
    cause = error.__cause__
    wanted = (cause.name or "").partition(".")[0] if isinstance(cause, ModuleNotFoundError) else ""
    if wanted and ((file.parent / f"{wanted}.py").is_file() or (file.parent / wanted).is_dir()):
        return PluginError(
            f"{error}; a local method is one file: put what it needs of {wanted} into it, or make a package with "
            "`bench plugins new`"
        )
    return error


def _method(reference: Reference, module: ModuleType) -> type[Method]:
    from cerebench.contract.info import MethodInfo
    from cerebench.contract.method import Method

    def is_method(value: Any) -> bool:
        return isinstance(value, type) and issubclass(value, Method) and value.__module__ == module.__name__

    names = [name for name, _ in inspect.getmembers(module, is_method)]
    if not reference.name:
        example = names[0] if names else "MyMethod"
        raise UsageError(f"{reference.file}: name the class too: {reference.file.name}:{example}")
    if not hasattr(module, reference.name):
        raise UsageError(f"{reference.file} has no class {reference.name!r}: {did_you_mean(reference.name, names)}")
    found = getattr(module, reference.name)
    if not (isinstance(found, type) and issubclass(found, Method)):
        raise UsageError(
            f"{reference} is {found if isinstance(found, type) else f'of type {type(found).__name__}'}, expected a "
            "class derived from cerebench.api.Method"
        )
    if not isinstance(getattr(found, "info", None), MethodInfo):
        raise UsageError(f"{reference} has no 'info' that is a MethodInfo")
    return found
