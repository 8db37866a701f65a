"""Disentangled anatomy learning (Yang et al. 2026)."""
