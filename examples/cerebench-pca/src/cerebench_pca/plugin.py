"""The hooks of the package. Nothing heavy is imported here."""

from cerebench.api import hookimpl


@hookimpl
def bench_register_methods(register):
    """One method."""
    register("pca-reconstruction", "cerebench_pca.method:PcaReconstruction")
