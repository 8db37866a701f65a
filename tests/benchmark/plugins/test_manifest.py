"""Manifests: found without import, checked field by field, never letting a path out."""

from __future__ import annotations

import sys
from typing import get_args

import pytest

from cerebench.contract import info
from cerebench.plugins import manifest
from cerebench.plugins.registry import Registry


def state_of(distribution: str):
    return next(state for state in Registry.discover().plugins() if state.distribution == distribution)


@pytest.mark.parametrize(
    ("words", "literal"),
    [
        (manifest.TASKS, info.Task),
        (manifest.SUPERVISIONS, info.Supervision),
        (manifest.UNITS, info.Unit),
        (manifest.TRAININGS, info.Training),
        (manifest.INPUTS, info.SideInput),
    ],
)
def test_words_are_those_of_the_contract(words, literal):
    assert words == get_args(literal)


def test_this_version_of_the_contract_is_supported():
    assert info.API_VERSION in manifest.SUPPORTED_APIS
    assert get_args(info.MethodInfo.model_fields["cost"].annotation) == manifest.COSTS


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        (("schema: 1", "schema: 2"), "schema is 2, expected 1"),
        (("api: 1", "api: one"), "api is 'one', expected a whole number"),
        (("api: 1", "api: true"), "api is True, expected a whole number"),
        (("methods:", "method:"), "unknown field 'method': did you mean 'methods'?"),
        (("unit: volume", "unit: voxel"), "unit is 'voxel', expected slice or volume or lesion"),
        (("task: anomaly", "tsk: anomaly"), "lacks 'task'"),
        (("task: anomaly", "tsk: anomaly"), "unknown field 'tsk': did you mean 'task'?"),
        (("name: {name}", "name: Bad!"), "name is 'Bad!', expected lower-case letters"),
        (("method:Invert", "method.Invert"), "expected 'module:Class'"),
        (("modalities: []", "modalities: t1"), "modalities is 't1', expected a list of words"),
        (("summary: Inverts.", "summary:"), "summary is None, expected text"),
        (("unit: volume", "unit: volume\n    inputs: [age]"), "inputs is ['age'], expected words of: lesion-mask"),
        (("schema: 1", "schema: 1\ncohorts: [{card: ../../secret.yaml}]"), "leaves the package's folder"),
        (("schema: 1", "schema: 1\ncohorts: [{card: /etc/passwd}]"), "leaves the package's folder"),
        (("schema: 1", "schema: 1\ncohorts: [{file: a.yaml}]"), "expected one field 'card'"),
        (("schema: 1", "schema: 1\nprotocols: a.yaml"), "protocols is str, expected a list"),
        (("schema: 1", "schema: 1\nmetrics: [ap]"), "metrics[0] is 'ap', expected fields"),
    ],
)
def test_a_wrong_field_is_named(install, edit, problem):
    install("fake-bad", edit=edit)
    state = state_of("fake-bad")
    assert state.state == "failed"
    problems = manifest.read_manifest(manifest.find_manifest("fake_bad.plugin")).problems
    assert any(problem in text and "cerebench.yaml" in text for text in problems), problems


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("methods: [", "line 2: not valid YAML"),
        ("- 1", "found list"),
        ("", "found NoneType"),
        ("!!python/object/apply:os.system ['true']", "not valid YAML"),
    ],
)
def test_a_file_that_is_no_manifest(install, text, problem):
    install("fake-bad", manifest=text)
    state = state_of("fake-bad")
    assert state.state == "failed"
    assert problem in state.error


def test_a_link_does_not_lead_out_of_the_package(install, tmp_path):
    (tmp_path / "secret.yaml").write_text("name: secret")
    folder = install("fake-bad", edit=("schema: 1", "schema: 1\ncohorts: [{card: link.yaml}]"))
    (folder / "link.yaml").symlink_to(tmp_path / "secret.yaml")
    assert "leaves the package's folder" in state_of("fake-bad").error


def test_no_manifest(install):
    install("fake-bad", manifest=None)
    assert "has no cerebench.yaml" in state_of("fake-bad").error


def test_a_package_that_is_gone(install):
    folder = install("fake-bad")
    folder.rename(folder.with_name("elsewhere"))
    assert "is not installed" in state_of("fake-bad").error


def test_a_single_file_cannot_carry_a_manifest(install):
    folder = install("fake-bad")
    folder.rename(folder.with_name("elsewhere"))
    folder.with_name("fake_bad.py").write_text("")
    assert "single file" in state_of("fake-bad").error


def test_a_package_within_a_namespace(install):
    folder = install("fake-space")
    inner = folder.with_name("fake_shared") / "part"
    inner.parent.mkdir()
    folder.rename(inner)
    assert manifest.find_manifest("fake_shared.part.plugin") == inner / "cerebench.yaml"
    assert "fake_shared.part" not in sys.modules


def test_two_entry_points_of_one_package(install):
    folder = install("fake-twice")
    info_folder = next(folder.parent.glob("fake_twice-*.dist-info"))
    (info_folder / "entry_points.txt").write_text("[cerebench]\na = fake_twice.plugin\nb = fake_twice.plugin\n")
    states = {state.name: state for state in Registry.discover().plugins()}
    assert states["a"].state == "ok"
    assert states["b"].state == "failed"
    assert "entry point 'a'" in states["b"].error
