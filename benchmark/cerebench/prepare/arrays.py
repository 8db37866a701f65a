"""``.npy`` files as memory-mapped arrays that do not know their path and cannot be written back."""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def save_array(path: Path, array: Array) -> None:
    """Write an array so that axial slices ``[..., k]`` are contiguous on disk (Fortran order), and flush it."""
    with path.open("wb") as stream:
        np.save(stream, np.asfortranarray(array), allow_pickle=False)
        stream.flush()
        os.fsync(stream.fileno())


def map_array(path: Path) -> Array:
    """The array as a private mapping: pages are read when touched, and writes stay in this process's memory.

    Unlike ``numpy.memmap`` the result carries no file name, so that a method cannot find what lies beside it.

    Raises:
        ValueError: no ``.npy`` file, one of Python objects, or one shorter than its header says.
        OSError: the file cannot be opened.
    """
    with path.open("rb") as stream:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, kind = read(stream)
        if kind.hasobject:
            raise ValueError("Python objects are not read")
        buffer = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY)
        flat = np.frombuffer(buffer, dtype=kind, count=int(np.prod(shape)), offset=stream.tell())
    return flat.reshape(shape, order="F" if fortran else "C")
