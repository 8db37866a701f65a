"""The hooks of the package."""

from cerebench.api import hookimpl


@hookimpl
def bench_register_reporters(register):
    """One reporter."""
    register("csv", "cerebench_reporter.reporter:CsvReporter")
