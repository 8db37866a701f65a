"""From protocol × methods × cohorts × seeds to cells with keys, paths and reasons to skip."""
