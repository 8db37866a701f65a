"""The fixed metric names with their levels and directions. Changing what a name means raises ``METRIC_VERSION``."""

from __future__ import annotations

from dataclasses import dataclass

METRIC_VERSION = 3

VOXEL = "voxel"
CASE_LEVELS = ("slice", "subject", "lesion")
ALL_LEVELS = (VOXEL, *CASE_LEVELS)


@dataclass(frozen=True)
class Metric:
    """A name that tables use.

    Attributes:
        name: fixed public name.
        summary: one sentence.
        levels: where it is defined: ``voxel``, ``slice``, ``subject``, ``lesion``.
        higher_is_better: direction for ranks.
        needs_positives: undefined on data without positives.
        needs_negatives: undefined on data without negatives.
        tolerance: differences between two runs up to this are never called worse. By default 1e-3: the sketch warns
            where the order within its score codes could move a metric by more than that.
    """

    name: str
    summary: str
    levels: tuple[str, ...]
    higher_is_better: bool = True
    needs_positives: bool = True
    needs_negatives: bool = True
    tolerance: float = 1e-3


AP = Metric("ap", "Step-wise average precision (area under the precision-recall steps).", ALL_LEVELS)
AUROC = Metric("auroc", "Area under the ROC curve, ties counted half.", ALL_LEVELS)
BEST_DICE = Metric(
    "best_dice", "Highest Dice over all thresholds (an oracle: the threshold sees the test labels).", (VOXEL,)
)
DICE = Metric("dice", "Dice at the threshold chosen on validation, small components removed.", (VOXEL,))
SENSITIVITY = Metric(
    "sensitivity", "Share of positives found at the validation threshold.", ALL_LEVELS, needs_negatives=False
)
SPECIFICITY = Metric(
    "specificity", "Share of negatives left alone at the validation threshold.", ALL_LEVELS, needs_positives=False
)
ACCURACY = Metric("accuracy", "Share of right decisions at the validation threshold.", CASE_LEVELS)
BALANCED_ACCURACY = Metric(
    "balanced_accuracy", "Mean of sensitivity and specificity at the validation threshold.", CASE_LEVELS
)
FPR = Metric("fpr", "Share of negatives called positive at the validation threshold.", ALL_LEVELS, False, False)
FPR_AT_95TPR = Metric("fpr_at_95tpr", "False-positive rate where 95 % of the positives are found.", (VOXEL,), False)
SENSITIVITY_AT_1FPR = Metric(
    "sensitivity_at_1fpr", "Sensitivity at the threshold of 1 % false positives in healthy validation data.", (VOXEL,)
)
SENSITIVITY_AT_5FPR = Metric(
    "sensitivity_at_5fpr", "Sensitivity at the threshold of 5 % false positives in healthy validation data.", (VOXEL,)
)
SENSITIVITY_AT_10FPR = Metric(
    "sensitivity_at_10fpr", "Sensitivity at the threshold of 10 % false positives in healthy validation data.", (VOXEL,)
)
DICE_AT_BALANCED = Metric(
    "dice_at_balanced", "Dice at the threshold chosen on validation with equal weight for kinds of lesion.", (VOXEL,)
)
SENSITIVITY_AT_BALANCED = Metric(
    "sensitivity_at_balanced",
    "Share of lesion voxels found at the threshold chosen with equal weight for kinds of lesion.",
    (VOXEL,),
    needs_negatives=False,
)
FPR_AT_BALANCED = Metric(
    "fpr_at_balanced",
    "Share of normal voxels called positive at the threshold chosen with equal weight for kinds of lesion.",
    (VOXEL,),
    False,
    False,
)
PREVALENCE = Metric("prevalence", "Share of positives in the tested data.", CASE_LEVELS, True, False, False)
BRIER = Metric("brier", "Mean squared error of probabilities (only for scores in [0, 1]).", CASE_LEVELS, False)

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        AP,
        AUROC,
        BEST_DICE,
        DICE,
        SENSITIVITY,
        SPECIFICITY,
        ACCURACY,
        BALANCED_ACCURACY,
        FPR,
        FPR_AT_95TPR,
        SENSITIVITY_AT_1FPR,
        SENSITIVITY_AT_5FPR,
        SENSITIVITY_AT_10FPR,
        DICE_AT_BALANCED,
        SENSITIVITY_AT_BALANCED,
        FPR_AT_BALANCED,
        BRIER,
        PREVALENCE,
    )
}
