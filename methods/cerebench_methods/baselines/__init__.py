"""Baselines every comparison needs, one module each. Importing one brings no torch."""
