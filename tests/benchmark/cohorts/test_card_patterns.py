"""The pattern language: paths and matches are inverse to each other, and neither leaves the root."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cerebench.cohorts.card import Layout
from cerebench.errors import UsageError

LAYOUT = Layout(
    name="x",
    images={"t1": "{site}/{patient}/{patient}_T1.nii.gz", "t2": "{site}/{patient}/{patient}_T2.nii.gz"},
    mask="{site}/{patient}/seg.nii.gz",
    fields={"patient": r"[A-Za-z0-9_.]*[A-Za-z0-9]", "site": "Utrecht|Amsterdam/GE3T"},
    patient="{site}-{patient}",
)


@given(
    kind=st.sampled_from(["t1", "t2", "mask"]),
    site=st.sampled_from(["Utrecht", "Amsterdam/GE3T"]),
    patient=st.from_regex(r"[A-Za-z0-9_.]{0,5}[A-Za-z0-9]", fullmatch=True),
)
def test_match_inverts_path(kind, site, patient):
    path = LAYOUT.path(kind, site=site, patient=patient)
    assert LAYOUT.match(path) == (kind, {"site": site, "patient": patient})
    assert LAYOUT.match(f"x/{path}") is None
    assert LAYOUT.match(f"{path}.bak") is None


def test_repeated_placeholder_must_agree():
    assert LAYOUT.match("Utrecht/a/b_T1.nii.gz") is None


def test_uncompressed_file_is_the_same_kind():
    assert LAYOUT.match("Utrecht/a/a_T1.nii") == ("t1", {"site": "Utrecht", "patient": "a"})


def test_case_id_is_a_plain_name():
    assert LAYOUT.key == ("site", "patient")
    assert LAYOUT.case_id({"site": "Amsterdam/GE3T", "patient": "7"}) == "Amsterdam_GE3T-7"


def test_special_characters_are_literal():
    layout = Layout(name="x", images={"t1": "a+b/{case}(1).nii"}, patient="{case}")
    assert layout.match("a+b/7(1).nii") == ("t1", {"case": "7"})
    assert layout.match("aab/71.nii") is None


@pytest.mark.parametrize(
    ("kind", "fields", "expected"),
    [
        ("seg", {}, "has no file 'seg'; it has: t1, t2, mask"),
        ("t1", {"site": "Utrecht"}, "needs a value for field 'patient'"),
        ("t1", {"site": "Delft", "patient": "1"}, "field 'site' is 'Delft'"),
    ],
)
def test_path_refuses(kind, fields, expected):
    with pytest.raises(UsageError, match=expected):
        LAYOUT.path(kind, **fields)


@pytest.mark.parametrize("case", ["..", "../x", "a/../../x", "/etc", "a//b", ".", "a\\b"])
def test_path_never_leaves_the_root(case):
    layout = Layout(name="x", images={"t1": "{case}/T1.nii"}, patient="{case}", fields={"case": ".*"})
    with pytest.raises(UsageError, match="is not inside its folder"):
        layout.path("t1", case=case)


def test_importing_the_reader_brings_no_heavy_library():
    code = (
        "import sys, cerebench.cohorts.locate, cerebench.cohorts.splits, cerebench.cohorts.twins; print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "cerebench.cohorts.reader" in loaded
    assert not {"torch", "numpy", "pandas", "scipy", "nibabel"} & set(loaded)
