"""Preparation: files of a case → one canonical, isotropic, robustly scaled volume, cached by content."""
