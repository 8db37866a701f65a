"""``bench plugins new``: the packages it writes work as they are, and names that cannot be are refused."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest
import yaml

from cerebench.errors import UsageError
from cerebench.plugins.registry import Registry
from cerebench.scaffold.names import check_name
from cerebench.scaffold.write import new_package


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    monkeypatch.setenv("CEREBENCH_PLUGINS", "new-*")
    return Registry.discover()


def lines_of_code(path: Path) -> int:
    """Lines that hold code, without imports and docstrings."""
    text = path.read_text()
    kept: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import | ast.ImportFrom) or not hasattr(node, "lineno"):
            continue
        kept |= set(range(node.lineno, node.end_lineno + 1))
    for node in ast.walk(ast.parse(text)):
        body = getattr(node, "body", [])
        if (
            isinstance(body, list)
            and body
            and isinstance(body[0], ast.Expr)
            and isinstance(body[0].value, ast.Constant)
        ):
            kept -= set(range(body[0].lineno, body[0].end_lineno + 1))
    lines = text.splitlines()
    return sum(bool(lines[number - 1].strip()) and not lines[number - 1].strip().startswith("#") for number in kept)


def test_method_package_works_as_it_is(tmp_path, registry, install):
    from cerebench.testing.declaration import check_declaration, check_manifest, check_settings

    files = new_package("new-method", "method", tmp_path, registry)
    folder = tmp_path / "new-method"
    assert {str(path) for path in files} == {
        "new-method/.github/workflows/ci.yml",
        "new-method/.gitignore",
        "new-method/README.md",
        "new-method/new_method/__init__.py",
        "new-method/new_method/cerebench.yaml",
        "new-method/new_method/method.py",
        "new-method/new_method/plugin.py",
        "new-method/pyproject.toml",
        "new-method/tests/test_method.py",
    }
    assert not [path for path in files if "@" in (tmp_path / path).read_text().replace("@v", "").replace("@hook", "")]
    assert 0 < lines_of_code(folder / "new_method" / "method.py") <= 15
    install(folder)
    found = Registry.discover()
    assert found.warnings() == []
    method = found.load_method("new-method")
    assert method.__name__ == "NewMethod"
    assert found.method_disagreements("new-method") == []
    for check in (check_declaration, check_manifest, check_settings):
        check(method)
    importlib.import_module("new_method.plugin")
    assert "assert_conforms(NewMethod)" in (folder / "tests" / "test_method.py").read_text()


@pytest.mark.slow
def test_method_of_a_new_package_keeps_the_contract(tmp_path, registry, install):
    from cerebench.testing import assert_conforms

    new_package("new-method", "method", tmp_path, registry)
    install(tmp_path / "new-method")
    assert_conforms(Registry.discover().load_method("new-method"))


def test_cohort_package_works_as_it_is(tmp_path, registry, install):
    from cerebench.testing import card_checks

    new_package("new-cohort", "cohort", tmp_path, registry)
    folder = tmp_path / "new-cohort"
    card = folder / "new_cohort" / "cards" / "new-cohort.yaml"
    assert card.is_file()
    install(folder)
    found = Registry.discover()
    assert found.warnings() == []
    assert found.card("new-cohort").source == card
    assert found.entry("cohort", "new-cohort").available(None) == "in-silico"
    assert card_checks.patterns(found.card("new-cohort"), 5) == "25 names of 5 cases"
    compile((folder / "tests" / "test_card.py").read_text(), "test_card.py", "exec")


def test_workflow_is_yaml_and_runs_what_there_is(tmp_path, registry):
    new_package("new-method", "method", tmp_path, registry)
    workflow = yaml.safe_load((tmp_path / "new-method/.github/workflows/ci.yml").read_text())
    steps = [step["run"] for step in workflow["jobs"]["test"]["steps"] if "run" in step]
    assert steps == ["pip install -e '.[test]'", "pytest", "bench plugins check new-method"]
    assert workflow["permissions"] == {"contents": "read"}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("My_Method", "expected lower-case letters .* did you mean 'my-method'"),
        ("MyMethod", "did you mean 'my-method'"),
        ("Ünet", "is no name of a package"),
        ("a--b", "did you mean 'a-b'"),
        ("../x", "did you mean 'x'"),
        ("", "is no name of a package"),
        ("json", "means something to Python"),
        ("class", "means something to Python"),
        ("all", "means something to Python"),
        ("autoencoder", "method 'autoencoder' is already provided by cerebench"),
        ("pluggy", "'pluggy' is already an installed distribution, version"),
        ("cerebench-methods", "a package 'cerebench_methods' is already there, from"),
    ],
)
def test_names_that_cannot_be(registry, name, words):
    with pytest.raises(UsageError, match=words):
        check_name(name, "method", registry)


def test_names_of_the_other_kind_are_free(registry):
    check_name("ixi", "method", registry)
    with pytest.raises(UsageError, match="cohort 'ixi' is already provided by cerebench"):
        check_name("ixi", "cohort", registry)


def test_nothing_is_overwritten_or_left_behind(tmp_path, registry):
    (tmp_path / "new-method").mkdir()
    with pytest.raises(UsageError, match="new-method is already there: choose another name or --dir"):
        new_package("new-method", "method", tmp_path, registry)
    with pytest.raises(UsageError, match="is no folder"):
        new_package("new-other", "method", tmp_path / "none", registry)
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is no folder"):
        new_package("new-other", "method", tmp_path / "file", registry)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "new-method"]
