"""What a reporter is and what it is told; the built-in reporters."""
