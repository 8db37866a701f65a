"""Hooks of the built-in methods. Targets are strings: a method's module is imported when the method is used."""

from __future__ import annotations

from collections.abc import Callable

from cerebench.api import hookimpl

METHODS = {
    "autoencoder": "cerebench_methods.baselines.autoencoder:Autoencoder",
    "clinical": "cerebench_methods.clinical.method:Clinical",
    "dae": "cerebench_methods.baselines.dae:DenoisingAutoencoder",
    "fae": "cerebench_methods.baselines.fae:FeatureAutoencoder",
    "intensity-threshold": "cerebench_methods.baselines.intensity_threshold:IntensityThreshold",
    "mirror-difference": "cerebench_methods.baselines.mirror_difference:MirrorDifference",
    "padim": "cerebench_methods.baselines.padim:Padim",
    "patchcore": "cerebench_methods.baselines.patchcore:Patchcore",
    "radiomics": "cerebench_methods.radiomics.method:Radiomics",
    "reverse-distillation": "cerebench_methods.baselines.reverse_distillation:ReverseDistillation",
    "ssl-vit": "cerebench_methods.ssl_vit.methods:SslVit",
    "ssl-vit-multimodal": "cerebench_methods.ssl_vit.methods:SslVitMultimodal",
    "supervised-vit": "cerebench_methods.ssl_vit.methods:SupervisedVit",
    "symmetry-inverse": "cerebench_methods.symmetry_inverse.method:SymmetryInverse",
}


@hookimpl
def bench_register_methods(register: Callable[[str, str], None]) -> None:
    """Register every built-in method."""
    for name, target in METHODS.items():
        register(name, target)
