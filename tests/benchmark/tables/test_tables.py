"""Tables for people: what is marked, what is never mixed, and a reason for every gap."""

from __future__ import annotations

import re
from typing import Any

import pytest

from cerebench.boards import COLUMNS
from cerebench.tables import render

BETTER = {"ap": True, "best_dice": True, "fpr": False, "auroc": True}
RANKED = {("p", 1, "paper"): ""}
HEADLINES = {"p": ["ap"]}


def row(method: str, value: float | None, column: str = "c t1", **more: Any) -> dict[str, Any]:
    cohort, modality = column.split()
    base = dict.fromkeys(COLUMNS, "")
    base |= {"protocol": "p", "protocol_version": 1, "method": method, "cohort": cohort, "modality": modality}
    base |= {
        "level": "voxel",
        "post": "raw",
        "stratum": "all",
        "metric": "ap",
        "value": value,
        "low": None,
        "high": None,
    }
    base |= {"n_cases": 12, "provenance": "real", "training_source": "normals (real)", "preset": "paper", "seed": 0}
    return {**base, "status": "ok", "flagged": False, "preparation": "abc", **more}


def lost(method: str, reason: str, status: str = "failed", column: str = "c t1", **more: Any) -> dict[str, Any]:
    return row(method, None, column, **{"status": status, "reason": reason, "n_cases": 0, **more})


def shown(rows: list[dict[str, Any]], style: Any = "markdown", **more: Any) -> str:
    banners = {("p", 1, preset): "" if preset == "paper" else "smoke test" for preset in ("paper", "quick")}
    return render(rows, banners, HEADLINES, BETTER, style=style, **more)


def cells(text: str) -> dict[str, list[str]]:
    """First word of every line of Markdown tables → the other cells."""
    lines = [line for line in text.splitlines() if line.startswith("|") and not line.startswith("|:")]
    return {
        parts[0].strip(): [part.strip() for part in parts[1:]] for parts in (x.strip("|").split("|") for x in lines)
    }


def test_columns_values_intervals_and_provenance():
    text = shown([row("a", 0.51239, low=0.4, high=0.61), row("b", 0.25), row("b", 0.75, "d t2", cohort="d")])
    assert text.startswith("### p v1 · preset paper · real data")
    assert "ap (voxel, raw)" in text
    found = cells(text)
    assert found["method"] == ["c t1", "d t2", "mean rank"]
    assert found["a"][0] == "**0.512** [0.40, 0.61]"
    assert found["b"][:2] == ["0.250", "0.750"]
    assert "Provenance: real test cases: c (12), d (12); 1 seed." in text
    assert "Trained on: normals (real)." in text


@pytest.mark.parametrize(
    ("style", "best"), [("markdown", "**0.900**"), ("latex", r"\textbf{0.900}"), ("table", "\x1b[1m0.900\x1b[0m")]
)
def test_the_best_is_bold_in_every_style(style, best):
    text = shown([row("a", 0.9), row("b", 0.1)], style, bold=True)
    assert best in text
    assert best not in shown([row("a", 0.9, preset="quick"), row("b", 0.1, preset="quick")], style, bold=True)
    assert "\x1b" not in shown([row("a", 0.9), row("b", 0.1)], "table")


def test_an_unranked_preset_has_its_banner_and_neither_bold_nor_ranks():
    text = shown([row("a", 0.9, preset="quick"), row("b", 0.1, preset="quick")])
    assert "· SMOKE TEST" in text
    assert "**" not in text
    assert "mean rank" not in text


def test_one_method_alone_is_not_ranked():
    text = shown([row("a", 0.9)])
    assert "**" not in text
    assert "mean rank" not in text


def test_ties_share_rank_and_bold_and_a_gap_ranks_last():
    rows = [row("a", 0.5), row("b", 0.5), row("z", 0.1)]
    rows += [row("a", 0.9, "d t1"), row("b", 0.2, "d t1"), lost("z", "it raised", column="d t1")]
    found = cells(shown(rows))
    assert [found[name][-1] for name in "abz"] == ["1.25", "1.75", "3.00"]
    assert [found[name][0] for name in "abz"] == ["**0.500**", "**0.500**", "0.100"]
    assert found["z"][1] == "failed [1]"


def test_where_less_is_better_the_lowest_leads():
    rows = [row("a", 0.02, metric="fpr"), row("b", 0.2, metric="fpr")]
    found = cells(shown(rows, metric="fpr"))
    assert found["a"] == ["**0.020**", "1.00"]
    assert found["b"] == ["0.200", "2.00"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("provenance", "in-silico"),
        ("protocol_version", 2),
        ("preset", "quick"),
        ("preparation", "other"),
        ("protocol", "q"),
    ],
)
def test_what_must_not_be_compared_stands_in_two_tables(field, value):
    text = shown([row("a", 0.9), row("b", 0.1, **{field: value})])
    assert text.count("### ") == 2
    assert "**" not in text
    assert [line for line in text.splitlines() if re.match(r"\| [ab] ", line)]
    first, second = text.split("\n### ")
    assert ("| a " in first) != ("| a " in second)


def test_reasons_are_numbered_footnotes_and_each_is_given_once():
    rows = [
        row("a", 0.9),
        lost("b", "it raised KeyError"),
        row("a", 0.8, "d t1"),
        lost("b", "it hung", "timeout", "d t1"),
    ]
    rows += [row("a", 0.7, "e t1"), lost("b", "it raised KeyError", column="e t1")]
    text = shown(rows)
    assert cells(text)["b"][:3] == ["failed [1]", "timeout [2]", "failed [1]"]
    assert "[1] it raised KeyError" in text
    assert "[2] it hung" in text
    assert text.count("KeyError") == 1


def test_columns_skipped_for_everyone_are_told_below():
    rows = [row("a", 0.9), row("b", 0.8)]
    rows += [lost(name, "no folder of d", "skipped", column) for name in "ab" for column in ("d t1", "d t2")]
    text = shown(rows)
    assert cells(text)["method"] == ["c t1", "mean rank"]
    assert "Not tested: d t1, d t2: no folder of d" in text


def test_a_skip_of_one_method_is_a_dash_with_its_reason():
    text = shown([row("a", 0.9), lost("b", "not meant for t1", "skipped")])
    assert cells(text)["b"][0] == "– [1]"
    assert "[1] not meant for t1" in text


def test_intervals_of_few_patients_are_flagged():
    text = shown([row("a", 0.9, low=0.8, high=0.95, flagged=True), row("b", 0.1)])
    assert cells(text)["a"][0] == "**0.900** [0.80, 0.95]†"
    assert "† fewer than 100 patients" in text
    assert "†" not in shown([row("a", 0.9)])


def test_healthy_columns_have_their_own_table_of_false_positives():
    rows = [row("a", 0.9), row("a", 0.05, metric="fpr"), row("a", 0.03, "healthy t1", metric="fpr")]
    first, second = shown(rows).split("fpr (voxel, raw)")
    assert cells(first)["method"] == ["c t1"]
    assert cells(second)["method"] == ["healthy t1"]
    assert cells(second)["a"] == ["0.030"]


def test_a_failure_on_a_healthy_column_stands_in_its_own_table():
    rows = [row("a", 0.9), row("b", 0.8), row("a", 0.03, "healthy t1", metric="fpr")]
    rows += [lost("b", "it raised", column="healthy t1")]  # stands for the headline metric, ap
    first, second = shown(rows).split("fpr (voxel, raw)")
    assert cells(first)["method"] == ["c t1", "mean rank"]
    assert cells(second)["b"][0] == "failed [1]"


def test_a_failed_method_is_shown_under_every_metric():
    rows = [row("a", 0.9, metric="auroc"), lost("b", "it raised")]
    found = cells(shown(rows, metric="auroc"))
    assert found["b"][0] == "failed [1]"
    assert shown([row("a", 0.9), lost("b", "it raised")], metric="brier").count("|") == 0


def test_seeds_are_averaged_and_a_lost_one_is_told():
    rows = [row("a", 0.2), row("a", 0.4, seed=1), row("b", 0.5), lost("b", "it ran out of memory", "oom", seed=1)]
    text = shown(rows)
    assert cells(text)["a"][0] == "0.300"
    assert cells(text)["b"][0] == "**0.500** [1]"
    assert "[1] 1 of 2 seeds: it ran out of memory" in text
    assert "2 seeds." in text


def test_variants_are_methods_of_their_own_and_posts_are_chosen():
    rows = [row("a", 0.2), row("a", 0.4, variant="width=9"), row("a", 0.7, post="median")]
    assert cells(shown(rows))["a[width=9]"][0] == "**0.400**"
    assert cells(shown(rows, post="median"))["a"] == ["0.700"]


def test_rules_at_percentiles_are_never_averaged_with_the_validation_point():
    slices = [row("a", value, level="slice", post=post) for post, value in (("raw", 0.8), ("p95", 0.6), ("p99", 0.4))]
    text = shown(slices)
    assert (cells(text)["a"], "ap (slice)" in text) == (["0.800"], True)
    assert cells(shown(slices, post="median"))["a"] == ["0.800"]
    text = shown(slices, post="p95")
    assert (cells(text)["a"], "ap (slice, p95)" in text) == (["0.600"], True)
    assert cells(shown([row("a", 0.3), *slices], post="p95"))["a"] == ["0.300"]


def test_many_methods_and_columns_are_printed_in_blocks_that_fit_a_terminal():
    methods, columns = [f"m{at:02}" for at in range(14)], [f"c{at:02} t1" for at in range(16)]
    rows = [row(name, index / 100, column) for index, name in enumerate(methods) for column in columns]
    lines = shown(rows, style="table").splitlines()
    heads = [line.split()[1:] for line in lines if line.startswith("column ")]
    assert heads == [methods[:6], methods[6:12], methods[12:]]
    assert sum(line.startswith("c07 t1 ") for line in lines) == 3
    assert max(len(line) for line in lines if line.startswith("c")) < 120
    assert len([line for line in shown(rows).splitlines() if line.startswith("| c07 t1")]) == 1


def test_the_level_can_be_chosen_and_voxels_come_first():
    rows = [row("a", 0.2), row("a", 0.8, level="subject")]
    assert cells(shown(rows))["a"] == ["0.200"]
    text = shown(rows, level="subject")
    assert cells(text)["a"] == ["0.800"]
    assert "ap (subject)" in text


def test_nothing_but_failures_is_a_list_of_reasons():
    text = shown([lost("a", "it raised"), lost("b", "it hung", "timeout")])
    assert "ap: no value\n  a on c t1: it raised\n  b on c t1: it hung" in text
    assert "test cases: none" in text


def test_latex_is_a_tabular():
    text = shown([row("a", 0.9), row("b", 0.1)], "latex")
    assert text.startswith("% p v1")
    assert r"\begin{tabular}" in text


def test_the_footer_counts_tested_cases_without_controls():
    rows = [row("a", 0.9), row("a", 0.8, level="subject", n_cases=40), row("a", 0.9, "c t2", n_cases=15)]
    assert "real test cases: c (15);" in shown(rows)


def test_a_wide_table_goes_down_the_page():
    columns = [f"c{number} t1" for number in range(8)]
    found = cells(shown([row(name, 0.1 * place, column) for column in columns for place, name in enumerate("ab", 1)]))
    assert found["column"] == ["a", "b"]
    assert found["c3 t1"] == ["0.100", "**0.200**"]
    assert found["mean rank"] == ["2.00", "1.00"]
    assert list(found)[1:9] == columns


def test_columns_that_were_not_tested_are_named_once_for_all_tables():
    rows = [row("a", 0.5), row("a", 0.4, metric="best_dice")]
    rows += [lost("a", "no healthy source", "skipped", "d t2", metric=name) for name in ("ap", "best_dice")]
    text = render(rows, RANKED, {"p": ["ap", "best_dice"]}, BETTER)
    assert text.count("Not tested: d t2: no healthy source") == 1
    assert text.index("best_dice (voxel") < text.index("Not tested") < text.index("Provenance")


def test_a_protocol_names_the_level_of_its_headline():
    rows = [row("a", 0.5), row("a", 0.7, level="slice"), row("a", 0.9, level="subject")]
    assert "0.700" in render(rows, RANKED, HEADLINES, BETTER, levels={"p": "slice"})
    assert "0.900" in render(rows, RANKED, HEADLINES, BETTER, levels={"p": "slice"}, level="subject")
    assert "0.500" in render(rows, RANKED, HEADLINES, BETTER, levels={"p": None})
