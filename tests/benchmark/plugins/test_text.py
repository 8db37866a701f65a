"""Suggestions, selections with settings, sizes and durations."""

from __future__ import annotations

import pytest

from cerebench.errors import UsageError
from cerebench.text import did_you_mean, human_duration, human_size, parse_selection, split_list


@pytest.mark.parametrize(
    ("name", "known", "clause"),
    [
        ("autoencodr", ["autoencoder", "ixi"], "did you mean 'autoencoder'?"),
        ("auto", ["autoencoder", "ixi"], "did you mean 'autoencoder'?"),
        ("zzz", ["b", "a"], "known: a, b"),
        ("zzz", [], "none is known"),
        ("zzz", [f"m{i:02}" for i in range(15)], "m11 and 3 more"),
    ],
)
def test_suggestions(name, known, clause):
    assert clause in did_you_mean(name, known)


def test_lists_are_split_outside_brackets_and_quotes():
    assert split_list("a[x=1,y=[2,3]], b*,,c['x,y']") == ["a[x=1,y=[2,3]]", "b*", "c['x,y']"]
    assert split_list("") == []


@pytest.mark.parametrize("text", ["a[x=1", "a]", "a[x=(1]", "a['x"])
def test_brackets_that_do_not_match(text):
    with pytest.raises(UsageError, match=r"name\[key=value"):
        split_list(text)


def test_a_selection_without_settings():
    assert parse_selection(" autoencoder ") == ("autoencoder", {})
    assert parse_selection("autoencoder[]") == ("autoencoder", {})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("16", 16),
        ("0.5", 0.5),
        ("1e-4", 1e-4),
        (".5E3", 500.0),
        ("true", True),
        ("False", False),
        ("no", "no"),
        ("off", "off"),
        ("null", None),
        ("bright", "bright"),
        ("'16'", "16"),
        ("[1, 2]", [1, 2]),
        ("{a: 1}", {"a": 1}),
        ("1:30", "1:30"),
        ("2020-01-01", "2020-01-01"),
        ("", None),
    ],
)
def test_values_are_typed(text, value):
    name, overrides = parse_selection(f"m[first=x,key={text}]")
    assert (name, overrides["first"]) == ("m", "x")
    assert overrides["key"] == value
    assert type(overrides["key"]) is type(value)


@pytest.mark.parametrize("text", ["", "[x=1]", "m[x]", "m[x=1]y", "m[x=1", "m[1x=2]", "m[x=1,x=2]", "m[x=]]", "m[x=@]"])
def test_malformed_selections(text):
    with pytest.raises(UsageError):
        parse_selection(text)


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (3 * 2**30, "3.0 GiB"), (2**41, "2.0 TiB")]
)
def test_sizes(size, text):
    assert human_size(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.25, "0.25 s"),
        (12.4, "12 s"),
        (59.7, "1 min"),
        (185, "3 min 5 s"),
        (7800, "2 h 10 min"),
        (3600, "1 h"),
        (100800, "1 d 4 h"),
    ],
)
def test_durations(seconds, text):
    assert human_duration(seconds) == text
