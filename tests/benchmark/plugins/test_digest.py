"""Code digests: what changes them, what does not, and that nothing is imported for them."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from importlib.util import module_from_spec, spec_from_file_location

import pytest

from cerebench.digest import code_digest, git_revision, library_versions
from cerebench.errors import PluginError

BASE = """
import numpy
from cerebench.api import Method
from . import shared

class First(Method): ...
"""
SECOND = """
from cerebench.api import Method

def go():
    from fake_a.deep.part import value

class Second(Method): ...
"""
FILES = {
    "first.py": BASE,
    "second.py": SECOND,
    "shared.py": "import fake_a.leaf\n",
    "leaf.py": "VALUE = 1\n",
    "deep/__init__.py": "",
    "deep/part.py": "from .. import relative\nvalue = 1\n",
    "relative.py": "",
    "unused.py": "",
}


@pytest.fixture
def package(install):
    return install("fake-a", files=FILES)


def digests() -> dict[str, str]:
    return {name: code_digest(f"fake_a.{name.lower()}:{name}") for name in ("First", "Second")}


@pytest.mark.parametrize(
    ("file", "changed"),
    [
        ("first.py", {"First"}),
        ("second.py", {"Second"}),
        ("shared.py", {"First"}),
        ("leaf.py", {"First"}),
        ("deep/part.py", {"Second"}),
        ("deep/__init__.py", {"Second"}),
        ("relative.py", {"Second"}),
        ("__init__.py", {"First", "Second"}),
        ("unused.py", set()),
        ("plugin.py", set()),
        ("cerebench.yaml", set()),
    ],
)
def test_an_edit_changes_exactly_the_digests_that_depend_on_it(package, file, changed):
    before = digests()
    with (package / file).open("a") as stream:
        stream.write("\n# edited\n")
    after = digests()
    assert {name for name in before if before[name] != after[name]} == changed


def test_nothing_is_imported(package):
    digests()
    assert not [module for module in sys.modules if module.startswith("fake_a")]


def test_a_class_and_its_target_have_one_digest(package):
    from fake_a.first import First  # type: ignore[import-not-found]

    assert code_digest(First) == code_digest("fake_a.first:First")


def test_a_base_class_from_another_plugin_counts(package, install):
    install("fake-b", files={"child.py": "from fake_a.first import First\n\nclass Child(First): ...\n"})
    before = code_digest("fake_b.child:Child")
    from fake_b.child import Child  # type: ignore[import-not-found]

    assert code_digest(Child) == before
    (package / "leaf.py").write_text("VALUE = 2\n")
    assert code_digest("fake_b.child:Child") != before
    assert code_digest(Child) == code_digest("fake_b.child:Child")


def test_a_name_imported_from_a_package_follows_its_init(install):
    files = {
        "one.py": "from fake_c import helper\n\nclass One: ...\n",
        "tools.py": "def helper(): ...\n",
        "__init__.py": "from fake_c.tools import helper\n",
    }
    folder = install("fake-c", files=files)
    before = code_digest("fake_c.one:One")
    (folder / "tools.py").write_text("def helper(): return 1\n")
    assert code_digest("fake_c.one:One") != before


def test_no_source_and_no_python(install):
    with pytest.raises(PluginError, match="no source file"):
        code_digest("fake_nowhere.x:X")
    install("fake-d", files={"bad.py": "def (:\n"})
    with pytest.raises(PluginError, match=r"bad\.py, line 1: not valid Python"):
        code_digest("fake_d.bad:X")


def test_a_module_loaded_from_a_file_under_a_name_of_its_own(tmp_path, monkeypatch):
    path = tmp_path / "somewhere.py"
    path.write_text("class Local: ...\n")
    spec = spec_from_file_location("fake_local.chosen.name", path)
    module = module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    before = code_digest(module.Local)
    path.write_text("class Local: value = 1\n")
    assert code_digest(module.Local) != before


def test_library_versions():
    assert library_versions(["pyyaml", "no-such-library"]) == {"no-such-library": "absent", "pyyaml": version("pyyaml")}


def test_git_revision(tmp_path, monkeypatch):
    for key, value in {
        "HOME": str(tmp_path),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CEILING_DIRECTORIES": str(tmp_path),
    }.items():
        monkeypatch.setenv(key, value)
    repository = tmp_path / "repository"
    (repository / "venv").mkdir(parents=True)

    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        done = subprocess.run(
            ["git", *identity, *arguments], cwd=repository, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    assert git_revision(repository) is None
    git("init", "-q")
    (repository / "code.py").write_text("1")
    assert git_revision(repository / "code.py") is None
    git("add", "code.py")
    git("commit", "-q", "-m", "first")
    assert git_revision(repository) == {"commit": git("rev-parse", "HEAD"), "dirty": False}
    (repository / "venv" / "library.py").write_text("1")
    assert git_revision(repository / "venv") is None
    (repository / "code.py").write_text("2")
    assert git_revision(repository / "code.py") == {"commit": git("rev-parse", "HEAD"), "dirty": True}
