"""Cards: what is accepted, and one sentence with file, line and field for what is not."""

from __future__ import annotations

import re

import pytest

from cerebench.cohorts.card import load_card
from cerebench.errors import UsageError


def _layout(content):
    return content["layouts"][0]


def test_defaults_and_digest(base, make_card):
    card = make_card(base)
    assert card.folder_names() == ("toy",)
    assert card.source is not None
    assert card.source.name == "card.yaml"
    assert card.digest() == make_card(dict(reversed(base.items()))).digest()
    base["summary"] = "Another."
    assert card.digest() != make_card(base).digest()


def test_policy_comes_from_the_layout(base, make_card):
    _layout(base).update(resample_mask=True, erosion_mm=2.5)
    policy = make_card(base).layouts[0].read_policy()
    assert policy.labels == {1: "anomaly", 2: "ignore"}
    assert (policy.skull_stripped, policy.resample_mask, policy.erosion_mm) == (True, True, 2.5)


BREAKAGES = {
    "extra field": (lambda c: c.update(modalites=["t1"]), r"modalites: unknown field; did you mean 'modalities'\?"),
    "extra layout field": (
        lambda c: _layout(c).update(zebra=1),
        r"layouts\.0\.zebra: unknown field; known fields are:",
    ),
    "missing field": (lambda c: c.pop("licence"), r"line 1, licence: the field is missing"),
    "schema": (lambda c: c.update(schema=2), r"line 1, schema: .*1.*found 2"),
    "name": (lambda c: c.update(name="Toy Cohort"), r"line 2, name: .*found 'Toy Cohort'"),
    "absolute": (lambda c: _layout(c).update(mask="/{patient}.nii"), r"layouts\.0\.mask: .*must be a path relative"),
    "escape": (lambda c: _layout(c).update(mask="../{patient}.nii"), r"must not contain '\.\.'"),
    "braces": (lambda c: _layout(c).update(mask="{Patient!r}.nii"), r"brace that is no \{field\}"),
    "regex": (
        lambda c: _layout(c)["fields"].update(visit="("),
        r"fields: the expression '\(' of field 'visit' is broken",
    ),
    "group": (lambda c: _layout(c)["fields"].update(visit="(a)"), r"must use \(\?:…\)"),
    "label": (lambda c: _layout(c).update(labels={1: "tumour"}), r"layouts\.0\.labels\.1: .*found 'tumour'"),
    "grid": (lambda c: _layout(c).update(mask_modality="dwi"), r"mask_modality 'dwi' is not among its images"),
    "case field": (
        lambda c: _layout(c).update(case="{patient}-{run}"),
        r"the pattern of t1 lacks \{run\}",
    ),
    "patient field": (lambda c: _layout(c).update(patient="{run}"), r"patient names \{run\}, which no case has"),
    "patient constant": (lambda c: _layout(c).update(patient="one"), r"patient needs a \{field\}"),
    "same pattern": (
        lambda c: _layout(c).update(mask=_layout(c)["images"]["t1"]),
        r"two kinds of file have the same pattern",
    ),
    "mask modality name": (
        lambda c: (c["modalities"].append("mask"), _layout(c)["images"].update(mask="{site}/{patient}-{visit}/x.nii")),
        r"no modality may be called 'mask'",
    ),
    "unlisted modality": (lambda c: c.update(modalities=["t1"]), r"modality 'flair', which the card does not list"),
    "healthy with mask": (lambda c: c.update(healthy=True), r"has a lesion mask, but the cohort is healthy"),
    "folder": (lambda c: c.update(folders=["../x"]), r"must be the plain name of a folder"),
    "two layouts": (lambda c: c["layouts"].append(_layout(c)), r"two layouts are called 'nested'"),
}


@pytest.mark.parametrize(("change", "expected"), BREAKAGES.values(), ids=BREAKAGES.keys())
def test_malformed_card_is_one_sentence(base, write_card, change, expected):
    change(base)
    path = write_card(base)
    with pytest.raises(UsageError) as caught:
        load_card(path)
    message = str(caught.value)
    assert message.startswith(f"{path}, line ")
    assert "\n" not in message
    assert re.search(expected, message), message


def test_line_number_is_the_field_s(base, write_card):
    _layout(base)["labels"] = {1: "anomaly", 2: "tumour"}
    path = write_card(base)
    line = next(i for i, text in enumerate(path.read_text().splitlines(), 1) if "tumour" in text)
    with pytest.raises(UsageError, match=rf"line {line}, layouts\.0\.labels\.2"):
        load_card(path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: [1\nb: 2\n", r"line 2: not valid YAML"),
        ("name: a\nname: b\n", r"line 2, name: the field is given twice"),
        ("", r"expected a mapping of field names to values, found nothing"),
        ("- 1\n", r"found a list"),
        ("a: !!python/object/apply:os.getcwd []\n", r"line 1: not valid YAML: could not determine a constructor"),
    ],
)
def test_no_card_at_all(write_card, text, expected):
    with pytest.raises(UsageError, match=expected):
        load_card(write_card(text))


def test_unreadable_file(tmp_path):
    with pytest.raises(UsageError, match="cannot be read as a text file: No such file"):
        load_card(tmp_path / "absent.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="it is not UTF-8"):
        load_card(tmp_path / "binary.yaml")


SIMULATE = {
    "generator": "phantom",
    "layout": "nested",
    "lesion": "ms",
    "modalities": ["flair"],
    "centres": ["A", "B"],
    "fields": {"site": "{centre}", "patient": "P{index:03d}", "visit": "1"},
}


def test_simulation_fields_fit_the_layout(base, make_card):
    base["simulate"] = SIMULATE
    card = make_card(base)
    assert card.simulate is not None
    assert [card.simulate.slot(i).centre for i in range(3)] == ["A", "B", "A"]
    path = card.layout("nested").path("mask", **card.simulate.field_values(7))
    assert path.as_posix() == "B/P007-1/lesion.nii.gz"
    with pytest.raises(UsageError, match="has no layout 'flat'; it has: nested"):
        card.layout("flat")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"layout": "flat"}, r"simulate.layout 'flat' is no layout"),
        ({"modalities": ["t2"]}, r"simulate writes 't2'"),
        ({"lesion": "none"}, r"simulate.lesion is 'none' but healthy is false"),
        ({"fields": {"site": "A"}}, r"must give exactly: patient, site, visit"),
        ({"fields": {**SIMULATE["fields"], "visit": "{seed}"}}, r"may only use"),
        ({"fields": {**SIMULATE["fields"], "visit": "{index.real}"}}, r"may only use"),
        ({"fields": {**SIMULATE["fields"], "visit": "{index:q}"}}, r"may only use"),
        ({"fields": {**SIMULATE["fields"], "visit": "{index:{index}d}"}}, r"may only use"),
        ({"fields": {**SIMULATE["fields"], "visit": "one"}}, r"field 'visit' is 'one', which does not fit"),
    ],
)
def test_simulation_is_checked(base, write_card, change, expected):
    base["simulate"] = {**SIMULATE, **change}
    with pytest.raises(UsageError, match=expected):
        load_card(write_card(base))
