"""One encoder of slices for every method that works on features, with weights from one of four sources."""
