"""Files of an explanation: sheet, plot of slice scores, numbers; names that are safe anywhere."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cerebench.errors import UsageError
from cerebench.explain.pictures import IGNORED, LESION, around, sheet
from cerebench.explain.plot import score_plot
from cerebench.jsonio import digest, write_json

if TYPE_CHECKING:
    from PIL.Image import Image

    from cerebench.explain.predict import Explained
    from cerebench.explain.target import Target

SHEET, PLOT, NUMBERS = "sheet.png", "slice-scores.png", "numbers.json"
LONGEST = 100


def safe_name(text: str) -> str:
    """A file name from any words: letters, digits, ``.``, ``_`` and ``-``; distinct words stay distinct."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip(".-")[:LONGEST]
    return name if name and name == text else f"{name or 'x'}-{digest(text, 6)}"


def folder_of(out: Path, target: Target) -> Path:
    """Where the files of a target go: a folder of its own below ``out``."""
    name = target.cell.identity
    row = f"{name.method}[{name.variant}]" if name.variant else name.method
    words = [row, name.cohort, name.modality, f"seed{name.seed}", target.case.id]
    return out / "_".join(safe_name(word) for word in words)


def check_free(folder: Path, force: bool) -> None:
    """Refuse to overwrite.

    Raises:
        UsageError: a file is there already and ``force`` was not given, or the place is no folder.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file; give another --out folder")
    there = [name for name in (SHEET, PLOT, NUMBERS) if (folder / name).exists()]
    if there and not force:
        raise UsageError(f"{folder / there[0]} is there already; use --force to replace it, or another --out folder")


def write(
    folder: Path, explained: Explained, target: Target, found: dict[str, Any], normal: Sequence[float]
) -> list[Path]:
    """Write everything; returns the files."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        cell = target.cell.identity
        at = [level.index for level in explained.levels]
        box = (slice(None), *around(explained.region[..., at].transpose(2, 0, 1)))
        outlines = [
            (mask[..., at].transpose(2, 0, 1)[box], colour)
            for mask, colour in ((explained.lesion, LESION), (explained.ignored, IGNORED))
        ]
        pictures = {name: planes[box] for name, planes in explained.pictures.items()}
        row = f"{cell.method}[{cell.variant}]" if cell.variant else cell.method
        title = f"{row} on {cell.cohort} {cell.modality}, case {target.case.id} ({cell.provenance})"
        where = f"{cell.protocol} v{cell.protocol_version}, preset {cell.preset}, seed {cell.seed}; left is left"
        lines = [title, where, _figures(explained, found)]
        files = {SHEET: sheet(pictures, explained.levels, outlines, explained.spacing, lines)}
        if explained.slice_scores:
            with_lesion = [int(each["index"]) for each in found["slices"] if each["lesion"]]
            threshold = explained.thresholds.slice
            files[PLOT] = score_plot(explained.slice_scores, with_lesion, normal, threshold, title)
        else:
            (folder / PLOT).unlink(missing_ok=True)
        for file, picture in files.items():
            _save(folder / file, picture)
        write_json(folder / NUMBERS, found)
    except OSError as error:
        raise UsageError(f"{folder} cannot be written ({error.strerror or error}); give another --out folder") from None
    return [folder / file for file in (*files, NUMBERS)]


def _figures(explained: Explained, found: dict[str, Any]) -> str:
    parts = [] if explained.score is None else [f"case score {explained.score:.4g}"]
    rank = found["score_rank_among_healthy_validation_cases"]
    if rank is not None:
        parts.append(f"above {rank:.0%} of healthy validation cases")
    parts += [f"{label} {found['metrics'][key]:.3f}" for key, label in _SHOWN.items() if key in found["metrics"]]
    return "; ".join(parts) or "no figure"


_SHOWN = {"voxel/raw/ap": "AP", "voxel/raw/best_dice": "best Dice", "case/lesion_ml": "lesion ml"}


def _save(path: Path, picture: Image) -> None:
    stream = io.BytesIO()
    picture.save(stream, format="PNG", compress_level=6)
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_bytes(stream.getvalue())
    temporary.replace(path)
