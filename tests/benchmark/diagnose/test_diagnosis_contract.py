"""What a method may return from ``diagnose``, and what is drawn of it."""

from __future__ import annotations

import numpy as np
import pytest

from cerebench.api import Diagnosis, Figure, Finding, Panels, Scatter
from cerebench.contract.diagnosis import check_diagnosis
from cerebench.diagnose.pictures import LINE, MARGIN, PALETTE, SIZE, draw
from cerebench.errors import MethodError

PLANES = np.zeros((2, 6, 8))


@pytest.mark.parametrize(
    ("value", "beyond", "triggered"),
    [(0.5, "above", False), (0.6, "above", True), (0.5, "below", False), (0.4, "below", True), (None, "above", None)],
)
def test_a_finding_is_triggered_beyond_its_threshold(value, beyond, triggered):
    assert Finding("fault", "figure", value, 0.5, beyond).triggered is triggered


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({}, "returned dict, expected a Diagnosis"),
        (Diagnosis((Figure("a", float("nan")),)), "figure 'a' is nan"),
        (Diagnosis((Figure("a", 1.0), Figure("a", 2.0))), "two figures the name 'a'"),
        (Diagnosis((), (Finding("f", "a", 1.0, 0.5),)), "finding 'f' names the figure 'a'"),
        (Diagnosis(pictures={"p": PLANES}), "is ndarray, expected Panels or Scatter"),
        (Diagnosis(pictures={"p": Panels({"x": PLANES}, ("one",), (1, 1))}), r"expected one shape \[1, D, H\]"),
        (Diagnosis(pictures={"p": Panels({}, (), (1, 1))}), "expected one shape"),
        (Diagnosis(pictures={"p": Scatter({"g": PLANES[0]})}), r"points of shape \(6, 8\)"),
        (Diagnosis(pictures={"p": Scatter({"g": np.full((3, 2), np.inf)})}), "NaN or infinite"),
    ],
)
def test_other_answers_are_refused(found, words):
    with pytest.raises(MethodError, match=words):
        check_diagnosis("toy", found)


def test_a_whole_diagnosis_is_taken_as_it_is():
    found = Diagnosis(
        (Figure("a", 1.0, "mm"),),
        (Finding("f", "a", 1.0, 0.5), Finding("open", "b", None, 0.5, text="no data")),
        {"p": Panels({"x": PLANES}, ("one", "two"), (1, 1)), "s": Scatter({"g": PLANES[0, :, :2]})},
    )
    assert check_diagnosis("toy", found) is found


def test_points_of_a_scatter_lie_where_they_should():
    picture = draw(Scatter({"left": np.array([[0.0, 0.0]]), "upper right": np.array([[2.0, 2.0]])}), "title")

    pixels = np.array(picture)

    assert tuple(pixels[SIZE - MARGIN + LINE, MARGIN]) == PALETTE[0]
    assert tuple(pixels[MARGIN + LINE, SIZE - MARGIN]) == PALETTE[1]


def test_panels_are_drawn_in_columns():
    planes = np.stack([np.ones((6, 8)), np.full((6, 8), 0.5)])
    pixels = np.array(draw(Panels({"image": planes}, ("one", "two"), (1.0, 1.0)), "title"))
    middle = pixels[pixels.shape[0] // 2, :, 0]
    assert middle[: len(middle) // 3].max() > 1.8 * middle[-len(middle) // 4 :].max() > 100
