"""A trained method under the glass: known signatures of failure in its results, and what it says about itself."""
