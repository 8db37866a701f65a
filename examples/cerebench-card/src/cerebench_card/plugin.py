"""The hooks of the package."""

from pathlib import Path

from cerebench.api import hookimpl


@hookimpl
def bench_register_cohorts(register):
    """One card."""
    register(Path(__file__).parent / "cards" / "example-lesions.yaml")
