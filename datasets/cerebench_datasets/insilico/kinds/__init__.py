"""The kinds of lesion that the phantom models, one module each."""
