"""Hyper-parameters on validation: the grid of settings that a protocol lists, and what its selections choose."""
