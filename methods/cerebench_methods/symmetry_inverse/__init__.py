"""Symmetry-informed inverse learning: masked U-Net, beta-VAE on its differences, Mahalanobis distance."""
