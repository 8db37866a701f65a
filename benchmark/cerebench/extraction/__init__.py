"""Heads with skull to canonical, skull-stripped volumes on the grid of the MNI152 template (extra ``prepare``)."""
