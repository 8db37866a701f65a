"""The results folder: one immutable folder per finished cell, written to a temporary name and renamed.

A folder that exists without a ``status.json`` was never finished; one whose status is not ``ok`` is shown and tried
again by the next run.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal

from cerebench.errors import UsageError
from cerebench.jsonio import read_json, write_json

SCHEMA_VERSION = 1
_ATTEMPTS = 100
Status = Literal["ok", "failed", "timeout", "oom", "skipped"]


class Store:
    """Reads and writes a results folder.

    Args:
        root: the results folder; created when first written to.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def runs(self) -> Path:
        """Folder of evaluation cells and manifests."""
        return self.root / "runs"

    @property
    def artefacts(self) -> Path:
        """Folder of trained artefacts and of the reference cells that belong to them."""
        return self.root / "artefacts"

    def path(self, relative: str) -> Path:
        """Absolute folder of a cell, given its path below the root.

        Raises:
            UsageError: the path leaves the results folder.
        """
        path = self.root / relative
        if ".." in Path(relative).parts or Path(relative).is_absolute():
            raise UsageError(f"cell path {relative!r} leaves the results folder {self.root}")
        return path

    def status(self, relative: str) -> dict[str, Any] | None:
        """The status of a cell: ``None`` if it was never finished."""
        path = self.path(relative) / "status.json"
        try:
            found = dict(read_json(path))
        except (OSError, ValueError, TypeError):
            return None
        return found if {"status", "reason"} <= set(found) else None

    def done(self, relative: str) -> bool:
        """Whether a cell finished well and need not run again."""
        status = self.status(relative)
        return status is not None and status["status"] == "ok"

    @contextmanager
    def writing(self, relative: str) -> Iterator[Path]:
        """A temporary folder that becomes the cell's folder when the block ends without an exception."""
        final = self.path(relative)
        scratch = self._scratch(final)
        try:
            yield scratch
            self._commit(scratch, final)
        except BaseException:
            shutil.rmtree(scratch, ignore_errors=True)
            raise

    def record_failure(self, relative: str, status: Status, reason: str, detail: str = "", **more: Any) -> None:
        """Keep a failure as a finished folder with its reason, unless the cell meanwhile finished well."""
        final = self.path(relative)
        if self.done(relative):
            return
        scratch = self._scratch(final)
        write_json(scratch / "status.json", status_record(status, reason, **more))
        if detail:
            (scratch / "log.txt").write_text(detail, encoding="utf-8")
        self._commit(scratch, final)

    def _scratch(self, final: Path) -> Path:
        final.parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f".tmp-{final.name}-", dir=final.parent))

    def _commit(self, scratch: Path, final: Path) -> None:
        for path in sorted(scratch.rglob("*")):
            if path.is_file():
                _sync(path)
        scratch.chmod(0o755)
        _sync(scratch)
        for _ in range(_ATTEMPTS):
            if self.done(str(final.relative_to(self.root))):  # another worker was first, with the same content
                shutil.rmtree(scratch, ignore_errors=True)
                return
            try:
                self._replace(scratch, final)
            except OSError as error:
                # another writer put its folder there in between, and may have taken it away again by now
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
            else:
                _sync(final.parent)
                return
        raise OSError(f"{final} cannot be replaced")

    def _replace(self, scratch: Path, final: Path) -> None:
        if final.exists():
            old = Path(tempfile.mkdtemp(prefix=".tmp-old-", dir=final.parent))
            with contextlib.suppress(FileNotFoundError):
                final.rename(old / "cell")
            shutil.rmtree(old, ignore_errors=True)
        scratch.rename(final)

    def sweep(self) -> None:
        """Remove temporary folders that killed runs left behind; call only while holding the lock."""
        for base in (self.runs, self.artefacts):
            if base.is_dir():
                for path in base.rglob(".tmp-*"):
                    shutil.rmtree(path, ignore_errors=True)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the results folder for one run.

        Raises:
            UsageError: the folder cannot be written, or another run holds it.
        """
        stream = self._open_lock()
        try:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                stream.seek(0)
                owner = stream.read().strip() or "unknown"
                raise UsageError(
                    f"results folder {self.root} is in use by another run (process {owner}); "
                    "wait for it, or give another --results folder"
                ) from None
            stream.seek(0)
            stream.truncate()
            stream.write(str(os.getpid()))
            stream.flush()
            yield
        finally:
            stream.close()

    def _open_lock(self) -> IO[str]:
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            return (self.root / ".lock").open("a+", encoding="utf-8")
        except OSError as error:
            raise UsageError(
                f"results folder {self.root} cannot be written ({error.strerror}); give a writable --results folder"
            ) from None


def status_record(status: Status, reason: str = "", **more: Any) -> dict[str, Any]:
    """Content of ``status.json``."""
    return {"schema_version": SCHEMA_VERSION, "status": status, "reason": reason, **more}


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
