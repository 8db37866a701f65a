from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from cerebench.errors import DataError
from cerebench.prepare.index import HashIndex


def settle(path: Path, seconds: float = 60.0) -> None:
    past = time.time() - seconds
    os.utime(path, (past, past))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "scan.bin"
    path.write_bytes(b"some voxels")
    settle(path)
    return path


def forbid_hashing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("hashed again")

    monkeypatch.setattr(hashlib, "file_digest", fail)


def test_digest_is_sha256_and_is_computed_once(tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = HashIndex(tmp_path / "cache" / "hashes.sqlite")
    expected = hashlib.sha256(b"some voxels").hexdigest()
    assert index.digest(file) == expected
    forbid_hashing(monkeypatch)
    assert index.digest(file) == expected
    assert HashIndex(tmp_path / "cache" / "hashes.sqlite").digest(file) == expected


def test_a_changed_file_is_hashed_again(tmp_path: Path, file: Path) -> None:
    index = HashIndex(tmp_path / "hashes.sqlite")
    before = index.digest(file)
    file.write_bytes(b"other voxel")
    settle(file, 30.0)
    assert index.digest(file) == hashlib.sha256(b"other voxel").hexdigest() != before


def test_a_file_rewritten_within_one_clock_tick_is_not_mistaken_for_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "fresh.bin"
    path.write_bytes(b"aaaa")
    index = HashIndex(tmp_path / "hashes.sqlite")
    stat = path.stat()
    index.digest(path)
    path.write_bytes(b"bbbb")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert index.digest(path) == hashlib.sha256(b"bbbb").hexdigest()


@pytest.mark.parametrize("content", [b"this is no database" * 100, b""])
def test_a_corrupt_index_is_rebuilt(tmp_path: Path, file: Path, content: bytes) -> None:
    database = tmp_path / "hashes.sqlite"
    database.write_bytes(content)
    expected = hashlib.sha256(b"some voxels").hexdigest()
    assert HashIndex(database).digest(file) == expected
    connection = sqlite3.connect(database)
    rows = connection.execute("SELECT digest FROM hashes").fetchall()
    connection.close()
    assert rows == [(expected,)]


def test_an_index_that_cannot_be_used_costs_only_time(tmp_path: Path, file: Path) -> None:
    database = tmp_path / "hashes.sqlite"
    database.mkdir()
    assert HashIndex(database).digest(file) == hashlib.sha256(b"some voxels").hexdigest()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.nii\.gz: the file is missing"):
        HashIndex(tmp_path / "hashes.sqlite").digest(tmp_path / "gone.nii.gz")


def _hash_all(database: Path, files: list[Path]) -> list[str]:
    index = HashIndex(database)
    return [index.digest(file) for file in files]


def test_two_processes_share_an_index(tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.bin" for number in range(12)]
    for number, file in enumerate(files):
        file.write_bytes(bytes([number]) * 100)
        settle(file)
    database = tmp_path / "hashes.sqlite"
    with ProcessPoolExecutor(2, mp_context=get_context("fork")) as pool:
        found = [pool.submit(_hash_all, database, files).result() for _ in range(2)]
    expected = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    assert found == [expected, expected]
    connection = sqlite3.connect(database)
    assert connection.execute("SELECT COUNT(*) FROM hashes").fetchone() == (len(files),)
    connection.close()
