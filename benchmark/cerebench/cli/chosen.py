"""``bench leaderboard --chosen``: what the validation cases choose among a method's variants."""

from __future__ import annotations

import sys
from pathlib import Path

from cerebench.errors import UsageError


def print_choices(results: Path, output: str, protocol: str | None, preset: str | None, post: str) -> None:
    """Print the candidates of every search in one of the leaderboard's formats.

    Raises:
        UsageError: an unknown word, or no method with several variants.
    """
    from dataclasses import asdict

    from cerebench.cli.bar import Bar
    from cerebench.cli.leaderboard import FORMATS, known
    from cerebench.search.choices import candidates
    from cerebench.search.table import render_choices

    known("--format", output, FORMATS)
    known("--post", post, ("raw", "median"))
    with Bar("validation") as bar:
        found = candidates(results, protocol, preset, post, bar.show)
    if not found:
        raise UsageError(
            f"no method in {results} has several variants on the same columns: run `bench run --search`, or name "
            "variants in --methods"
        )
    if output == "json":
        from cerebench.cli.output import print_json

        print_json({"schema_version": 1, "candidates": [asdict(one) for one in found]})
    elif output == "csv":
        import pandas as pd

        sys.stdout.write(pd.DataFrame([asdict(one) for one in found]).to_csv(index=False))
    else:
        from cerebench.tables import TABULATE

        print(render_choices(found, TABULATE[output]))
