"""A plugin package for tests: methods that give worker processes trouble."""
