"""Writes a new package."""

from __future__ import annotations

import shutil
from importlib.resources import as_file, files
from pathlib import Path

import cerebench
from cerebench.errors import UsageError
from cerebench.plugins.registry import Registry
from cerebench.scaffold.names import Kind, check_name, class_name, package_name

_SUFFIX = ".in"
_HIDDEN = {"github": ".github", "gitignore": ".gitignore"}
_SUMMARIES: dict[Kind, str] = {
    "method": "A small convolutional network; what it cannot restore is abnormal.",
    "cohort": "Patients with lesions that an expert outlined.",
}


def new_package(name: str, kind: Kind, folder: Path, registry: Registry) -> list[Path]:
    """Write the package ``folder/name`` and return its files, relative to ``folder``.

    Args:
        name: of the distribution, the plugin, and the method or cohort.
        kind: what it brings.
        folder: an existing folder.
        registry: knows which names are taken.

    Raises:
        UsageError: the name is malformed or taken, the folder is there already, or cannot be written.
    """
    check_name(name, kind, registry)
    target = folder / name
    if not folder.is_dir():
        raise UsageError(f"--dir {folder} is no folder; make it first, or name another")
    if target.exists():
        raise UsageError(f"{target} is already there: choose another name or --dir, or delete it")
    words = {
        "name": name,
        "package": package_name(name),
        "class": class_name(name),
        "summary": _SUMMARIES[kind],
        "version": cerebench.__version__,
    }
    partial = folder / f".{name}.partial"
    try:
        shutil.rmtree(partial, ignore_errors=True)
        with as_file(files("cerebench.scaffold") / "templates") as templates:
            for part in ("common", kind):
                for source in sorted((templates / part).rglob(f"*{_SUFFIX}")):
                    place = partial / _place(source.relative_to(templates / part), words)
                    place.parent.mkdir(parents=True, exist_ok=True)
                    place.write_text(_filled(source.read_text(encoding="utf-8"), words), encoding="utf-8")
        partial.rename(target)
    except OSError as error:
        raise UsageError(f"{target} cannot be written ({error.strerror or error}): choose another --dir") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return sorted(path.relative_to(folder) for path in target.rglob("*") if path.is_file())


def _place(template: Path, words: dict[str, str]) -> Path:
    names = {**_HIDDEN, "package": words["package"], "card.yaml": f"{words['name']}.yaml"}
    parts = [*template.parts[:-1], template.name.removesuffix(_SUFFIX)]
    return Path(*(names.get(part, part) for part in parts))


def _filled(text: str, words: dict[str, str]) -> str:
    for word, value in words.items():
        text = text.replace(f"@{word}@", value)
    return text
