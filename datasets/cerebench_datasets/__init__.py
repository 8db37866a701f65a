"""Built-in cohorts and the in-silico generator, registered like any third party's."""
