"""One case under the glass: what a method makes of it, as pictures and numbers, through the loop's own code."""
