"""PCA of healthy axial slices; what the components cannot restore is anomalous."""

import torch
from sklearn.decomposition import PCA

from cerebench.api import Method, MethodInfo, MethodSettings, Prediction


class PcaReconstruction(Method):
    """scikit-learn fits the components; they are kept as tensors, so that the harness saves and restores them."""

    info = MethodInfo(
        name="pca-reconstruction",
        summary="Error of slices restored from the principal components of healthy ones.",
        supervision="healthy",
        unit="slice",
    )
    presets = {"mock": {"components": 4}, "quick": {"components": 16}}

    class Settings(MethodSettings):
        """``components``: how many are kept; fewer where there are not as many slices."""

        components: int = 64

    def build(self, modalities, shape, spacing):
        """Room for the mean ``[N]`` and the components ``[K, N]`` of slices with N values."""
        self.mean = torch.zeros(0)
        self.components = torch.zeros(0, 0)

    def fit(self, train, validation, run):
        """Components of all healthy slices that hold brain."""
        slices = torch.stack(list(train.slices())).flatten(1)
        kept = min(self.settings.components, *slices.shape)
        pca = PCA(kept, svd_solver="randomized", random_state=run.seed).fit(slices.numpy())
        self.mean = torch.from_numpy(pca.mean_).to(run.device)
        self.components = torch.from_numpy(pca.components_).to(run.device)

    def predict(self, images, context):
        """Absolute error of the restored slices ``[B, C, D, H]``, averaged over channels."""
        centred = images.flatten(1) - self.mean
        restored = (centred @ self.components.T) @ self.components
        error = (centred - restored).abs().view_as(images).mean(1)
        return Prediction(maps=error * context.brain)
