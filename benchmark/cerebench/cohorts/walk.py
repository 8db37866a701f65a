"""Listing the files of a folder: sorted, once, without leaving the folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Files:
    """Relative POSIX paths of the files below a root, sorted; ``outside`` are links that lead out of it."""

    paths: tuple[str, ...]
    outside: tuple[str, ...]


def list_files(root: Path) -> Files:
    """Files below ``root``. Hidden names (among them the ``._`` companions of macOS) are passed over.

    Linked folders are not entered; a linked file counts only if its target lies below ``root``.
    """
    base = root.resolve()
    paths, outside = [], []
    for folder, folders, files in os.walk(root):
        prefix = Path(folder).relative_to(root).as_posix()
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in files:
            if name.startswith("."):
                continue
            relative = name if prefix == "." else f"{prefix}/{name}"
            path = os.path.join(folder, name)  # noqa: PTH118  (pathlib is slow over many thousand files)
            if os.path.islink(path) and not Path(path).resolve().is_relative_to(base):  # noqa: PTH114
                outside.append(relative)
            else:
                paths.append(relative)
        outside += [
            name if prefix == "." else f"{prefix}/{name}"
            for name in folders
            if os.path.islink(os.path.join(folder, name))  # noqa: PTH114, PTH118
        ]
    return Files(tuple(sorted(paths)), tuple(sorted(outside)))
