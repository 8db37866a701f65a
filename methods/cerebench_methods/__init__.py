"""Methods that ship with cerebench; registered like those of any other plugin."""
