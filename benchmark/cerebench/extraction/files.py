"""Writing results: NIfTI bytes that depend on content alone, every file whole or absent."""

from __future__ import annotations

import gzip
import hashlib
import os
import uuid
from pathlib import Path
from typing import Any

import numpy as np

from cerebench.errors import UsageError

Array = np.ndarray[Any, Any]

_COMPRESSION = 4


def nifti_bytes(data: Array, affine: Array, compressed: bool, space: str = "mni") -> bytes:
    """A NIfTI-1 file.

    Args:
        data: ``[X, Y, Z]``.
        affine: 4x4, RAS+ mm.
        compressed: gzip, without name and time.
        space: of the affine, as NIfTI calls it: ``mni`` or ``scanner``.
    """
    import nibabel as nib

    image: Any = nib.Nifti1Image(data, affine)  # type: ignore[no-untyped-call]
    image.header.set_xyzt_units("mm", "sec")
    image.set_sform(affine, code=space)
    image.set_qform(affine, code=space)
    content: bytes = image.to_bytes()
    return gzip.compress(content, compresslevel=_COMPRESSION, mtime=0) if compressed else content


def write_bytes(path: Path, content: bytes) -> dict[str, Any]:
    """Write a file so that it is there whole or not at all; folders are made.

    Returns:
        ``{"sha256": …, "bytes": …}``.

    Raises:
        UsageError: the disk does not take it.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written ({error.strerror or error}): make room or choose another --out"
        ) from error
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
