"""The calibration curve and the Brier score against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.calibration import calibration_curve as reference
from sklearn.metrics import brier_score_loss

from cerebench.scoring.calibration import calibration_curve
from cerebench.scoring.detection import detection_metrics


@pytest.mark.parametrize("n", [12, 28, 400])
@pytest.mark.parametrize("digits", [1, 6], ids=["ties", "no ties"])
def test_curve_and_brier_equal_scikit_learns(n: int, digits: int) -> None:
    rng = np.random.default_rng(n)
    labels = rng.random(n) < 0.4
    scores = np.round(np.clip(0.3 * labels + 0.7 * rng.random(n), 0, 1), digits)
    observed, predicted = reference(labels, scores, n_bins=5, strategy="quantile")
    found = calibration_curve(scores, labels)
    np.testing.assert_allclose([item.predicted for item in found], predicted, atol=1e-12)
    np.testing.assert_allclose([item.observed for item in found], observed, atol=1e-12)
    assert sum(item.lesions for item in found) == n
    assert all(item.low <= item.observed <= item.high for item in found)
    brier = detection_metrics(scores, labels, probabilities=True)["brier"]
    assert brier == pytest.approx(brier_score_loss(labels, scores), abs=1e-12)


def test_limits_are_wilsons() -> None:
    from scipy.stats import binomtest

    (found,) = calibration_curve([0.5] * 10, [1] * 8 + [0] * 2)
    wanted = binomtest(8, 10).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), abs=1e-12)


def test_nothing_gives_no_bin_and_no_probability_is_refused() -> None:
    assert calibration_curve([], []) == []
    with pytest.raises(ValueError, match="expected"):
        calibration_curve([0.2, 1.2], [0, 1])
