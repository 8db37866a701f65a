"""A plugin package for tests: small methods that exercise every corner of the contract."""
