"""Metric names, the manifest and the hook agree."""

from __future__ import annotations

import importlib
from pathlib import Path

import yaml

import cerebench
from cerebench.scoring import plugin
from cerebench.scoring.metrics import METRIC_VERSION, METRICS

FIXED = {
    "ap", "auroc", "best_dice", "dice", "sensitivity", "specificity", "accuracy", "balanced_accuracy", "fpr",
    "fpr_at_95tpr", "sensitivity_at_1fpr", "sensitivity_at_5fpr", "sensitivity_at_10fpr", "brier", "prevalence",
    "dice_at_balanced", "sensitivity_at_balanced", "fpr_at_balanced",
}  # fmt: skip
LOWER = {"fpr", "fpr_at_95tpr", "fpr_at_balanced", "brier"}


def test_names_are_the_fixed_ones() -> None:
    assert set(METRICS) == FIXED
    assert isinstance(METRIC_VERSION, int)
    assert {name for name, metric in METRICS.items() if not metric.higher_is_better} == LOWER


def test_manifest_hook_and_code_agree() -> None:
    manifest = yaml.safe_load((Path(cerebench.__file__).parent / "cerebench.yaml").read_text(encoding="utf-8"))
    registered: dict[str, str] = {}
    plugin.bench_register_metrics(registered.__setitem__)
    assert [entry["name"] for entry in manifest["metrics"]] == list(METRICS) == list(registered)
    for entry in manifest["metrics"]:
        metric = METRICS[entry["name"]]
        assert registered[metric.name] == entry["target"]
        module, _, attribute = entry["target"].partition(":")
        assert getattr(importlib.import_module(module), attribute) is metric
        assert entry["summary"] == metric.summary
        assert tuple(entry["levels"]) == metric.levels
        assert entry["higher_is_better"] is metric.higher_is_better
