"""Metrics by kind and size of lesion, centre, modality, and whether a centre was seen in training."""
