"""The claims ledger: what papers say, as contrasts between cells, decided by stored results."""
