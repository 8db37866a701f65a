"""``bench plugins new``: an installable package to begin with."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Kind(StrEnum):
    """What a new package brings."""

    METHOD = "method"
    COHORT = "cohort"


def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of package and method or cohort: lower case, hyphens.")],
    kind: Annotated[Kind, typer.Option("--kind", help="What the package brings.")] = Kind.METHOD,
    folder: Annotated[Path, typer.Option("--dir", metavar="DIR", help="The package becomes DIR/NAME.")] = Path(),
) -> None:
    """Write an installable package with a working method, or with a cohort's card, its test and its CI workflow."""
    from cerebench.plugins.registry import Registry
    from cerebench.scaffold.write import new_package

    for path in new_package(name, kind.value, folder, Registry.discover()):
        print(folder / path)
    use = f"--methods {name}" if kind is Kind.METHOD else f"--cohorts {name}"
    print(f"\nNext: pip install -e {folder / name}\n      bench plugins check {name}\n      bench run {use}")
