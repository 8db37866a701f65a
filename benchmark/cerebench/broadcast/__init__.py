"""Telling reporters what happens in a run, without ever harming it."""
