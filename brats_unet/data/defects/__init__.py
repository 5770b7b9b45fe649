"""Defects that the files of a case do not show one by one: found by comparing scans, masks and cases."""
