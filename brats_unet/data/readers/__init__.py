"""A folder on disk to cases."""
