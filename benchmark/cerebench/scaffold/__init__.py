"""New packages for authors of plugins, written from the files under ``templates``."""
