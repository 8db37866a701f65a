"""Content hashes of files, computed once and remembered by path, size and modification time.

The index only saves time: where the database cannot be used, files are hashed again and nothing else changes.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import threading
import time
from pathlib import Path

from cerebench.errors import DataError

_TABLE = "CREATE TABLE IF NOT EXISTS hashes (path TEXT PRIMARY KEY, size INTEGER, mtime INTEGER, digest TEXT)"

# A file changed within the clock's granularity (2 s on FAT, 1 s on some NFS) keeps its time stamp, so younger entries
# are not remembered.
_SETTLED_NS = 2_000_000_000

_BUSY_S = 10.0


class HashIndex:
    """SHA-256 of files behind a small SQLite database that several processes and threads may share.

    Args:
        file: database; created when missing, rebuilt when corrupt.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._lock = threading.Lock()
        self._rows: dict[str, tuple[int, int, str]] | None = None

    def digest(self, path: Path) -> str:
        """Hexadecimal SHA-256 of the file's content, or of the names and contents of a folder of slices.

        Raises:
            DataError: the file is missing or cannot be read.
        """
        if path.is_dir():
            parts = [f"{file.name} {self.digest(file)}" for file in sorted(path.glob("*.png"))]
            return hashlib.sha256("\n".join(parts).encode()).hexdigest()
        name = os.path.abspath(path)  # noqa: PTH100 (Path.resolve would follow links and cost a call a part)
        try:
            stat = os.stat(name)  # noqa: PTH116
            known = self._known().get(name)
            if known is not None and known[:2] == (stat.st_size, stat.st_mtime_ns):
                return known[2]
            with open(name, "rb") as stream:  # noqa: PTH123
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
        except FileNotFoundError:
            raise DataError(f"{path}: the file is missing; restore it or take the case out of the cohort") from None
        except OSError as error:
            raise DataError(
                f"{path}: the file cannot be read ({error.strerror or error}); check the path and its permissions"
            ) from error
        if time.time_ns() - stat.st_mtime_ns > _SETTLED_NS:
            self._remember(name, stat.st_size, stat.st_mtime_ns, digest)
        return digest

    def _known(self) -> dict[str, tuple[int, int, str]]:
        rows = self._rows
        if rows is None:
            with self._lock:
                if self._rows is None:
                    self._rows = self._load()
                rows = self._rows
        return rows

    def _load(self) -> dict[str, tuple[int, int, str]]:
        if not self.file.is_file():
            return {}
        try:
            with contextlib.closing(self._connect()) as connection:
                query = "SELECT path, size, mtime, digest FROM hashes"
                return {path: (size, mtime, digest) for path, size, mtime, digest in connection.execute(query)}
        except sqlite3.OperationalError:  # locked, read-only: hash again
            return {}
        except sqlite3.DatabaseError:
            self._discard()
            return {}

    def _remember(self, name: str, size: int, mtime: int, digest: str) -> None:
        self._known()[name] = (size, mtime, digest)
        with self._lock:
            try:
                self._store(name, size, mtime, digest)
            except sqlite3.OperationalError:
                return
            except sqlite3.DatabaseError:
                self._discard()
                with contextlib.suppress(sqlite3.Error):
                    self._store(name, size, mtime, digest)

    def _store(self, name: str, size: int, mtime: int, digest: str) -> None:
        with contextlib.closing(self._connect()) as connection, connection:
            row = (name, size, mtime, digest)
            connection.execute("INSERT OR REPLACE INTO hashes VALUES (?, ?, ?, ?)", row)

    def _connect(self) -> sqlite3.Connection:
        # A connection a transaction: nothing is shared across forks or threads, and locks are short.
        with contextlib.suppress(OSError):
            self.file.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self.file, timeout=_BUSY_S)
        try:
            connection.execute(_TABLE)
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _discard(self) -> None:
        for suffix in ("", "-journal", "-wal", "-shm"):
            with contextlib.suppress(OSError):
                Path(f"{self.file}{suffix}").unlink()
