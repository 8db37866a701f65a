"""Radiomics baseline: features of the outlined lesion, and a regularised linear classifier."""
