"""DWI and ADC: contrast by the signal equation, physical units, echo-planar faults with a zero, a real case beside."""

from __future__ import annotations

from math import exp
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from cerebench_datasets.insilico.anatomy import make_anatomy
from cerebench_datasets.insilico.centres import Centre, make_centre
from cerebench_datasets.insilico.contrast import DIFFUSION, MODALITIES, acquire, tissue_means
from cerebench_datasets.insilico.fields import Grid
from cerebench_datasets.insilico.kinds.stroke import KIND as STROKE
from cerebench_datasets.insilico.lesion import label_map
from cerebench_datasets.insilico.parameters import Anatomy, PhantomParameters, Scanner
from cerebench_datasets.insilico.streams import stream
from cerebench_datasets.insilico.subject import Examination, make_subject

REAL = Path(__file__).parents[4] / "shared" / "real" / "isles2022"
QUIET = Centre(1.5, 500.0, 1e6, 0.0, 0.0, 0.0, 1.0, 1.0, dict.fromkeys(MODALITIES, 1.0))
SPACING = 4.0


@pytest.fixture(scope="module")
def tissue():
    return make_anatomy(stream(0), Anatomy(), Grid.covering(SPACING))


def centre(**values) -> Centre:
    return make_centre("x", "A", Scanner(**values), None)


def scan(tissue, modality, where):
    return acquire(tissue, {}, {}, modality, where, stream("scan", modality))


def test_dwi_follows_the_signal_equation():
    means = tissue_means("dwi", QUIET, STROKE.signals)

    def signal(t1, t2, density, adc):
        return density * (1 - exp(-6000 / t1)) * exp(-85 / t2) * exp(-1000 * adc * 1e-3)

    white = signal(500, 70, 0.77, DIFFUSION["wm"])
    assert means["gm"] == pytest.approx(signal(833, 83, 0.86, DIFFUSION["gm"]) / white)
    infarct = STROKE.signals["infarct"]
    values = (infarct.t1_ms * 1.0, infarct.t2_ms, infarct.density, infarct.adc)
    assert means["infarct"] == pytest.approx(signal(*values) / white)
    assert means["csf"] < 0.6 < 1 < means["gm"] < 1.4 < 1.6 < means["early"] < means["infarct"]


def test_diffusion_is_restricted_in_acute_infarcts_and_free_in_cavities():
    adc = tissue_means("adc", QUIET, STROKE.signals)
    assert adc["infarct"] < 0.6 < adc["wm"] <= adc["gm"] < 1 < adc["gliosis"] < 2 < adc["cavity"] <= adc["csf"] == 3


def test_adc_is_a_map_of_physical_values_whatever_the_scanner(tissue):
    quiet = scan(tissue, "adc", QUIET)
    for part in ("csf", "gm", "wm"):
        pure = getattr(tissue, part) > 0.97
        assert np.median(quiet[pure]) == pytest.approx(DIFFUSION[part], rel=0.05)
    loud, faint = (scan(tissue, "adc", centre(gain=gain, bias=bias, snr=25)) for gain, bias in ((900, 0.2), (200, 0)))
    np.testing.assert_array_equal(loud, faint)
    assert quiet[tissue.brain > 0.5].min() >= 0.01
    assert quiet[tissue.brain <= 0.5].max() == 0


def test_noise_of_adc_grows_as_the_signal_falls(tissue):
    def deviation(snr):
        difference = scan(tissue, "adc", centre(snr=snr, blur_mm=0, slice_mm=0)) - scan(tissue, "adc", QUIET)
        return float(difference[tissue.wm > 0.9].std())

    # ln(S0 / Sb) / b of two scans: both relative deviations add in squares
    expected = np.hypot(1, exp(-0.75)) / (0.25 * 20 * SPACING**1.5)
    assert deviation(20) == pytest.approx(expected, rel=0.1)
    assert deviation(10) == pytest.approx(2 * expected, rel=0.15)


def test_dwi_is_brighter_at_the_skull_base_unless_the_field_is_even(tissue):
    def below_over_above(bias):
        values = scan(tissue, "dwi", centre(bias=bias, snr=1e6))
        height = np.broadcast_to(tissue.grid.axes[2], values.shape)
        white = (tissue.wm > 0.6) & (tissue.brain > 0.99)
        return float(np.median(values[white & (height < -25)]) / np.median(values[white & (height > 15)]))

    assert below_over_above(0.0) == pytest.approx(1, abs=0.1)
    assert below_over_above(0.2) > 1.25


def test_dwi_is_blurred_more_than_t2(tissue):
    def roughness(modality, blur):
        values = scan(tissue, modality, centre(bias=0, snr=1e6, blur_mm=blur, slice_mm=blur))
        values = values / np.median(values[values > 0])
        fine = values - ndimage.gaussian_filter(values, 1.0)
        return float(fine[tissue.depth > 10].std())

    loss = {modality: 1 - roughness(modality, 5.0) / roughness(modality, 0.0) for modality in ("t2", "dwi")}
    assert loss["dwi"] > loss["t2"] + 0.1


def test_new_modalities_left_the_centres_of_the_others_as_they_were():
    rng = stream("centre", "x", "A")
    rng.choice([1.5, 3.0])
    rng.uniform(size=7)
    gains = [float(rng.lognormal(0, 0.3)) for _ in range(5)]
    found = make_centre("x", "A", Scanner(), None).modality_gain
    assert [found[modality] for modality in ("t1", "t1c", "t2", "flair", "pd")] == gains


def test_contrast_is_that_of_a_real_case():
    if not REAL.is_dir():
        pytest.skip(f"no real stroke case at {REAL}")
    dwi, adc, mask = (
        nib.load(REAL / f"sub-strokecase0009_ses-0001_{kind}.nii.gz").get_fdata() for kind in ("dwi", "adc", "msk")
    )
    brain, mask = adc > 0, mask > 0

    def summary(dwi, adc, brain, mask):
        rest = dwi[brain & ~mask]
        tail = np.percentile(rest, 95) / np.median(rest)
        return np.array([np.median(dwi[mask]) / np.median(rest), np.median(adc[mask]), tail])

    found = []
    for patient in range(6):
        parameters = PhantomParameters(lesion={"stage": "acute", "lacunar": 0.0, "early": 0.0, "volume_spread": 0.5})
        subject = make_subject(Examination(0, "x", patient), 3.0, "stroke", parameters)
        where = make_centre("x", "ABC"[patient % 3], Scanner(), None)
        marked = label_map(subject.lesion.extent, subject.brain, dict.fromkeys(STROKE.parts, 1)) > 0
        found.append(summary(subject.scan("dwi", where), subject.scan("adc", where), subject.brain, marked))
    np.testing.assert_allclose(np.median(found, axis=0), summary(dwi, adc, brain, mask), rtol=0.25)
