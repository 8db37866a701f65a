"""The evaluation loop: the same for every method and every cohort."""
