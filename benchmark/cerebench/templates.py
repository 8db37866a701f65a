"""Where the MNI152 2009a template lies that nilearn ships; found without importing nilearn, which takes seconds."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from cerebench.errors import DataError

Map = Literal["t1", "gm", "wm"]

TEMPLATE_NAME = "MNI152 2009a nonlinear symmetric, 1 mm, brain only, as bundled with nilearn"
TEMPLATE_FILES: dict[Map, str] = {
    "t1": "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz",
    "gm": "mni_icbm152_gm_tal_nlin_sym_09a_converted.nii.gz",
    "wm": "mni_icbm152_wm_tal_nlin_sym_09a_converted.nii.gz",
}
"""Map → file: T1 of the brain, and fractions of grey and white matter; uint8, 0 to 255."""


def template_folder() -> Path:
    """Folder of nilearn's bundled templates.

    Raises:
        DataError: nilearn is not installed, or no longer ships them there.
    """
    spec = find_spec("nilearn")
    folder = Path(spec.origin).parent / "datasets" / "data" if spec and spec.origin else None
    if folder is None or not all((folder / name).is_file() for name in TEMPLATE_FILES.values()):
        raise DataError(
            f"the MNI152 2009a template was not found in {folder or 'nilearn (not installed)'}; "
            "expected the data bundled with nilearn>=0.12: install it again"
        )
    return folder


def template_file(kind: Map) -> Path:
    """One map of the template.

    Raises:
        DataError: as :func:`template_folder`.
    """
    return template_folder() / TEMPLATE_FILES[kind]
