"""A method of cerebench: reconstruction by principal components."""
