"""Suspicion, the gallery and the picture."""

from __future__ import annotations

import io
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from cerebench.extraction.atlas import Grid, Maps
from cerebench.extraction.gallery import write_gallery
from cerebench.extraction.pictures import quality_picture
from cerebench.extraction.quality import suspicion, template_dice, tissue_correlation


def record(name="a", warnings=(), **changes):
    figures = {"brain_ml": 1400.0, "tissue_correlation": {"t1": 0.6}, "template_dice": 0.95, "volume_scale": 1.3}
    return {"case": name, "quality": {**figures, **changes}, "warnings": list(warnings)}


@pytest.mark.parametrize(
    ("changes", "points", "words"),
    [
        ({}, 0, []),
        ({"brain_ml": 700.0}, 2, ["brain of 700 ml"]),
        ({"brain_ml": 2300.0}, 3, ["brain of 2300 ml"]),
        ({"tissue_correlation": {"t1": 0.25, "t2": 0.2}}, 2, ["tissue correlation of t1 0.25"]),
        ({"tissue_correlation": {"t1": 0.5, "t2": 0.05}}, 1, ["tissue correlation of t2 0.05"]),
        ({"template_dice": 0.8}, 2, ["Dice with the template's brain 0.80"]),
        ({"volume_scale": 2.2}, 2, ["volume scale 2.20"]),
        ({"warnings": ["1 of 2 lesions were lost"]}, 1, ["1 of 2 lesions were lost"]),
        ({"brain_ml": 800.0, "template_dice": 0.85}, 2, ["brain of 800 ml", "Dice with the template's brain 0.85"]),
    ],
)
def test_suspicion(changes, points, words):
    score, reasons = suspicion(record(**changes))
    assert score == pytest.approx(points)
    assert reasons == words


class Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.images, self.links, self.tags = [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        values = dict(attributes)
        if tag == "img":
            self.images.append(values["src"])
        if tag == "a":
            self.links.append(values["href"])


def test_the_gallery_shows_suspicious_cases_first_and_escapes(tmp_path):
    odd = 'b<script>"&#1'
    records = [record("a"), record(odd, warnings=["<b>lost</b>"]), record("c", brain_ml=300.0)]
    path = write_gallery(tmp_path, "<i>heads", records)
    assert path == tmp_path / "quality" / "index.html"
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    assert page.images == ["c.png", "b%3Cscript%3E%22%26%231.png", "a.png"]
    assert page.links[0] == "../records/c.json"
    assert not {"script", "i"} & set(page.tags)
    assert page.tags.count("b") == 3  # one name a case, none from the warning


@pytest.fixture
def small():
    """A ball of white matter in grey matter, on 2 mm."""
    x, y, z = np.indices((40, 44, 42)) - 20
    distance = np.sqrt(x**2 + y**2 + z**2)
    brain, white = distance < 16, (distance < 9).astype(np.float32)
    maps = Maps(brain, brain * (1 - white), white)
    return maps, Grid(brain.shape, np.diag([2.0, 2.0, 2.0, 1.0]))


@pytest.mark.parametrize("contrast", [(60, 100), (100, 60)])
def test_tissue_correlation_is_1_for_the_maps_themselves_whatever_the_contrast(small, contrast):
    maps, _ = small
    image = (contrast[0] * maps.gm + contrast[1] * maps.wm).astype(np.float32)
    assert tissue_correlation(image, maps.brain, maps) == pytest.approx(1.0)
    assert tissue_correlation(np.roll(image, 6, 0), np.roll(maps.brain, 6, 0), maps) < 0.6


def test_tissue_correlation_agrees_with_scikit_learn(small):
    from sklearn.linear_model import LinearRegression

    maps, _ = small
    rng = np.random.default_rng(5)
    image = (60 * maps.gm + 100 * maps.wm + rng.uniform(1, 60, maps.brain.shape) * maps.brain).astype(np.float32)
    values = image[maps.brain].astype(float)
    values = np.clip(values, *np.percentile(values, [1, 99]))
    features = np.column_stack([maps.gm[maps.brain], maps.wm[maps.brain]])
    expected = np.sqrt(LinearRegression().fit(features, values).score(features, values))
    assert tissue_correlation(image, maps.brain, maps) == pytest.approx(expected, abs=1e-6)


def test_tissue_correlation_of_nothing_is_0(small):
    maps, _ = small
    nothing = np.zeros(maps.brain.shape, dtype=np.float32)
    assert tissue_correlation(nothing, maps.brain, maps) == 0.0
    assert tissue_correlation(nothing + 7, maps.brain, maps) == 0.0


def test_template_dice(small):
    maps, _ = small
    half = maps.brain.copy()
    half[20:] = False
    n, whole = np.count_nonzero(half), np.count_nonzero(maps.brain)
    assert template_dice(half, maps) == pytest.approx(2 * n / (n + whole))
    assert template_dice(~maps.brain, maps) == 0.0


def test_the_picture_shows_left_on_the_left_and_up_on_top(small):
    from pathlib import Path

    from cerebench.prepare.read import Scan

    maps, grid = small
    image = np.full(maps.brain.shape, 1.0, dtype=np.float32)
    image[:20] = 100.0  # RAS+: low x is the patient's left
    head = np.full(maps.brain.shape, 1.0, dtype=np.float32)
    head[..., 21:] = 100.0
    scan = Scan(Path("head.nii"), head, grid.affine)
    png = quality_picture(scan, maps.brain, {"t1": image, "t2": image}, grid, maps, maps.wm > 0, ["case a"])
    with Image.open(io.BytesIO(png)) as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    assert pixels.shape == (14 + 8 + 4 * 190, 6 * 190, 3)
    middle = pixels[22 + 60 : 22 + 130, 4 * 190 + 20 : 5 * 190 - 20].mean(axis=(0, 2))  # axial, half, of the result
    assert middle[:60].mean() > 3 * middle[-60:].mean()
    coronal = pixels[22 + 190 + 10 : 22 + 380 - 10, 190 + 60 : 190 + 130].mean(axis=(1, 2))  # of the head
    assert coronal[:70].mean() > 3 * coronal[-70:].mean()
    again = quality_picture(scan, maps.brain, {"t1": image, "t2": image}, grid, maps, maps.wm > 0, ["case a"])
    assert again == png
