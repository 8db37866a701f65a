"""Self-supervised vision transformer for lesion classification, after Gomaa et al. 2025."""
