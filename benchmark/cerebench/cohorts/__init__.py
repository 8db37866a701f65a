"""Cohort cards, the generic reader, patient-grouped splits, and in-silico twins. Imports no heavy library."""
