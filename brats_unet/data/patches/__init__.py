"""A prepared volume to batches of patches."""
