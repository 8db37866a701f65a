"""Feature selection inside the cross-validation, and what is left of the pipeline as plain arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

if TYPE_CHECKING:
    from cerebench_methods.radiomics.method import Radiomics

Floats = npt.NDArray[np.float64]


class Fitted(NamedTuple):
    """A linear classifier: logit = intercept + Σ coefficients · (x − mean) / spread."""

    mean: Floats
    spread: Floats
    coefficients: Floats
    intercept: Floats


def fit_classifier(table: Floats, labels: Sequence[int], settings: Radiomics.Settings, seed: int) -> Fitted:
    """Choose the number of features and the penalty by the cross-validated AUC, then fit on all lesions.

    Standardisation and selection are part of the pipeline, so that no fold sees its own lesions before it is scored.

    Args:
        table: ``[n, features]``, finite, no feature constant.
        labels: ``[n]`` of 0 and 1.
        settings: what is chosen among.
        seed: of the folds.
    """
    count = table.shape[1]
    pipeline = Pipeline(
        [
            ("scale", StandardScaler()),
            ("select", SelectKBest(f_classif)),
            ("classify", LogisticRegression(max_iter=2000)),
        ]
    )
    folds = min(settings.folds, int(np.bincount(labels).min()))
    grid = {
        "select__k": sorted({min(one, count) for one in settings.select}),
        "classify__C": list(settings.strengths),
    }
    if folds < 2:
        best = pipeline.set_params(select__k=grid["select__k"][0], classify__C=grid["classify__C"][0])
        best.fit(table, labels)
    else:
        splits = StratifiedKFold(folds, shuffle=True, random_state=seed % 2**32)
        # features that are constant in a fold give nan scores, which the selection ranks last
        with np.errstate(invalid="ignore", divide="ignore"):
            best = GridSearchCV(pipeline, grid, scoring="roc_auc", cv=splits).fit(table, labels).best_estimator_
    coefficients = np.zeros(count)
    coefficients[best["select"].get_support()] = best["classify"].coef_[0]
    return Fitted(best["scale"].mean_, best["scale"].scale_, coefficients, best["classify"].intercept_)
