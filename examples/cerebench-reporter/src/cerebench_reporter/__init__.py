"""A reporter of cerebench: a CSV row for each finished cell."""
