"""The regression gate: two results folders, or one and an accepted baseline, case by case. Reads stores only."""
