"""Levels, sheets, plots, ranks and names, each against arrays made by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from cerebench.explain.levels import Level, choose_levels
from cerebench.explain.numbers import rank
from cerebench.explain.pictures import GAP, LESION, LINE, PANEL, around, sheet
from cerebench.explain.plot import HEIGHT, score_plot
from cerebench.explain.write import safe_name

LEVELS = (Level(3, "largest lesion"), Level(1, "high score"))


def test_levels_are_the_largest_lesion_and_the_highest_scores_apart_from_it():
    brain = np.ones((4, 4, 20), bool)
    lesion = np.zeros_like(brain)
    lesion[0, 0, 5:9] = True
    lesion[:2, :2, 7] = True
    scores = dict.fromkeys(range(20), 0.0) | {8: 9.0, 9: 8.0, 14: 7.0, 15: 6.5, 1: 5.0}
    found = choose_levels(lesion, scores, brain, (2.0, 2.0, 4.0))
    assert found == (Level(7, "largest lesion"), Level(14, "high score"), Level(1, "high score"))


def test_levels_without_scores_spread_over_the_brain():
    brain = np.zeros((2, 2, 12), bool)
    brain[..., 2:11] = True
    found = choose_levels(np.zeros_like(brain), {}, brain, (1.0, 1.0, 8.0))
    assert {level.index for level in found} == {4, 6, 8}


def test_levels_of_a_thin_brain_are_all_it_has():
    brain = np.zeros((2, 2, 6), bool)
    brain[..., 3:5] = True
    found = choose_levels(np.zeros_like(brain), {3: 1.0, 4: 2.0}, brain, (1.0, 1.0, 1.0))
    assert [level.index for level in found] == [4, 3]


def panel(pixels, row, column, lines, width):
    """Pixels of one panel of a sheet of square panels."""
    upper = LINE * (lines + 1) + GAP + row * (PANEL + LINE + GAP) + LINE
    left = column * (width + GAP)
    return pixels[upper : upper + PANEL, left : left + width]


def test_a_sheet_shows_left_on_the_left_and_the_front_up():
    image = np.zeros((2, 10, 10), np.float32)
    image[0, 1, 8] = 1.0  # left, front
    image[1, 8, 1] = 0.5  # right, back
    empty = np.zeros_like(image, dtype=bool)
    pixels = np.array(sheet({"image t1": image}, LEVELS, [(empty, LESION)], (1, 1, 1), ["words"]))
    first, second = panel(pixels, 0, 0, 1, PANEL), panel(pixels, 0, 1, 1, PANEL)
    bright = np.argwhere(first[..., 0] > 200)
    assert bright.mean(0) == pytest.approx([1.5 * PANEL / 10, 1.5 * PANEL / 10], abs=2)
    darker = np.argwhere(second[..., 0] > 60)
    assert darker.mean(0) == pytest.approx([8.5 * PANEL / 10, 8.5 * PANEL / 10], abs=2)
    # one scale for all levels: half as bright
    assert second.max() == pytest.approx(first.max() / 2, abs=2)


def test_images_share_the_first_ones_window_and_abnormality_has_its_own_colours():
    image = np.full((2, 8, 8), 1.0, np.float32)
    pictures = {
        "image t1": image,
        "reconstruction": image * 0.5,
        "edges": image * 10,
        "map": image * 0.01,
        "signed difference": np.concatenate([-image[:1], image[:1]]),
    }
    none = np.zeros_like(image, dtype=bool)
    pixels = np.array(sheet(pictures, LEVELS, [(none, LESION)], (1, 1, 1), []))
    middle = {name: panel(pixels, row, 0, 0, PANEL)[120, 120] for row, name in enumerate(pictures)}
    assert middle["image t1"].tolist() == [255, 255, 255]
    assert middle["reconstruction"] == pytest.approx([128, 128, 128], abs=1)
    assert middle["edges"].tolist() == [255, 255, 255]
    assert middle["map"].tolist() == [255, 255, 255]  # the top of black, red, yellow, white
    assert middle["signed difference"][2] > 200 > middle["signed difference"][0]
    other = panel(pixels, 4, 1, 0, PANEL)[120, 120]
    assert other[0] > 200 > other[2]


def test_the_outline_runs_along_the_lesions_border_and_leaves_its_inside():
    image = np.ones((1, 12, 12), np.float32)
    lesion = np.zeros((1, 12, 12), bool)
    lesion[0, 4:8, 4:8] = True
    pixels = np.array(sheet({"image": image}, LEVELS[:1], [(lesion, LESION)], (1, 1, 1), []))
    shown = (panel(pixels, 0, 0, 0, PANEL) == LESION).all(-1)
    step = PANEL // 12
    outline = np.argwhere(shown)
    assert outline.min(0).tolist() == [4 * step, 4 * step]
    assert outline.max(0).tolist() == [8 * step - 1, 8 * step - 1]
    assert not shown[5 * step : 7 * step, 5 * step : 7 * step].any()


def test_panels_are_true_to_the_millimetre():
    image = np.ones((1, 10, 20), np.float32)
    whole = sheet({"image": image}, LEVELS[:1], [], (2.0, 1.0, 1.0), [])
    assert panel(np.array(whole), 0, 0, 0, PANEL)[..., 0].min() > 200
    narrow = sheet({"image": image}, LEVELS[:1], [], (1.0, 1.0, 1.0), [])
    lit = np.array(narrow)[LINE + GAP + LINE :, :, 0] > 200
    assert lit.any(0).sum() == PANEL // 2


def test_planes_are_cut_to_what_is_there():
    inside = np.zeros((2, 20, 30), bool)
    inside[0, 5:8, 10], inside[1, 9, 12] = True, True
    rows, columns = around(inside)
    assert (rows, columns) == (slice(3, 12), slice(8, 15))
    assert around(np.zeros((1, 4, 6), bool)) == (slice(0, 6), slice(0, 8))


def test_the_plot_marks_lesion_slices_threshold_and_band():
    scores = {2: 0.0, 3: 1.0, 4: 0.5}
    pixels = np.array(score_plot(scores, [3], [0.2, 0.3, 0.4], 0.75, "title"))
    green = np.argwhere((pixels == LESION).all(-1))
    top = 40
    assert green[:, 0].mean() == pytest.approx(top, abs=2)  # the highest score
    red = np.argwhere((pixels == (255, 90, 90)).all(-1))
    lines, counts = np.unique(red[:, 0], return_counts=True)
    assert lines[counts.argmax()] == pytest.approx(top + 0.25 * (HEIGHT - 80), abs=2)
    band = np.argwhere((pixels == (60, 60, 90)).all(-1))[:, 0]
    assert band.min() == pytest.approx(top + (1 - 0.39) * (HEIGHT - 80), abs=3)
    assert band.max() == pytest.approx(top + (1 - 0.21) * (HEIGHT - 80), abs=3)


@pytest.mark.parametrize("threshold", [None, float("inf")])
def test_the_plot_does_without_threshold_and_validation(threshold):
    pixels = np.array(score_plot({7: 2.0}, [], [], threshold, "one slice"))
    assert not (pixels == (255, 90, 90)).all(-1).any()


def test_ranks_are_scipys():
    others = [0.1, 0.5, 0.5, 0.9]
    for score in (0.0, 0.1, 0.5, 0.7, 2.0):
        assert rank(score, others) == pytest.approx(stats.percentileofscore(others, score, "mean") / 100)
    assert rank(None, others) is None
    assert rank(1.0, []) is None


def test_names_are_safe_and_stay_distinct():
    assert safe_name("BraTS-MET-00001-000") == "BraTS-MET-00001-000"
    odd = ["../../etc/passwd", "a/b", "a:b", "a b", "..", "", "x" * 300, "x" * 301, "é", "masking=random", "CON\\x"]
    safe = [safe_name(text) for text in odd]
    assert len(set(safe)) == len(odd)
    for name in safe:
        assert name
        assert not set(name) - set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
        assert not name.startswith(".")
        assert len(name) < 120
