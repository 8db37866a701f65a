"""Hooks of the built-in methods. Targets are strings: a method's module is imported when the method is used."""

from __future__ import annotations

from collections.abc import Callable

from cerebench.api import hookimpl

METHODS = {
    "anoddpm": "cerebench_methods.baselines.anoddpm:AnoDdpm",
    "anomalib:fastflow": "cerebench_methods.anomalib_bridge.models:AnomalibFastflow",
    "anomalib:padim": "cerebench_methods.anomalib_bridge.models:AnomalibPadim",
    "anomalib:patchcore": "cerebench_methods.anomalib_bridge.models:AnomalibPatchcore",
    "anomalib:reverse-distillation": "cerebench_methods.anomalib_bridge.models:AnomalibReverseDistillation",
    "autoencoder": "cerebench_methods.baselines.autoencoder:Autoencoder",
    "clinical": "cerebench_methods.clinical.method:Clinical",
    "context-vae": "cerebench_methods.baselines.context_vae:ContextVae",
    "dae": "cerebench_methods.baselines.dae:DenoisingAutoencoder",
    "disentangled-anatomy": "cerebench_methods.disentangled_anatomy.method:DisentangledAnatomy",
    "disyre": "cerebench_methods.baselines.disyre:Disyre",
    "f-anogan": "cerebench_methods.baselines.f_anogan:FAnogan",
    "fae": "cerebench_methods.baselines.fae:FeatureAutoencoder",
    "fpi": "cerebench_methods.baselines.fpi:ForeignPatchInterpolation",
    "healthy-atlas": "cerebench_methods.baselines.healthy_atlas:HealthyAtlas",
    "intensity-threshold": "cerebench_methods.baselines.intensity_threshold:IntensityThreshold",
    "mirror-difference": "cerebench_methods.baselines.mirror_difference:MirrorDifference",
    "padim": "cerebench_methods.baselines.padim:Padim",
    "patchcore": "cerebench_methods.baselines.patchcore:Patchcore",
    "patched-ddpm": "cerebench_methods.baselines.patched_ddpm:PatchedDdpm",
    "radiomics": "cerebench_methods.radiomics.method:Radiomics",
    "reverse-distillation": "cerebench_methods.baselines.reverse_distillation:ReverseDistillation",
    "riad": "cerebench_methods.baselines.riad:Riad",
    "ssl-vit": "cerebench_methods.ssl_vit.methods:SslVit",
    "ssl-vit-multimodal": "cerebench_methods.ssl_vit.methods:SslVitMultimodal",
    "supervised-vit": "cerebench_methods.ssl_vit.methods:SupervisedVit",
    "symmetry-inverse": "cerebench_methods.symmetry_inverse.method:SymmetryInverse",
    "vae": "cerebench_methods.baselines.vae:VariationalAutoencoder",
    "vae-restoration": "cerebench_methods.baselines.vae_restoration:VaeRestoration",
    "vq-vae": "cerebench_methods.baselines.vq_vae:VqVae",
}


@hookimpl
def bench_register_methods(register: Callable[[str, str], None]) -> None:
    """Register every built-in method."""
    for name, target in METHODS.items():
        register(name, target)
