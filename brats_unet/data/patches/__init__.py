"""From prepared volumes to batches of patches."""
