"""What is laid out for a cohort, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cerebench.errors import UsageError
from cerebench.extraction.plan import plan_jobs
from cerebench.extraction.settings import Options


def test_every_file_keeps_its_path(small_listing, tmp_path):
    plan = plan_jobs(small_listing("b", "a"), tmp_path / "out", Options())
    assert [job.name for job in plan.jobs] == ["a", "b"]
    assert plan.faults == {}
    assert plan.jobs[0].outputs == {"t1": "a/t1.nii.gz", "mask": "a/lesion.nii.gz"}
    assert plan.jobs[0].sources["mask"] == tmp_path / "data" / "heads" / "a" / "lesion.nii.gz"


@pytest.mark.parametrize(
    ("modalities", "reference"),
    [
        (["flair", "t2", "t1c", "t1"], "t1"),
        (["flair", "t2"], "t2"),
        (["flair", "dwi"], "flair"),
        (["pd", "dwi"], "dwi"),
    ],
)
def test_reference_modality(small_listing, tmp_path, modalities, reference):
    job = plan_jobs(small_listing("a"), tmp_path / "out", Options()).jobs[0]
    images = {name: Path(f"{name}.nii.gz") for name in modalities}
    assert replace(job, case=replace(job.case, images=images)).reference == reference


def test_a_layout_with_a_brain_mask_gets_one_where_the_case_has_none(small_listing, tmp_path):
    listing = small_listing("a", brain_mask="{patient}/brain.nii.gz")
    assert plan_jobs(listing, tmp_path / "out", Options()).jobs[0].outputs["brain_mask"] == "a/brain.nii.gz"


def test_a_brain_mask_whose_path_no_image_tells_is_a_fault(small_listing, tmp_path):
    plan = plan_jobs(small_listing("a", brain_mask="{patient}/brain-{rater}.nii.gz"), tmp_path / "out", Options())
    assert plan.jobs == ()
    assert "'rater'" in str(plan.faults["a"])


def test_a_stripped_cohort_is_refused_unless_asked_for(small_listing, tmp_path):
    listing = small_listing("a", skull_stripped=True)
    with pytest.raises(UsageError, match=r"already skull-stripped; nothing to prepare .*--allow-stripped"):
        plan_jobs(listing, tmp_path / "out", Options())
    assert len(plan_jobs(listing, tmp_path / "out", Options(allow_stripped=True)).jobs) == 1


@pytest.mark.parametrize("out", ["data/heads", "data/heads/prepared", "data"])
def test_the_cohorts_own_folder_is_never_written_to(small_listing, tmp_path, out):
    with pytest.raises(UsageError, match="overlap"):
        plan_jobs(small_listing("a"), tmp_path / out, Options())


def test_cases_are_chosen_by_id_and_misspelt_ones_named(small_listing, tmp_path):
    listing = small_listing("first", "second")
    assert [job.name for job in plan_jobs(listing, tmp_path / "out", Options(), ["second"]).jobs] == ["second"]
    with pytest.raises(UsageError, match="did you mean 'second'"):
        plan_jobs(listing, tmp_path / "out", Options(), ["secnd"])


def test_cases_that_share_all_files_are_done_once(small_listing, tmp_path):
    listing = small_listing("a")
    lesions = tuple(replace(listing.cases[0], id=f"a-{number}", lesion=number) for number in (1, 2))
    plan = plan_jobs(replace(listing, cases=lesions), tmp_path / "out", Options())
    assert [job.name for job in plan.jobs] == ["a-1"]
    assert plan.faults == {}


def test_a_file_of_two_cases_in_different_spaces_is_a_fault(small_listing, tmp_path):
    listing = small_listing("a", "b")
    first, second = listing.cases
    shared = (first, replace(second, mask=first.mask))
    plan = plan_jobs(replace(listing, cases=shared), tmp_path / "out", Options())
    assert [job.name for job in plan.jobs] == ["a"]
    assert "a/lesion.nii.gz also belongs to case a" in str(plan.faults["b"])


def test_files_that_are_no_nifti_or_lie_outside_are_faults(small_listing, tmp_path):
    listing = small_listing("a")
    case = listing.cases[0]
    for path, words in ((listing.root / "a" / "t1.nrrd", "no NIfTI"), (tmp_path / "t1.nii.gz", "lies outside")):
        changed = replace(listing, cases=(replace(case, images={"t1": path}),))
        assert words in str(plan_jobs(changed, tmp_path / "out", Options()).faults["a"])


@pytest.mark.parametrize("spacing", [0.4, 4.1, -1.0])
def test_spacing_has_bounds(spacing):
    with pytest.raises(UsageError, match="--spacing"):
        Options(spacing_mm=spacing)
