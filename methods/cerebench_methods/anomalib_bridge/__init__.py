"""Models of anomalib (extra ``cerebench[anomalib]``) as methods ``anomalib:NAME``, trained and scored by our loop."""
