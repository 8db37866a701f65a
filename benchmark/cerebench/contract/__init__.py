"""What plugins and harness agree on. Imports no torch; re-exported by :mod:`cerebench.api`."""
