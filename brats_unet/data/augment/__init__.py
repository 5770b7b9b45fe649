"""Transforms of patches: drawing apart from applying."""
