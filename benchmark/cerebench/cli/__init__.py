"""The ``bench`` command: one small module a command, imported when that command is called."""
