"""The guard of a worker's writes, each time in a process of its own: an audit hook stays for good."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cerebench.executors.guard import allowed_folders

START = """
import os, shutil, sys, tempfile
from pathlib import Path
from cerebench.executors.guard import allowed_folders, guard_writes
base = Path(sys.argv[1])
inside, outside = base / "results", base / "elsewhere"
guard_writes("m", allowed_folders(inside, base / "scratch"))
"""
OUTSIDE = {
    "write": "(outside / 'new').write_text('')",
    "append": "open(outside / 'there', 'a')",
    "in place": "open(outside / 'there', 'r+')",
    "raw": "os.open(outside / 'new', os.O_CREAT | os.O_WRONLY)",
    "bytes": "open(os.fsencode(outside / 'new'), 'wb')",
    "relative": "os.chdir(outside); open('new', 'w')",
    "upwards": "open(inside / '..' / 'elsewhere' / 'new', 'w')",
    "through a link": "open(inside / 'link' / 'new', 'w')",
    "make a folder": "(outside / 'folder').mkdir()",
    "make folders": "os.makedirs(outside / 'a' / 'b', exist_ok=True)",
    "remove": "(outside / 'there').unlink()",
    "remove a folder": "(outside / 'empty').rmdir()",
    "remove a tree": "shutil.rmtree(outside)",
    "move in": "os.replace(outside / 'there', inside / 'new')",
    "move out": "os.replace(inside / 'mine', outside / 'new')",
    "copy out": "shutil.copy(inside / 'mine', outside / 'new')",
    "shorten": "os.truncate(outside / 'there', 0)",
    "link": "os.link(inside / 'mine', outside / 'new')",
    "symbolic link": "os.symlink(inside / 'mine', outside / 'new')",
    "beside": "Path(str(inside) + '-2').mkdir()",
}
INSIDE = {
    "results": "(inside / 'new').write_text('')",
    "remove a link": "(inside / 'link').unlink()",
    "cache": "Path(os.environ['CEREBENCH_CACHE'], 'a', 'b').mkdir(parents=True)",
    "temporary": "tempfile.NamedTemporaryFile(dir=base / 'scratch').close()",
    "the user's cache": "(Path.home() / '.cache' / 'hub').mkdir()",
    "a library's cache": "Path(os.environ['TORCH_HOME'], 'weights').write_text('')",
    "named by the user": "(base / 'mine' / 'new').write_text('')",
    "nothing": "open(os.devnull, 'w').write('x')",
    "bytecode": "os.makedirs(outside / '__pycache__'); (outside / '__pycache__' / 'm.pyc').write_text('')",
    "read": "(outside / 'there').read_text(); list(outside.iterdir())",
    "folders that are there": "outside.mkdir(exist_ok=True); os.makedirs(outside, exist_ok=True)",
    "an open file": "import os; os.write(1, b'')",
}


@pytest.fixture
def base(tmp_path: Path) -> Path:
    for name in ("results", "scratch", "elsewhere/empty", "cache", "home/.cache", "torch", "mine"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "elsewhere" / "there").write_text("content")
    (tmp_path / "results" / "mine").write_text("content")
    (tmp_path / "results" / "link").symlink_to(tmp_path / "elsewhere")
    return tmp_path


def call(base: Path, lines: list[str]) -> list[str]:
    """What each line comes to: ``""`` or the error."""
    body = "\n".join(
        f"try:\n    {line}\n    print('fine')\nexcept OSError as error:\n    print(type(error).__name__, error)"
        for line in lines
    )
    named = {"CEREBENCH_CACHE": "cache", "HOME": "home", "TORCH_HOME": "torch", "CEREBENCH_WRITABLE": "mine"}
    env = {**os.environ, **{name: str(base / folder) for name, folder in named.items()}}
    env.pop("XDG_CACHE_HOME", None)
    done = subprocess.run(
        [sys.executable, "-c", START + body, str(base)], env=env, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def tree(folder: Path) -> dict[str, str]:
    return {str(path): path.read_text() if path.is_file() else "" for path in folder.rglob("*")}


def test_nothing_outside_is_written_and_the_sentence_names_method_path_and_remedy(base):
    before = tree(base / "elsewhere")
    found = dict(zip(OUTSIDE, call(base, list(OUTSIDE.values())), strict=True))
    assert {name: line for name, line in found.items() if not line.startswith("OutsideWriteError ")} == {}
    assert found["write"] == (
        f"OutsideWriteError method 'm' tried to write {base}/elsewhere/new, outside the results folder, the cache and "
        "its temporary folder: write below run.folder or tempfile.gettempdir(), or name the folder in "
        "CEREBENCH_WRITABLE"
    )
    assert tree(base / "elsewhere") == before
    assert not (base / "results-2").exists()


def test_what_a_worker_needs_is_left_alone(base):
    found = dict(zip(INSIDE, call(base, list(INSIDE.values())), strict=True))
    assert {name: line for name, line in found.items() if line != "fine"} == {}


def test_several_folders_may_be_named(monkeypatch, tmp_path):
    monkeypatch.setenv("CEREBENCH_WRITABLE", f"{tmp_path / 'a'}{os.pathsep}{tmp_path / 'b'}{os.pathsep}")
    assert {str(tmp_path / "a"), str(tmp_path / "b")} <= set(allowed_folders(tmp_path / "r", tmp_path / "s"))
    assert str(Path.cwd()) not in allowed_folders(tmp_path / "r", tmp_path / "s")
