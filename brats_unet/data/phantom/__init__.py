"""Phantoms: synthetic cases with brain tumours."""
