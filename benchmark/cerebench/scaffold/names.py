"""Names for new packages: their form, and whether somebody has them already."""

from __future__ import annotations

import importlib.util
import keyword
import re
import sys
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from typing import Literal

from cerebench.errors import UsageError
from cerebench.plugins.registry import Registry

Kind = Literal["method", "cohort"]

_FORM = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_RESERVED = ("all", "local", "tests")


def package_name(name: str) -> str:
    """The import package of a distribution: ``my-method`` → ``my_method``."""
    return name.replace("-", "_")


def class_name(name: str) -> str:
    """A class for a public name: ``my-method`` → ``MyMethod``."""
    return "".join(part.capitalize() for part in name.split("-"))


def check_name(name: str, kind: Kind, registry: Registry) -> None:
    """Refuse a name that is malformed or taken.

    Raises:
        UsageError: says what is wrong, or whose the name is.
    """
    if not _FORM.fullmatch(name):
        near = re.sub(r"[^a-z0-9]+", "-", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()).strip("-0123456789")
        hint = f"; did you mean {near!r}?" if _FORM.fullmatch(near) else ""
        raise UsageError(
            f"{name!r} is no name of a package: expected lower-case letters and digits with single hyphens, "
            f"beginning with a letter{hint}"
        )
    package = package_name(name)
    if name in _RESERVED or keyword.iskeyword(package) or package in sys.stdlib_module_names:
        raise UsageError(f"{name!r} means something to Python or to bench already; choose another name")
    owner = _owner(name, kind, registry)
    if owner:
        raise UsageError(f"{kind} {name!r} is already provided by {owner}; choose another name")
    try:
        there = distribution(name)
    except PackageNotFoundError:
        pass
    else:
        raise UsageError(f"{name!r} is already an installed distribution, version {there.version}; choose another name")
    if importlib.util.find_spec(package) is not None:
        brought = ", ".join(packages_distributions().get(package, [])) or "a folder on Python's path"
        raise UsageError(f"a package {package!r} is already there, from {brought}; choose another name")


def _owner(name: str, kind: Kind, registry: Registry) -> str:
    entries = registry.methods() if kind == "method" else registry.cohorts()
    return next((f"{entry.source} {entry.version}".rstrip() for entry in entries if entry.name == name), "")
