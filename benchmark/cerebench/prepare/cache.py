"""The cache of prepared cases: one folder an entry, found by content, written whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cerebench.contract.data import Case, ReadPolicy
from cerebench.errors import DataError
from cerebench.prepare.arrays import map_array, save_array
from cerebench.prepare.index import HashIndex
from cerebench.prepare.spec import PrepareSpec

if TYPE_CHECKING:
    from cerebench.prepare.steps import Steps

Array = np.ndarray[Any, Any]

_ABANDONED_S = 24 * 3600.0


class Prepared:
    """One prepared case in the cache; arrays are memory-mapped, private to the process and read when touched.

    Attributes:
        key: cache key.
        folder: the entry.
        meta: what preparation found and did (see ``docs/preparation.md``).
    """

    def __init__(self, key: str, folder: Path, meta: dict[str, Any] | None = None) -> None:
        self.key = key
        self.folder = folder
        if meta is not None:
            self.meta = meta

    @cached_property
    def meta(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "meta.json").read_bytes())
        return found

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the channels."""
        return tuple(self.meta["modalities"])

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel size in mm."""
        d, h, w = self.meta["spacing"]
        return d, h, w

    def image(self) -> Array:
        """``[C, D, H, W]`` float32, 0 outside the brain."""
        return map_array(self.folder / "image.npy")

    def brain(self) -> Array:
        """``[D, H, W]`` bool."""
        return map_array(self.folder / "brain.npy")

    def labels(self) -> Array | None:
        """``[D, H, W]`` uint8 (0 normal, 1 anomaly, 2 ignore); all 0 for a healthy case, ``None`` without reference."""
        if self.meta["labels"] == "file":
            return map_array(self.folder / "labels.npy")
        return np.zeros(self.meta["shape"], dtype=np.uint8) if self.meta["labels"] == "healthy" else None

    def __getstate__(self) -> dict[str, Any]:
        return {"key": self.key, "folder": self.folder, "meta": self.meta}

    def __repr__(self) -> str:
        return f"Prepared({self.key[:12]}, {'+'.join(self.modalities)})"


class Preparer:
    """Prepares cases once for each content, spec and policy, and finds them again.

    Args:
        cache_root: folder of the cache; made when first written.
        spec: target grid and intensity scale.
    """

    def __init__(self, cache_root: Path, spec: PrepareSpec) -> None:
        self.cache_root = cache_root
        self.spec = spec
        self.index = HashIndex(cache_root / "hashes.sqlite")
        self._spec_digest = spec.digest()

    def __getstate__(self) -> dict[str, Any]:
        return {"cache_root": self.cache_root, "spec": self.spec}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["cache_root"], state["spec"])  # type: ignore[misc]

    def key(self, case: Case, modalities: tuple[str, ...], policy: ReadPolicy) -> str:
        """Fingerprint of everything the arrays depend on: file contents, modalities, policy, spec, steps version.

        Names and places of the files are not part of it, and nothing is decoded.

        Raises:
            DataError: a modality or file is missing or unreadable.
        """
        digest = self.index.digest
        recipe = {
            "spec": self._spec_digest,
            "images": [[name, digest(_file(case, name))] for name in modalities],
            "brain_mask": digest(case.brain_mask) if case.brain_mask is not None else None,
            "mask": digest(case.mask) if case.mask is not None else None,
            "reference": case.mask_modality if case.mask_modality in modalities else None,
            "healthy": case.healthy,
            "labels": sorted((int(value), state) for value, state in policy.labels.items()),
            "skull_stripped": policy.skull_stripped,
            "resample_mask": policy.resample_mask,
            "numbered_lesions": policy.numbered_lesions,
            "slices": asdict(policy.slices) if policy.slices is not None else None,
            "lesion": case.lesion,
            "lesion_free_mm": policy.lesion_free_mm,
        }
        return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()

    def get(self, case: Case, modalities: tuple[str, ...], policy: ReadPolicy) -> Prepared | None:
        """The entry if it is there and whole, else ``None``.

        Raises:
            DataError: as :meth:`key`.
        """
        return self._entry(self.key(case, modalities, policy))

    def prepare(self, case: Case, modalities: tuple[str, ...], policy: ReadPolicy) -> Prepared:
        """The entry, made if need be.

        Raises:
            DataError: a fault of the case's files, or the cache cannot be written.
        """
        key = self.key(case, modalities, policy)
        found = self._entry(key)
        if found is not None:
            return found
        from cerebench.prepare.steps import run_steps

        return self._store(key, run_steps(case, modalities, policy, self.spec))

    def folder(self, key: str) -> Path:
        """Where the entry of a key lies, whether or not it is there."""
        return self.cache_root / "prepared" / key[:2] / key

    def _entry(self, key: str) -> Prepared | None:
        folder = self.folder(key)
        try:
            meta = json.loads((folder / "meta.json").read_bytes())
            whole = all((folder / name).stat().st_size == size for name, size in meta["files"].items())
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        return Prepared(key, folder, meta) if whole else None

    def _store(self, key: str, steps: Steps) -> Prepared:
        folder = self.folder(key)
        try:
            with self._draft() as draft:
                arrays = {"image": steps.image, "brain": steps.brain, "labels": steps.labels}
                for name, array in arrays.items():
                    if array is not None:
                        save_array(draft / f"{name}.npy", array)
                files = {file.name: file.stat().st_size for file in sorted(draft.iterdir())}
                meta = {**steps.meta, "files": files}
                (draft / "meta.json").write_text(json.dumps(meta, indent=1, sort_keys=True), encoding="utf-8")
                folder.parent.mkdir(parents=True, exist_ok=True)
                self._publish(key, draft, folder)
        except OSError as error:
            raise DataError(
                f"{self.cache_root}: the cache cannot be written ({error.strerror or error}); "
                "free space or choose another cache folder"
            ) from error
        return Prepared(key, folder, meta)

    def _publish(self, key: str, draft: Path, folder: Path) -> None:
        for _ in range(10):
            try:
                draft.rename(folder)
                return
            except OSError:
                if self._entry(key) is not None:  # another process was first, with the same content
                    return
                if not folder.exists():
                    raise
            with contextlib.suppress(OSError):  # damaged: out of the way, in one step
                folder.rename(draft.parent / f"damaged-{key[:16]}-{os.getpid()}-{time.monotonic_ns()}")
        raise OSError(f"{folder} is damaged and cannot be replaced")

    @contextlib.contextmanager
    def _draft(self) -> Iterator[Path]:
        drafts = self.cache_root / "drafts"
        drafts.mkdir(parents=True, exist_ok=True)
        for old in sorted(drafts.iterdir()):  # left by killed processes
            with contextlib.suppress(OSError):
                if old.name.startswith("damaged-") or time.time() - old.stat().st_mtime > _ABANDONED_S:
                    shutil.rmtree(old, ignore_errors=True)
        draft = Path(tempfile.mkdtemp(dir=drafts))
        try:
            yield draft
        finally:
            shutil.rmtree(draft, ignore_errors=True)


def _file(case: Case, modality: str) -> Path:
    path = case.images.get(modality)
    if path is None:
        from cerebench.prepare.steps import image_file

        return image_file(case, modality)
    return path
