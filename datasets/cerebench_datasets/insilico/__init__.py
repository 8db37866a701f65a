"""Numerical brain phantoms: deformed MNI152 anatomy, scanner contrasts and lesions, written in a cohort's layout."""
