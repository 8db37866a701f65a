"""Files of a diagnosis: ``diagnosis.json`` and a PNG a picture."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cerebench.contract.diagnosis import Panels, Scatter
from cerebench.errors import UsageError
from cerebench.explain.write import safe_name
from cerebench.jsonio import write_json

if TYPE_CHECKING:
    from cerebench.diagnose.subject import Subject

NUMBERS = "diagnosis.json"


def folder_of(out: Path, subject: Subject) -> Path:
    """Where the files of a row go: a folder of its own below ``out``."""
    name = subject.jobs[0].evaluations[0].identity
    row = f"{name.method}[{name.variant}]" if name.variant else name.method
    return out / "_".join(safe_name(word) for word in (row, name.protocol, name.preset, f"seed{name.seed}"))


def check_free(folder: Path, force: bool) -> None:
    """Refuse to overwrite.

    Raises:
        UsageError: a diagnosis is there already and ``force`` was not given, or the place is no folder.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file; give another --out folder")
    if (folder / NUMBERS).exists() and not force:
        raise UsageError(f"{folder / NUMBERS} is there already; use --force to replace it, or another --out folder")


def write(folder: Path, content: dict[str, Any], pictures: Mapping[str, Panels | Scatter], force: bool) -> list[Path]:
    """Write everything; returns the files. A replaced diagnosis takes its pictures with it.

    Raises:
        UsageError: the folder cannot be written.
    """
    from cerebench.diagnose.pictures import draw

    row = f"{content['method']}[{content['variant']}]" if content["variant"] else content["method"]
    files = {f"{safe_name(name)}.png": (name, picture) for name, picture in pictures.items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if force:
            for old in folder.glob("*.png"):
                old.unlink()
        for file, (name, picture) in files.items():
            stream = io.BytesIO()
            draw(picture, f"{row}: {name}").save(stream, format="PNG", compress_level=6)
            (folder / file).write_bytes(stream.getvalue())
        write_json(folder / NUMBERS, content)
    except OSError as error:
        raise UsageError(f"{folder} cannot be written ({error.strerror or error}); give another --out folder") from None
    return [folder / file for file in (*files, NUMBERS)]
