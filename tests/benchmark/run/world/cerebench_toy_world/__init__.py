"""A plugin package for tests: a small protocol, and methods that misbehave in every known way."""
