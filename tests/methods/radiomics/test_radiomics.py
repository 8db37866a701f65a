"""Radiomics: features against the IBSI digital phantom, their cache, the classifier against scikit-learn's pipeline."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cerebench.api import MethodError
from cerebench.testing import assert_conforms
from cerebench_methods.radiomics import features
from cerebench_methods.radiomics.classifier import fit_classifier
from cerebench_methods.radiomics.method import Radiomics

X = 0
PHANTOM = np.array(
    [
        [[1, 4, 4, 1, 1], [1, 4, 6, 1, 1], [4, 1, 6, 4, 1], [4, 4, 6, 4, 1]],
        [[1, 4, 4, 1, 1], [1, 1, 6, 1, 1], [X, 1, 3, 1, 1], [4, 4, 6, 1, 1]],
        [[1, 4, 4, X, X], [1, 1, 1, 1, 1], [1, 1, X, 1, 1], [1, 1, 6, 1, 1]],
        [[1, 4, 4, X, X], [1, 1, 1, 1, 1], [1, 1, 1, 1, 1], [1, 1, 6, 1, 1]],
    ],
    dtype=float,
)
"""Digital phantom of the IBSI reference manual, voxels of 2 mm; 0 lies outside."""
REFERENCE = {
    "morph_volume": 556,
    "morph_vol_approx": 592,
    "morph_area_mesh": 388,
    "morph_av": 0.698,
    "morph_comp_1": 0.0411,
    "morph_comp_2": 0.599,
    "morph_sph_dispr": 1.19,
    "morph_sphericity": 0.843,
    "morph_asphericity": 0.186,
    "morph_com": 0.672,
    "morph_diam": 13.1,
    "morph_pca_maj_axis": 11.4,
    "morph_pca_min_axis": 9.31,
    "morph_pca_least_axis": 8.54,
    "morph_pca_elongation": 0.816,
    "morph_pca_flatness": 0.749,
    "morph_vol_dens_aabb": 0.869,
    "morph_area_dens_aabb": 0.866,
    "morph_vol_dens_conv_hull": 0.961,
    "morph_integ_int": 1200,
    "morph_moran_i": 0.0397,
    "morph_geary_c": 0.974,
    "stat_mean": 2.15,
    "stat_var": 3.05,
    "stat_skew": 1.08,
    "stat_kurt": -0.355,
    "stat_median": 1,
    "stat_p10": 1,
    "stat_p90": 4,
    "stat_max": 6,
    "stat_iqr": 3,
    "stat_mad": 1.55,
    "stat_rmad": 1.11,
    "stat_medad": 1.15,
    "stat_cov": 0.812,
    "stat_qcod": 0.6,
    "stat_energy": 567,
    "stat_rms": 2.77,
    "cm_joint_max_d1_3d_v_mrg": 0.509,
    "cm_joint_avg_d1_3d_v_mrg": 2.15,
    "cm_joint_var_d1_3d_v_mrg": 3.13,
    "cm_joint_entr_d1_3d_v_mrg": 2.57,
    "cm_contrast_d1_3d_v_mrg": 5.12,
    "cm_corr_d1_3d_v_mrg": 0.183,
    "rlm_sre_3d_v_mrg": 0.729,
    "rlm_lre_3d_v_mrg": 2.76,
    "rlm_r_perc_3d_v_mrg": 0.68,
    "szm_sze_3d": 0.255,
    "szm_lze_3d": 550,
    "szm_lgze_3d": 0.253,
    "szm_hgze_3d": 15.6,
    "szm_z_perc_3d": 0.0676,
    "ngt_coarseness_3d": 0.0296,
    "ngt_contrast_3d": 0.584,
    "ngt_busyness_3d": 6.54,
    "ngt_complexity_3d": 13.5,
    "ngt_strength_3d": 0.763,
}
"""Consensus values of the IBSI (Zwanenburg et al., Radiology 2020), three significant digits; texture in 3D, merged."""


def stand_in(image: np.ndarray, lesion: np.ndarray, spacing_mm: float, bins: int = 32) -> dict[str, float]:
    """A few features of the same form, for what does not depend on mirp."""
    inside = image[lesion]
    return {"mean": float(inside.mean()), "spread": float(inside.std()), "volume": float(lesion.sum() * spacing_mm**3)}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CEREBENCH_CACHE", str(tmp_path / "cache"))


def test_conforms(monkeypatch):
    monkeypatch.setattr(features, "radiomic_features", stand_in)
    assert_conforms(Radiomics)


def test_features_agree_with_the_ibsi_phantom():
    found = features.radiomic_features(np.where(PHANTOM > 0, PHANTOM, 9), PHANTOM > 0, 2.0, bins=0)
    for name, value in REFERENCE.items():
        assert found[name] == pytest.approx(value, rel=5e-3), name
    assert {name.split("_")[0] + "_" for name in found} == set(features.PREFIXES)


def test_lengths_are_in_mm_and_content_alone_counts():
    lesion = np.zeros((12, 12, 12), bool)
    lesion[3:8, 4:9, 2:9] = True
    image = np.random.default_rng(0).normal(0.5, 0.1, lesion.shape).astype(np.float32)
    one, two = (features.radiomic_features(image, lesion, spacing) for spacing in (1.0, 2.0))
    for name, value in one.items():
        power = features.POWERS.get(name, 0)
        assert two[name] == pytest.approx(2.0**power * value, rel=1e-9, abs=1e-12), name
    assert two["morph_vol_approx"] == lesion.sum() * 8
    outside = np.where(lesion, image, 3.0).astype(np.float32)
    assert features.radiomic_features(outside, lesion, 1.0) == pytest.approx(one)


def test_features_are_computed_once_for_the_same_content(monkeypatch):
    calls = []

    def counted(*given):
        calls.append(given)
        return stand_in(*given)

    monkeypatch.setattr(features, "radiomic_features", counted)
    image, lesion = np.random.default_rng(0).random((6, 6, 6)).astype(np.float32), np.ones((6, 6, 6), bool)
    first = features.cached_features(image, lesion, 2.0, 32)
    assert features.cached_features(image.copy(), lesion.copy(), 2.0, 32) == first
    assert len(calls) == 1
    features.cached_features(image + 1, lesion, 2.0, 32)
    features.cached_features(image, lesion, 1.0, 32)
    features.cached_features(image, lesion, 2.0, 16)
    assert len(calls) == 4
    (file, *_) = features.cache_folder().rglob("*.json")
    file.write_text("{")  # damaged: computed again
    for spacing, bins in ((2.0, 32), (1.0, 32), (2.0, 16)):
        features.cached_features(image, lesion, spacing, bins)
    features.cached_features(image + 1, lesion, 2.0, 32)
    assert len(calls) == 5


def test_without_mirp_the_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "mirp", None)
    with pytest.raises(MethodError, match=r"needs the package mirp .*pip install 'cerebench\[radiomics\]'"):
        features.radiomic_features(np.ones((4, 4, 4)), np.ones((4, 4, 4), bool), 1.0)
    with pytest.raises(MethodError, match="holds no lesion voxel"):
        features.radiomic_features(np.ones((4, 4, 4)), np.zeros((4, 4, 4), bool), 1.0)


def sample(n: int, count: int, seed: int = 0) -> tuple[np.ndarray, list[int]]:
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    table = rng.normal(size=(n, count)) * 10.0 ** rng.integers(-3, 4, count)
    table[:, 0] += 2 * labels * table[:, 0].std()
    return table, labels.tolist()


def test_what_is_stored_is_the_pipeline():
    table, labels = sample(40, 12)
    settings = Radiomics.Settings(select=(3,), strengths=(0.3,))
    fitted = fit_classifier(table, labels, settings, seed=0)
    pipeline = make_pipeline(StandardScaler(), SelectKBest(k=3), LogisticRegression(C=0.3, max_iter=2000))
    wanted = pipeline.fit(table, labels).decision_function(table)
    np.testing.assert_allclose((table - fitted.mean) / fitted.spread @ fitted.coefficients + fitted.intercept, wanted)
    assert np.count_nonzero(fitted.coefficients) == 3


def test_cross_validation_chooses_few_features_where_few_matter():
    table, labels = sample(60, 80)
    settings = Radiomics.Settings(select=(1, 64), strengths=(0.3,))
    fitted = fit_classifier(table, labels, settings, seed=0)
    assert np.flatnonzero(fitted.coefficients).tolist() == [0]
    fresh, truth = sample(200, 80, seed=1)
    fresh[:, 1:] *= 1e3
    scores = (fresh - fitted.mean) / fitted.spread @ fitted.coefficients
    assert roc_auc_score(truth, scores) > 0.85


def test_a_class_of_one_lesion_is_fitted_without_folds():
    table, _ = sample(8, 5)
    fitted = fit_classifier(table, [1, *[0] * 7], Radiomics.Settings(select=(2,), strengths=(1.0,)), seed=0)
    assert np.isfinite(fitted.coefficients).all()
