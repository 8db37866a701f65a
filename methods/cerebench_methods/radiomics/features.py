"""Radiomics features of an outlined lesion by mirp, which follows the IBSI reference; kept by content."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import tempfile
import warnings
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cerebench.api import MethodError, cache_root

if TYPE_CHECKING:
    import numpy as np

FAMILIES = ("morphology", "statistics", "glcm", "glrlm", "glszm", "ngtdm")
PREFIXES = ("morph_", "stat_", "cm_", "rlm_", "szm_", "ngt_")
POWERS = {
    **dict.fromkeys(("morph_volume", "morph_vol_approx", "morph_integ_int"), 3),
    "morph_area_mesh": 2,
    "morph_av": -1,
    **dict.fromkeys(("morph_com", "morph_diam", "morph_pca_maj_axis", "morph_pca_min_axis", "morph_pca_least_axis"), 1),
}
"""Feature → power of length in its unit: mirp takes arrays to have voxels of 1 mm."""
_MARGIN = 2


def radiomic_features(
    image: np.ndarray[Any, Any], lesion: np.ndarray[Any, Any], spacing_mm: float, bins: int = 32
) -> dict[str, float]:
    """First-order, shape and texture features of a lesion.

    Args:
        image: ``[D, H, W]``, isotropic.
        lesion: ``[D, H, W]`` bool.
        spacing_mm: voxel size.
        bins: grey levels of the texture matrices, between the lesion's own lowest and highest intensity; 0 takes
            intensities, which must then be whole numbers, as they are.

    Returns:
        name of the feature → value; lengths in mm.

    Raises:
        MethodError: mirp is not installed, or the lesion is empty.
    """
    import numpy as np

    if not lesion.any():
        raise MethodError("radiomics: the mask holds no lesion voxel")
    places = np.argwhere(lesion)
    box = tuple(
        slice(max(0, int(low) - _MARGIN), int(high) + 1 + _MARGIN)
        for low, high in zip(places.min(0), places.max(0), strict=True)
    )
    extract = _extractor()
    kind: dict[str, Any] = {"base_discretisation_method": "none"}
    if bins:
        kind = {"base_discretisation_method": "fixed_bin_number", "base_discretisation_n_bins": bins}
    with _quiet():
        (table,) = extract(
            image=np.ascontiguousarray(image[box], dtype=np.float64),
            mask=np.ascontiguousarray(lesion[box], dtype=np.uint8),
            base_feature_families=list(FAMILIES),
            write_features=False,
            export_features=True,
            **kind,
        )
    row = table.iloc[0]
    return {
        str(name): float(row[name]) * spacing_mm ** POWERS.get(str(name), 0)
        for name in table.columns
        if str(name).startswith(PREFIXES)
    }


def cached_features(
    image: np.ndarray[Any, Any], lesion: np.ndarray[Any, Any], spacing_mm: float, bins: int
) -> dict[str, float]:
    """:func:`radiomic_features`, computed once for the same content, settings and version of mirp."""
    import numpy as np

    content = hashlib.sha256()
    for array in (np.ascontiguousarray(image, np.float32), np.ascontiguousarray(lesion, np.uint8)):
        content.update(repr(array.shape).encode() + array.tobytes())
    content.update(json.dumps([spacing_mm, bins, FAMILIES, _mirp_version()]).encode())
    name = content.hexdigest()
    file = cache_folder() / name[:2] / f"{name}.json"
    with contextlib.suppress(OSError, ValueError):
        return {key: float(value) for key, value in json.loads(file.read_text(encoding="utf-8")).items()}
    found = radiomic_features(image, lesion, spacing_mm, bins)
    with contextlib.suppress(OSError):  # a cache that cannot be written only costs time
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False, encoding="utf-8") as draft:
            json.dump(found, draft)
        Path(draft.name).replace(file)
    return found


def cache_folder() -> Path:
    """Folder of stored features."""
    return cache_root() / "radiomics"


def _mirp_version() -> str:
    try:
        return version("mirp")
    except PackageNotFoundError:
        return "absent"


def _extractor() -> Any:
    try:
        from mirp import extract_features
    except ImportError as error:
        raise MethodError(
            f"method 'radiomics' needs the package mirp ({error}); install it with `pip install 'cerebench[radiomics]'`"
        ) from None
    return extract_features


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """mirp reports every image and sets up logging for the whole process."""
    root = logging.getLogger()
    before, handlers = root.level, list(root.handlers)
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
        root.setLevel(before)
        for handler in [one for one in root.handlers if one not in handlers]:
            root.removeHandler(handler)
