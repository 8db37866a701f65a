"""Cache folder and data root."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cerebench.errors import UsageError
from cerebench.paths import cache_root, data_root


def test_the_cache_can_be_chosen(monkeypatch, tmp_path):
    monkeypatch.setenv("CEREBENCH_CACHE", str(tmp_path / "mine"))
    assert cache_root() == tmp_path / "mine"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CEREBENCH_CACHE", "here")
    assert cache_root() == tmp_path / "here"


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {}, ".cache/cerebench"),
        ("linux", {"XDG_CACHE_HOME": "{home}/xdg"}, "xdg/cerebench"),
        ("darwin", {}, "Library/Caches/cerebench"),
        ("win32", {}, "AppData/Local/cerebench/Cache"),
        ("win32", {"LOCALAPPDATA": "{home}/local"}, "local/cerebench/Cache"),
    ],
)
def test_the_cache_lies_where_the_platform_wants_it(monkeypatch, tmp_path, platform, variables, expected):
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(home=tmp_path))
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert cache_root() == tmp_path / expected


def test_the_option_wins_over_the_environment(monkeypatch, tmp_path):
    assert data_root() is None
    monkeypatch.setenv("CEREBENCH_DATA", str(tmp_path))
    assert data_root() == tmp_path
    (tmp_path / "other").mkdir()
    assert data_root(tmp_path / "other") == tmp_path / "other"


def test_a_data_root_that_is_not_there(monkeypatch, tmp_path):
    with pytest.raises(UsageError, match=r"--data-root .* is not a folder"):
        data_root(tmp_path / "gone")
    (tmp_path / "file").touch()
    monkeypatch.setenv("CEREBENCH_DATA", str(tmp_path / "file"))
    with pytest.raises(UsageError, match=r"CEREBENCH_DATA .* is not a folder"):
        data_root()
