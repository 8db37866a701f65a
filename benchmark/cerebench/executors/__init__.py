"""How jobs reach processes. Files are the only shared state: a job's JSON goes out, cell folders come back."""
