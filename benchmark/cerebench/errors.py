"""Errors that a user can act on: one sentence each, naming what was found, what was expected and what to do.

The command line prints the sentence alone; ``--debug`` adds the traceback.
"""

from __future__ import annotations


class BenchError(Exception):
    """Base of every error whose message is meant for the user as it stands."""


class UsageError(BenchError):
    """A wrong name, option or configuration file: the command ends with exit code 2."""


class PluginError(BenchError):
    """A plugin could not be found, imported or registered, or breaks the contract."""


class DataError(BenchError):
    """A file of a cohort is missing, unreadable or not what the card promises."""


class MethodError(BenchError):
    """A method raised, or returned something the contract does not allow."""
