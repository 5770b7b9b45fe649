"""Readers: from a data folder on disk to its cases."""
