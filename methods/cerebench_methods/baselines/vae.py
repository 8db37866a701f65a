"""Variational autoencoder on healthy axial slices (Kingma & Welling 2014; Baur et al. 2021)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from cerebench.api import MethodInfo
from cerebench_methods.baselines.variational_method import VariationalMethod


class VariationalAutoencoder(VariationalMethod):
    """MONAI's ``VarAutoEncoder`` with a dense code; the score is what the mean code fails to reconstruct."""

    info = MethodInfo(
        name="vae",
        summary="Variational autoencoder trained on healthy axial slices; the score is the reconstruction error.",
        supervision="healthy",
        unit="slice",
        citation=(
            "Kingma DP, Welling M. Auto-encoding variational Bayes. ICLR, 2014. For brain MRI: Baur C, Denner S, "
            "Wiestler B, Navab N, Albarqouni S. Autoencoders for unsupervised anomaly segmentation in brain MR "
            "images: a comparative study. Medical Image Analysis 69:101952, 2021."
        ),
        reimplementation=True,
        assumptions=(
            "Gaussian decoder with variance beta a pixel instead of an absolute error with unit weight.",
            "The published sizes were not at hand: preset paper is our reading of them.",
            "Optimiser (AdamW), learning rate schedule (one cycle) and number of steps are ours.",
        ),
    )

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "mock": {"width": 8, "depth": 2, "latent": 16, "steps": 60, "batch_size": 16, "learning_rate": 5e-3},
        "quick": {"width": 16, "depth": 3, "latent": 64, "steps": 140, "batch_size": 16, "learning_rate": 3e-3},
        "nightly": {"depth": 3, "steps": 300, "batch_size": 32, "learning_rate": 2e-3},
        "standard": {},
        "paper": {"steps": 50_000, "learning_rate": 1e-4},
    }
