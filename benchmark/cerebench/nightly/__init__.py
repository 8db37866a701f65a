"""One night: run, compare with the accepted baseline, append to the history, write a summary."""
