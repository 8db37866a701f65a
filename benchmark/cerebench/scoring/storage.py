"""Sketches of a cell in one ``npz`` file: no pickle, the same bytes for the same sketches."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cerebench.errors import DataError
from cerebench.scoring.counting import CodeCounts
from cerebench.scoring.sketch import ScoreSketch

FORMAT = 1
_EPOCH = (1980, 1, 1, 0, 0, 0)


def save_sketches(path: Path | str, sketches: Mapping[str, ScoreSketch]) -> None:
    """Write sketches by key (such as ``caseid/raw``); keys are stored sorted, so that order does not change the file.

    The file is written in place: callers who need atomicity write to a temporary name and rename.
    """
    keys = sorted(sketches)
    parts = [sketches[key].counts for key in keys]
    columns: dict[str, npt.NDArray[Any]] = {
        "format": np.array([FORMAT], np.int64),
        "keys": np.frombuffer("\n".join(keys).encode(), np.uint8),
        "lengths": np.array([part.codes.size for part in parts], np.int64),
    }
    if any("\n" in key or not key for key in keys):
        raise ValueError("a sketch's key is empty or holds a line break: use keys such as 'caseid/raw'")
    for name in CodeCounts._fields:
        arrays = [getattr(part, name) for part in parts]
        columns[name] = _narrow(np.concatenate(arrays) if arrays else np.empty(0, np.uint32))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, array in columns.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, array, allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=_EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3
            archive.writestr(entry, buffer.getvalue())


def _narrow(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Counts almost always fit 32 bits."""
    if array.size == 0 or array.max() < 2**32:
        return array.astype("<u4")
    return array.astype("<i8")


def load_sketches(path: Path | str) -> dict[str, ScoreSketch]:
    """Sketches by key, as written by :func:`save_sketches`.

    Raises:
        DataError: the file is missing, truncated or not a file of sketches.
    """
    try:
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as archive:
            columns = {name: archive[name] for name in ("format", "keys", "lengths", *CodeCounts._fields)}
        if int(columns["format"][0]) != FORMAT:
            raise DataError(
                f"{path}: sketches of format {int(columns['format'][0])}, expected {FORMAT}: score it again"
            )
        keys = columns["keys"].tobytes().decode().split("\n") if columns["keys"].size else []
        ends = np.cumsum(columns["lengths"])
        if len(keys) != ends.size or any(columns[name].size != ends[-1:].sum() for name in CodeCounts._fields):
            raise ValueError("lengths disagree")
        found = {}
        for key, end, length in zip(keys, ends, columns["lengths"], strict=True):
            found[key] = ScoreSketch.from_arrays(
                {name: columns[name][end - length : end] for name in CodeCounts._fields}
            )
        return found
    except (OSError, ValueError, KeyError, IndexError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            f"{path}: not a readable file of sketches ({error}): delete the cell's folder and run it again"
        ) from None
