"""Methods from local files: ``path/to/file.py:MyMethod``."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cerebench.digest import code_digest
from cerebench.errors import BenchError, PluginError, UsageError
from cerebench.plugins.local_methods import is_reference
from cerebench.plugins.registry import Registry

METHOD = """
from cerebench.api import Method, MethodInfo

class Mine(Method):
    info = MethodInfo(name="mine", summary="Mine.", supervision="none", unit="volume", stages=())

class Second(Mine):
    info = MethodInfo(name="second", summary="Mine too.", supervision="none", unit="volume", stages=())

def helper():
    pass

class NoInfo(Method):
    pass
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(METHOD)
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    return path


@pytest.fixture(autouse=True)
def _forget():
    yield
    for name in [name for name in sys.modules if name.startswith("cerebench_local_")]:
        del sys.modules[name]


@pytest.mark.parametrize("text", ["a.py:B", "a/b.py:B", "/x/b.py:B#0123abcd", "b.py", "b.py:B-C"])
def test_what_names_a_file(text):
    assert is_reference(text)


@pytest.mark.parametrize("text", ["autoencoder", "auto*", "all", "x.y:z", "a.pyc:B"])
def test_what_names_none(text):
    assert not is_reference(text)


def test_class_is_loaded_and_listed_as_local(file, monkeypatch):
    monkeypatch.chdir(file.parent)
    registry = Registry.discover()
    assert registry.select("method", ["mine.py:Mine[power=2]", f"{file}:Second"], load=True) == [
        "mine[power=2]",
        "second",
    ]
    loaded = registry.load_method("mine")
    assert loaded is registry.load_method("mine.py:Mine") is registry.load_method(f"{file}:Mine")
    entry = registry.entry("method", "mine")
    assert (entry.source, entry.state, entry.target) == ("local", "ok", f"{file}:Mine")
    assert [entry.name for entry in registry.methods() if entry.source == "local"] == ["mine", "second"]
    assert registry.method_disagreements("mine") == []
    assert registry.warnings() == []
    assert not (file.parent / "__pycache__").exists()


def test_local_and_installed_methods_beside_each_other(file, install):
    install("fake-a", name="fake-a")
    registry = Registry.discover()
    assert registry.select("method", ["fake*", f"{file}:Mine", "fake-a"], load=True) == ["fake-a", "mine"]


def test_edited_file_is_another_method_in_the_same_process(file):
    first = Registry.discover()
    old = first.load_method(f"{file}:Mine")
    old_code, old_version = code_digest(old), first.entry("method", "mine").version
    file.write_text(METHOD.replace("Mine.", "Ours."))
    second = Registry.discover()
    new = second.load_method(f"{file}:Mine")
    assert new.info.summary == "Ours."
    assert code_digest(new) != old_code
    assert second.entry("method", "mine").version != old_version
    file.write_text(METHOD)
    assert code_digest(Registry.discover().load_method(f"{file}:Mine")) == old_code


def test_the_same_content_elsewhere_has_the_same_key(file, tmp_path):
    code = code_digest(Registry.discover().load_method(f"{file}:Mine"))
    other = tmp_path / "other"
    other.mkdir()
    (other / "mine.py").write_text(METHOD)
    file.write_text("raise SystemError")
    assert code_digest(Registry.discover().load_method(f"{other / 'mine.py'}:Mine")) == code


def test_a_worker_refuses_a_file_that_changed_meanwhile(file):
    registry = Registry.discover()
    version = registry.entry("method", f"{file}:Mine").version
    assert Registry.discover().load_method(f"{file}:Mine#{version}").info.name == "mine"
    file.write_text(METHOD + "\n")
    with pytest.raises(PluginError, match=r"mine\.py has changed since the run began"):
        Registry.discover().load_method(f"{file}:Mine#{version}")


@pytest.mark.parametrize(
    ("reference", "error", "words"),
    [
        ("mime.py:Mine", UsageError, "there is no file .*mime.py; did you mean 'mine.py'"),
        ("none/mine.py:Mine", UsageError, "there is no file .*none/mine.py$"),
        ("mine.py", UsageError, "name the class too: mine.py:Mine"),
        ("mine.py:Mime", UsageError, "has no class 'Mime': did you mean 'Mine'"),
        ("mine.py:helper", UsageError, "mine.py:helper is of type function, expected a class derived from"),
        ("mine.py:MethodInfo", UsageError, "MethodInfo'>, expected a class derived from"),
        ("mine.py:NoInfo", UsageError, "mine.py:NoInfo has no 'info'"),
    ],
)
def test_mistakes_are_one_sentence(file, monkeypatch, reference, error, words):
    monkeypatch.chdir(file.parent)
    with pytest.raises(error, match=words) as caught:
        Registry.discover().select("method", reference, load=True)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "import nonesuch",
            r"cannot be imported: ModuleNotFoundError: .* 'nonesuch' \(mine.py, line 1\)$",
        ),
        ("class Mine(:\n", r"cannot be imported: SyntaxError: .*\(mine.py, line 1\)"),
        ("\n\n1 / 0", r"cannot be imported: ZeroDivisionError: division by zero \(mine.py, line 3\)"),
        ("raise SystemExit", "cannot be imported: SystemExit"),
        ("import beside", "a local method is one file: put what it needs of beside into it, or make a package"),
    ],
)
def test_a_file_that_cannot_be_imported_is_named(file, text, words):
    (file.parent / "beside.py").touch()
    file.write_text(text)
    with pytest.raises(PluginError, match=words):
        Registry.discover().load_method(f"{file}:Mine")
    assert not [name for name in sys.modules if name.startswith("cerebench_local_")]


def test_a_name_that_is_taken_is_refused(file, install):
    install("fake-a", name="mine")
    with pytest.raises(BenchError, match=r"mine\.py:Mine: method 'mine' is already provided by fake-a"):
        Registry.discover().load_method(f"{file}:Mine")
    file.write_text(METHOD.replace('name="second"', 'name="third"').replace('name="mine"', 'name="third"'))
    registry = Registry.discover()
    registry.load_method(f"{file}:Mine")
    with pytest.raises(UsageError, match=r"Second: method 'third' is already provided by .*mine\.py:Mine"):
        registry.load_method(f"{file}:Second")
