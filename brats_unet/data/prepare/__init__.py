"""A case to a prepared volume."""
