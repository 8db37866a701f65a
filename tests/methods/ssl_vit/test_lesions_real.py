"""Real contrast-enhanced tumours, where they are present: sub-volumes, probabilities, attention; no class is known."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from cerebench.api import ANOMALY, Case, FitRun, PredictContext, ReadPolicy
from cerebench.contract.volumes import Volume
from cerebench.loop.lesions import lesion_box
from cerebench.prepare.cache import Preparer
from cerebench.prepare.spec import PrepareSpec
from cerebench.testing.mock import MemoryVolumes
from cerebench_methods.radiomics.features import radiomic_features
from cerebench_methods.ssl_vit.methods import SslVit

REAL = Path(__file__).parents[4] / "shared" / "real"
pytestmark = pytest.mark.skipif(not REAL.is_dir(), reason="needs real scans in ../shared/real, which are not shipped")

SPACING, CROP_MM = 3.0, 60.0


def nrrd(path: Path) -> nib.Nifti1Image:
    """A gzipped NRRD file of one array, left-posterior-superior."""
    head, _, body = path.read_bytes().partition(b"\n\n")
    fields = dict(line.split(": ", 1) for line in head.decode().splitlines()[1:] if ": " in line)
    kind = {"short": "<i2", "unsigned char": "u1", "uint8": "u1", "int": "<i4"}[fields["type"]]
    sizes = [int(word) for word in fields["sizes"].split()]
    array = np.frombuffer(gzip.decompress(body), kind).reshape(sizes, order="F")
    columns = [[float(number) for number in word.strip("()").split(",")] for word in fields["space directions"].split()]
    origin = [float(number) for number in fields["space origin"].strip("()").split(",")]
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = np.array(columns).T, origin
    return nib.Nifti1Image(array.astype(np.float32), np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine)


def cases(tmp_path: Path) -> list[tuple[Case, ReadPolicy]]:
    found = []
    for folder in sorted((REAL / "brats2015").glob("brats_*")):
        case = Case(
            id=folder.name,
            patient=folder.name,
            cohort="glioma",
            images={"t1c": folder / "T1c_subtrMeanDivStd.nii.gz"},
            healthy=False,
            mask=folder / "OTMultiClass.nii.gz",
            brain_mask=folder / "brainmask.nii.gz",
        )
        found.append((case, ReadPolicy(labels={1: "anomaly", 2: "normal", 3: "anomaly", 4: "anomaly"})))
    for kind in ("image", "label"):
        nib.save(nrrd(REAL / "pyradiomics" / f"brain1_{kind}.nrrd"), tmp_path / f"{kind}.nii.gz")
    # the whole head: the box around what is not air stands for the brain
    image = nib.load(tmp_path / "image.nii.gz")
    head = nib.Nifti1Image((image.get_fdata() > 50).astype(np.uint8), image.affine)
    nib.save(head, tmp_path / "head.nii.gz")
    more = {"mask": tmp_path / "label.nii.gz", "brain_mask": tmp_path / "head.nii.gz"}
    images = {"t1c": tmp_path / "image.nii.gz"}
    return [*found, (Case("brain1", "brain1", "tumour", images, healthy=False, **more), ReadPolicy())]


def test_real_tumours_are_cut_out_and_classified(tmp_path: Path) -> None:
    preparer = Preparer(tmp_path / "cache", PrepareSpec(spacing_mm=SPACING))
    torch.manual_seed(0)
    method = SslVit(SslVit.settings_for("mock"))
    side = round(CROP_MM / SPACING)
    method.build(("t1c",), (side,) * 3, (SPACING,) * 3)
    cubes = []
    for case, policy in cases(tmp_path):
        entry = preparer.prepare(case, ("t1c",), policy)
        labels = entry.labels()
        assert labels is not None
        box = lesion_box(labels, CROP_MM, entry.spacing, case.id)
        image, mask = np.array(entry.image()[(slice(None), *box)]), np.array(labels[box])
        assert image.shape == (1, side, side, side)
        # the cube holds nearly all of it, and enhancement
        assert (mask == ANOMALY).sum() >= 0.9 * (labels == ANOMALY).sum()
        cubes.append(Volume(image, np.array(entry.brain()[box]), entry.spacing, ("t1c",), mask))
    assert len(cubes) == 3
    run = FitRun(torch.device("cpu"), "32-true", 0, tmp_path / "scratch")
    method.pretrain(MemoryVolumes(cubes), MemoryVolumes([]), run)
    images = torch.from_numpy(np.stack([cube.image for cube in cubes]))
    masks = torch.from_numpy(np.stack([cube.lesion_mask for cube in cubes]))
    brain = torch.from_numpy(np.stack([cube.brain for cube in cubes]))
    context = PredictContext(brain, (SPACING,) * 3, ("t1c",), torch.device("cpu"), 0, masks)
    with torch.no_grad():
        method.head.classify.weight.normal_()
        scores = method.predict(images, context).scores
    assert scores is not None
    assert bool(((scores > 0) & (scores < 1)).all())
    with torch.inference_mode():
        found = method.explain(images.clone(), context)
    lesion = masks == ANOMALY
    shares = found["attention rollout, share in lesion"]
    # of what falls into the cube; the network's input is padded to whole patches
    rolled = found["attention rollout"]
    inside = [picture[part].sum() / picture.sum() for picture, part in zip(rolled, lesion, strict=True)]
    torch.testing.assert_close(shares, torch.stack(inside))
    both = sum(found[f"attention gradient, share in {part} part"] for part in ("enhancing", "non-enhancing"))
    torch.testing.assert_close(both, found["attention gradient, share in lesion"])


def test_radiomics_of_real_tumours_are_finite_and_their_volume_is_the_masks(tmp_path: Path) -> None:
    preparer = Preparer(tmp_path / "cache", PrepareSpec(spacing_mm=8.0))
    for case, policy in cases(tmp_path):
        entry = preparer.prepare(case, ("t1c",), policy)
        lesion = np.array(entry.labels()) == ANOMALY
        found = radiomic_features(np.array(entry.image()[0]), lesion, 8.0)
        assert all(np.isfinite(value) for value in found.values())
        assert found["morph_vol_approx"] == pytest.approx(lesion.sum() * 512)
