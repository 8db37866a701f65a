"""The contract, and that the tensors say what scikit-learn says."""

import numpy as np
import torch
from cerebench_pca.method import PcaReconstruction
from sklearn.decomposition import PCA

from cerebench.api import FitRun, PredictContext
from cerebench.plugins.registry import Registry
from cerebench.testing import assert_conforms, mock_volumes


def test_contract():
    assert_conforms(PcaReconstruction, preset="mock")


def test_error_is_that_of_scikit_learn(tmp_path):
    volumes = mock_volumes(PcaReconstruction.info, 3)
    slices = torch.stack(list(volumes.slices()))
    method = PcaReconstruction(PcaReconstruction.settings_for("mock"))
    method.build(volumes[0].modalities, tuple(slices.shape[-2:]), (4.0, 4.0))
    method.fit(volumes, volumes, FitRun(torch.device("cpu"), "32-true", 0, tmp_path))
    everywhere = torch.ones_like(slices[:, 0], dtype=torch.bool)
    context = PredictContext(everywhere, (4.0, 4.0), volumes[0].modalities, torch.device("cpu"), 0)
    maps = method.predict(slices, context).maps

    flat = slices.flatten(1).numpy()
    pca = PCA(4, svd_solver="full").fit(flat)
    expected = np.abs(flat - pca.inverse_transform(pca.transform(flat))).reshape(slices.shape).mean(1)
    assert maps.shape == expected.shape
    assert abs(maps.numpy() - expected).mean() < 0.05 * expected.mean()  # fit draws random directions


def test_it_is_registered():
    assert Registry.discover().load_method("pca-reconstruction") is PcaReconstruction
