"""A cohort of cerebench: a card in package data."""
