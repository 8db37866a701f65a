"""A phantom head all the way: every file, in the right place, the right way round."""

from __future__ import annotations

import json
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from cerebench.cohorts.reader import read_cohort
from cerebench.errors import DataError
from cerebench.extraction.atlas import atlas_grid, load_atlas, onto
from cerebench.extraction.case import extract
from cerebench.extraction.plan import plan_jobs
from cerebench.extraction.settings import Options

pytest.importorskip("ants", reason="needs ANTs: pip install 'cerebench[prepare]'")

OPTIONS = Options(spacing_mm=2.0, keep_transforms=True)


def write(folder, phantom, helpers, axes=("PSR", "LAS"), mask_on="t1"):
    for (name, head), ending, order in zip(phantom.items(), (".nii.gz", ".nii"), axes, strict=True):
        helpers.save(folder / f"{name}{ending}", head.head, head.affine, order)
    head = phantom[mask_on]
    helpers.save(
        folder / "lesion.nii.gz", head.lesion.astype(np.uint8), head.affine, axes[list(phantom).index(mask_on)]
    )
    helpers.save(folder / "truth.nii.gz", phantom["t1"].brain.astype(np.uint8), phantom["t1"].affine, axes[0])


def job_of(tmp_path, card, out="out", options=OPTIONS):
    return plan_jobs(read_cohort(card, tmp_path / "data"), tmp_path / out / "heads", options).jobs[0]


def load(job, kind):
    image = nib.load(job.out / job.outputs[kind])
    return np.asarray(image.dataobj), image


def centre(mask, affine):
    return (affine @ [*np.argwhere(mask).mean(axis=0), 1])[:3]


def dice(first, second):
    return 2 * np.count_nonzero(first & second) / (np.count_nonzero(first) + np.count_nonzero(second))


@pytest.fixture(scope="module")
def whole(tmp_path_factory, phantom):
    """One extraction that several tests look at: a layout with a place for the brain mask that the case has not."""
    import importlib

    from cerebench.cohorts.card import Card
    from cerebench.extraction import case, records

    conftest = importlib.import_module(type(next(iter(phantom.values()))).__module__)
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CEREBENCH_CACHE", str(folder / "cache"))
        for module in (case, records):
            patch.setattr(module, "NUMBERS", conftest.QUICK)
        layout = {**conftest.CARD["layouts"][0], "brain_mask": "{patient}/brain.nii.gz"}
        card = Card.model_validate({**conftest.CARD, "layouts": [layout]})
        write(folder / "data" / "a", phantom, conftest)
        job = job_of(folder, card)
        return job, extract(job, OPTIONS), card


def test_the_result_is_read_by_the_same_card(whole):
    job, _, card = whole
    listing = read_cohort(card, job.out)
    assert [case.id for case in listing.cases] == ["a"]
    assert listing.faults == ()
    assert listing.unready == ()
    grid = atlas_grid(load_atlas(), 2.0)
    for kind, dtype in (("t1", "float32"), ("t2", "float32"), ("mask", "uint8"), ("brain_mask", "uint8")):
        data, image = load(job, kind)
        assert data.dtype == np.dtype(dtype)
        assert data.shape == grid.shape
        np.testing.assert_array_equal(image.affine, grid.affine)
        assert nib.aff2axcodes(image.affine) == ("R", "A", "S")
        assert int(image.header["sform_code"]) == int(image.header["qform_code"]) == 4


def test_the_brain_is_found_in_the_head(whole, phantom):
    job, record, _ = whole
    found = nib.load(job.out / "transforms" / "a" / "brain.nii.gz")
    truth = phantom["t1"]
    np.testing.assert_allclose(found.affine, truth.affine, atol=1e-3)
    assert dice(np.asarray(found.dataobj) > 0, truth.brain) > 0.95
    expected = np.count_nonzero(truth.brain) * abs(np.linalg.det(truth.affine)) / 1000
    assert record["quality"]["brain_ml"] == pytest.approx(expected, rel=0.06)
    assert record["brain"]["origin"] == "registration of the template"


def test_the_transform_is_the_one_the_head_was_drawn_with(whole, helpers, phantom):
    _, record, _ = whole
    points = np.array([[x, y, z, 1] for x in (-60, 60) for y in (-90, 60) for z in (-40, 70)]).T
    for name in ("t1", "t2"):
        found = np.array(record["template_to_image"][name])
        error = np.linalg.norm((found @ points - phantom[name].to_head @ points)[:3], axis=0)
        assert error.max() < 3.0, name
    truth = 1 / np.linalg.det(helpers.truth[:3, :3])
    assert record["quality"]["volume_scale"] == pytest.approx(truth, rel=0.03)


def test_the_brain_lies_on_the_templates(whole):
    job, record, _ = whole
    atlas = load_atlas()
    template = onto(atlas.brain, atlas.affine, atlas_grid(atlas, 2.0)) > 0.5
    brain = load(job, "brain_mask")[0] > 0
    assert dice(brain, template) > 0.95
    assert record["quality"]["template_dice"] == pytest.approx(dice(brain, template))
    assert record["quality"]["tissue_correlation"]["t1"] > 0.85


def test_left_stays_left_in_images_and_mask(whole, helpers):
    """The template and so the brain are symmetric: only the lesion, in the left hemisphere, tells a flip."""
    job, _, _ = whole
    mask, image = load(job, "mask")
    assert np.linalg.norm(centre(mask > 0, image.affine) - helpers.lesion_mm) < 3.0
    for name in ("t1", "t2"):
        data, _ = load(job, name)
        inside, flipped = data[mask > 0].mean(), data[mask[::-1] > 0].mean()
        assert inside > 1.15 * flipped, name


def test_every_image_is_zero_outside_the_brain_and_nowhere_else(whole):
    job, _, _ = whole
    brain = load(job, "brain_mask")[0] > 0
    for name in ("t1", "t2"):
        data, _ = load(job, name)
        assert not data[~brain].any()
        assert np.count_nonzero(data[brain]) > 0.99 * np.count_nonzero(brain)


def test_the_bias_is_gone(whole, helpers):
    """The head was drawn brighter in front: its white matter, against the template's own, is even afterwards."""
    job, _, _ = whole
    atlas = load_atlas()
    grid = atlas_grid(atlas, 2.0)
    white = (onto(atlas.wm, atlas.affine, grid) > 0.95) & (load(job, "mask")[0] == 0)
    ratio = load(job, "t1")[0] / np.maximum(onto(atlas.t1, atlas.affine, grid), 1)
    y = np.broadcast_to(np.arange(grid.shape[1])[None, :, None], grid.shape)
    front, back = (white & part for part in (y > 75, y < 40))
    along = (helpers.truth @ np.r_[0, np.argwhere(front)[:, 1].mean() - np.argwhere(back)[:, 1].mean(), 0, 0])[1] * 2
    drawn = 0.25 * along / 130
    assert drawn > 0.12
    assert abs(np.log(np.median(ratio[front]) / np.median(ratio[back]))) < drawn / 2


def test_lesion_volume_is_accounted_for(whole, phantom):
    _, record, _ = whole
    lesion = record["lesion"]
    head = phantom["t1"]
    before = np.count_nonzero(head.lesion) * abs(np.linalg.det(head.affine)) / 1000
    assert lesion["ml_before"] == pytest.approx(before)
    assert lesion["ml_after_native"] == pytest.approx(before, rel=0.06)
    assert lesion["ml_after"] == pytest.approx(lesion["ml_after_native"] * record["quality"]["volume_scale"])
    assert lesion["components_lost"] == 0
    assert record["warnings"] == []


def test_the_record_names_everything(whole):
    import hashlib

    job, record, _ = whole
    assert json.loads((job.out / "records" / "a.json").read_text()) == json.loads(json.dumps(record))
    for kind, path in job.sources.items():
        assert record["sources"][kind] == {
            "path": path.relative_to(job.root).as_posix(),
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
    for name, entry in record["outputs"].items():
        content = (job.out / name).read_bytes()
        assert entry == {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    assert set(job.outputs.values()) | {"quality/a.png"} <= set(record["outputs"])
    steps = [(step["step"], step.get("modality")) for step in record["steps"]]
    assert steps[:6] == [
        ("read", None), ("n4", "t1"), ("brain", None), ("affine", "t1"), ("n4", "t2"), ("rigid", "t2"),
    ]  # fmt: skip
    assert record["libraries"]["antspyx"] != "absent"
    assert record["seconds"] >= sum(step["seconds"] for step in record["steps"]) - 0.1


def test_the_picture_is_drawn(whole):
    from PIL import Image

    job, _, _ = whole
    with Image.open(job.out / "quality" / "a.png") as picture:
        pixels = np.array(picture)
    for colour in ((255, 60, 60), (90, 220, 255), (255, 210, 0)):
        assert (pixels == colour).all(axis=-1).sum() > 50


@pytest.mark.slow
def test_the_same_files_give_the_same_bytes(whole, quick, tmp_path):
    job, record, _ = whole
    again = extract(replace(job, out=tmp_path / "again"), OPTIONS)
    assert again["outputs"] == record["outputs"]
    assert again["fingerprint"] == record["fingerprint"]


def test_a_mask_goes_with_the_image_it_was_drawn_on(quick, tmp_path, phantom, helpers, make_card):
    write(tmp_path / "data" / "a", phantom, helpers, mask_on="t2")
    card = make_card(mask_modality="t2", brain_mask="{patient}/truth.nii.gz", resample_mask=True)
    job = job_of(tmp_path, card)
    record = extract(job, OPTIONS)
    mask, image = load(job, "mask")
    assert np.linalg.norm(centre(mask > 0, image.affine) - helpers.lesion_mm) < 3.0
    assert record["brain"]["origin"].startswith("file truth.nii.gz")
    assert "seconds" in record["steps"][2]
    assert record["steps"][2]["seconds"] < 2.0  # the given mask was used, nothing was registered


def test_a_mask_on_a_grid_of_its_own_is_refused(quick, tmp_path, phantom, helpers, make_card):
    write(tmp_path / "data" / "a", phantom, helpers, mask_on="t2")
    card = make_card(mask_modality="t1", brain_mask="{patient}/truth.nii.gz", images={"t1": "{patient}/t1.nii.gz"})
    with pytest.raises(DataError, match=r"lesion.nii.gz: found a mask of .*resample the mask"):
        extract(job_of(tmp_path, card), OPTIONS)


def test_images_on_one_grid_go_together(quick, tmp_path, phantom, helpers, make_card):
    head = phantom["t1"]
    folder = tmp_path / "data" / "a"
    write(folder, phantom, helpers)
    helpers.save(folder / "t2.nii", head.head[::-1] + 1, head.affine, "LAS")  # a registration would go astray
    record = extract(job_of(tmp_path, make_card(brain_mask="{patient}/truth.nii.gz")), OPTIONS)
    assert record["template_to_image"]["t2"] == record["template_to_image"]["t1"]
    assert next(step for step in record["steps"] if step["step"] == "rigid")["same_grid_as"] == "t1"


def test_stripped_images_keep_their_own_brain(quick, tmp_path, phantom, helpers, make_card):
    head = phantom["t1"]
    folder = tmp_path / "data" / "a"
    helpers.save(folder / "t1.nii.gz", head.head * head.brain, head.affine, "LPI")
    helpers.save(folder / "lesion.nii.gz", head.lesion.astype(np.uint8), head.affine, "LPI")
    options = Options(spacing_mm=2.0, allow_stripped=True)
    job = job_of(tmp_path, make_card(skull_stripped=True), options=options)
    record = extract(job, options)
    assert record["brain"]["origin"] == "non-zero voxels"
    assert record["quality"]["brain_ml"] == pytest.approx(np.count_nonzero(head.brain) * 0.027, rel=0.01)
    mask, image = load(job, "mask")
    assert np.linalg.norm(centre(mask > 0, image.affine) - helpers.lesion_mm) < 3.0
    assert set(record["outputs"]) == {"a/t1.nii.gz", "a/lesion.nii.gz", "quality/a.png"}
